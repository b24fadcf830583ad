// What the mean of a loss over a batch is divided by: how much its samples count together.
import type { Tensor } from "../tensor/index.js";
import { total } from "./reduce.js";
import { type BatchTargets, probabilityTargets, signTargets, weighed } from "./targets.js";

/** Options of a loss that say which samples count how much. */
export interface Counting {
  readonly ignoreIndex?: number | undefined;
  readonly classWeights?: Tensor | undefined;
  /** Targets say how much each sample counts. */
  readonly multiGpu?: boolean;
}

/** What samples weigh together by themselves and by their classes, 0-d f32; nothing where all count alike. */
export function totalWeight(
  output: Tensor,
  target: Tensor,
  { ignoreIndex, classWeights, multiGpu = false }: Counting,
  weights: Tensor | undefined,
): Tensor | undefined {
  if (multiGpu || (ignoreIndex === undefined && classWeights === undefined)) return weights?.sum();
  return totalOf(weighed(probabilityTargets(output, target, ignoreIndex), weights, classWeights));
}

function totalOf(targets: BatchTargets): Tensor | undefined {
  const all = total(targets, targets.rows.shape[0] ?? 0);
  return typeof all === "number" ? undefined : all;
}

/** {@link totalWeight} of losses of logits of which each is for or against. */
export function totalOfSigns(
  output: Tensor,
  target: Tensor,
  { ignoreIndex, multiGpu = false }: Counting,
  weights: Tensor | undefined,
): Tensor | undefined {
  if (multiGpu || ignoreIndex === undefined) return weights?.sum();
  return totalOf(weighed(signTargets(output, target, ignoreIndex), weights));
}

/** {@link totalWeight} of cross-entropy, whose mean over rows, as PyTorch's, is not divided by the weights of classes. */
export function totalOfCrossEntropy(
  output: Tensor,
  target: Tensor,
  { ignoreIndex, classWeights }: Counting,
  weights: Tensor | undefined,
): Tensor | undefined {
  const dividing = target.rank === 1 ? classWeights : undefined;
  return totalWeight(output, target, { ignoreIndex, classWeights: dividing }, weights);
}
