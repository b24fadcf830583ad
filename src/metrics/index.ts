// Metrics: scalars of logits and labels that training prints.
import { krMulticlass as krValue } from "../losses/functional.js";
import type { Tensor } from "../tensor/index.js";

/** A scalar of the logits `[n, classes]` and the integer labels `[n]` of a batch. */
export type Metric = (logits: Tensor, labels: Tensor) => Tensor;

/** Share of samples whose largest logit is that of their class. */
export function accuracy(): Metric {
  return (logits, labels) => logits.argmax(1).equal(labels).cast("f32").mean();
}

/** The Kantorovich-Rubinstein value: how far the classes are apart, in units of the input. */
export function krMulticlass(): Metric {
  return (logits, labels) => krValue(logits, labels);
}
