// The step of the epoch under way, from which follow what a step draws and which samples it takes.
import type { Optimizer } from "../optim/index.js";
import { type State, state, zeros } from "../tensor/index.js";

const counters = new WeakMap<Optimizer, State>();

/** The step of the epoch under way with an optimizer, whose trainings take turns: 0-d f32, set before each step. */
export function stepOfEpoch(optimizer: Optimizer): State {
  const known = counters.get(optimizer) ?? state(zeros([]), { name: "step of the epoch" });
  counters.set(optimizer, known);
  return known;
}
