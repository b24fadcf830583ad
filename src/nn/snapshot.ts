// Exports made of the values that parameters have at one moment, however many layers there are.
import { evaluateSync } from "../tensor/evaluate.js";
import type { State } from "../tensor/state.js";
import { Value } from "../tensor/tensor.js";
import type { Module } from "./module.js";
import { refuseOverridden } from "./overridden.js";

let depth = 0;

/**
 * Calls `build`, which makes a module from expressions of live parameters, and computes all of them in one native call once
 * the outermost `build` is done: between two steps of a training that goes on, never from both. `settle` computes what states
 * start from; by default their values come into JavaScript memory, as an export may never run.
 */
export function snapshot<M extends Module>(build: () => M, settle: (states: readonly State[]) => void = hold): M {
  depth++;
  try {
    const module = build();
    if (depth === 1) settle(module.namedStates().flatMap(([, state]) => (isOpen(state) ? [state] : [])));
    return module;
  } finally {
    depth--;
  }
}

/** Whether a state starts from what is yet to be computed. */
function isOpen({ initial }: State): boolean {
  return initial !== undefined && !(initial instanceof Value);
}

/** Reads what states start from, on the caller's time; those that others start from are filled by that. */
function hold(states: readonly State[]): void {
  const initials = states.flatMap(({ initial }) => initial ?? []);
  const values = evaluateSync(initials);
  initials.forEach(({ shape, dtype }, i) => {
    const [state, held] = [states[i], values[i]];
    if (held !== undefined && state?.filled === false) state.restart(new Value(held, shape, dtype));
  });
}

/** What a part of a container exports. Throws `NOT_LIPSCHITZ` where that may be another function than it computes. */
export function exportOf(module: Module): Module {
  refuseOverridden(module, "vanillaExport");
  return module.vanillaExport();
}
