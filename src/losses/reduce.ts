// From the values of samples to a loss: sums and means over the samples that count, as much as they weigh.
import type { Tensor } from "../tensor/index.js";
import type { Reduction } from "./options.js";
import type { BatchTargets } from "./targets.js";

/** Values `[n]` of samples times their weights, with 0 in the place of those that do not count. */
export function counted({ counted, weights }: BatchTargets, values: Tensor): Tensor {
  const kept = counted === undefined ? values : counted.where(values, 0);
  return weights === undefined ? kept : kept.mul(weights);
}

/** How many of `samples` count, or what they weigh together. */
export function total({ counted, weights }: BatchTargets, samples: number): Tensor | number {
  return weights === undefined ? (counted?.cast("f32").sum() ?? samples) : weights.sum();
}

/**
 * Values `[n]` of samples by those that count: their mean is 0 where there are none.
 * @param parts what the mean is divided by the sum of, `[n]`; by default what each sample counts
 */
export function reduced(values: Tensor, targets: BatchTargets, reduction: Reduction, parts?: Tensor): Tensor {
  const kept = counted(targets, values);
  if (reduction === "none") return kept;
  if (reduction === "sum") return kept.sum();
  const whole = parts === undefined ? total(targets, values.shape[0] ?? 0) : counted(targets, parts).sum();
  if (typeof whole === "number") return kept.mean();
  return kept.sum().div(whole.greater(0).where(whole, 1));
}
