// Exports made of the values that parameters have at one moment, however many layers there are.
import { evaluateSync } from "../tensor/evaluate.js";
import { Value } from "../tensor/tensor.js";
import type { Module } from "./module.js";
import { refuseOverridden } from "./overridden.js";

let depth = 0;

/**
 * Calls `build`, which makes a module from expressions of live parameters, and computes all of them in one native call once
 * the outermost `build` is done: between two steps of a training that goes on, never from both.
 */
export function snapshot<M extends Module>(build: () => M): M {
  depth++;
  try {
    const module = build();
    if (depth === 1) hold(module);
    return module;
  } finally {
    depth--;
  }
}

/** Computes what the states of a module start from. */
function hold(module: Module): void {
  const open = module.namedStates().flatMap(([, state]) => {
    const { initial } = state;
    return initial === undefined || initial instanceof Value ? [] : [{ state, initial }];
  });
  const values = evaluateSync(open.map(({ initial }) => initial));
  open.forEach(({ state, initial }, i) => {
    const held = values[i];
    if (held !== undefined) state.restart(new Value(held, initial.shape, initial.dtype));
  });
}

/** What a part of a container exports. Throws `NOT_LIPSCHITZ` where that may be another function than it computes. */
export function exportOf(module: Module): Module {
  refuseOverridden(module, "vanillaExport");
  return module.vanillaExport();
}
