// What keeps a training at its last good step: a step that would leave NaN or infinite values changes nothing.
import type { Optimizer } from "../optim/index.js";
import { type State, state, type Tensor, zeros } from "../tensor/index.js";
import { currentTrace } from "../tensor/trace.js";

const failures = new WeakMap<Optimizer, State>();

/**
 * What says that the last step with an optimizer, whose trainings take turns, has changed nothing: a 0-d bool. It is always the same, so
 * that a training asked for again is the same plan.
 */
export function failureOf(optimizer: Optimizer): State {
  const known = failures.get(optimizer) ?? state(zeros([], { dtype: "bool" }), { name: "failed step" });
  failures.set(optimizer, known);
  return known;
}

/**
 * Ends the recording of a step: where its loss, the f32 values that it assigns and their sums are finite it assigns them all, else
 * none of its states changes. The result is a 0-d bool: whether none does.
 */
export function wholeOrNothing(loss: Tensor): Tensor {
  const assigns = currentTrace()?.assigns;
  const assigned = [...(assigns ?? [])];
  // From here on a state reads as what it began the step with.
  assigns?.clear();
  const failed = [loss, ...assigned.map(([, value]) => value)]
    .filter(({ dtype }) => dtype === "f32")
    .map((value) => value.sum())
    .reduce((one, other) => one.add(other))
    .isFinite()
    .not();
  // Before any is assigned, as values may be other states. A condition of the shape of what it chooses from is several times as fast.
  const kept = assigned.map(([state, value]) => failed.broadcastTo(state.shape).where(state, value));
  assigned.forEach(([state], i) => assigns?.set(state, kept[i] ?? state));
  return failed;
}
