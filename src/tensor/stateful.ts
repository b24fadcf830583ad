// The protocol for whatever changes while a model is trained: objects list their states by name.
import type { State } from "./state.js";

/** An object with named states: a module, an optimizer, a loss with memory, a generator, a place in a training. */
export interface Stateful {
  /** All of its states, by keys that begin with `prefix`; always the same keys for an object made in the same way. */
  namedStates(prefix?: string): [string, State][];
}

/** Whether a value lists states. */
export function isStateful(value: unknown): value is Stateful {
  return (
    typeof value === "object" && value !== null && "namedStates" in value && typeof value.namedStates === "function"
  );
}
