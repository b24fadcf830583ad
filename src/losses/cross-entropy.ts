// Cross-entropy and squared error, as PyTorch has them.
import { scalar, type Tensor } from "../tensor/index.js";
import { lossOf } from "./loss.js";
import { type CrossEntropyOptions, crossEntropyOptions, type ReductionOptions, reductionOptions } from "./options.js";
import { reduced } from "./reduce.js";
import { checkCount, everySample, keptLogits, numberTargets, probabilityTargets, weighed } from "./targets.js";
import { totalOfCrossEntropy } from "./total.js";

/**
 * Cross-entropy of softmax(logits), as torch.nn.functional.cross_entropy.
 * @param logits f32 `[n, classes]`
 * @param target class indices `[n]`, or rows of the logits' shape: probabilities, 0/1 or -1/+1
 */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  options: CrossEntropyOptions = {},
  weights?: Tensor,
): Tensor {
  return crossEntropyOf((kept) => kept, logits, target, options, weights);
}

/** {@link crossEntropy} of what `moved` makes of the logits of samples that count. */
export function crossEntropyOf(
  moved: (kept: Tensor) => Tensor,
  logits: Tensor,
  target: Tensor,
  options: CrossEntropyOptions,
  weights: Tensor | undefined,
): Tensor {
  const { labelSmoothing, reduction, ignoreIndex, classWeights } = crossEntropyOptions(options);
  const targets = weighed(probabilityTargets(logits, target, ignoreIndex), weights);
  const classes = logits.shape[1] ?? 1;
  if (classWeights !== undefined) checkCount("classWeights", classWeights, classes);
  const probabilities = targets.rows.mul(1 - labelSmoothing).add(labelSmoothing / classes);
  const shares = classWeights === undefined ? probabilities : probabilities.mul(classWeights);
  // With label smoothing a sample whose own class weighs nothing has terms of the others.
  const weighs = classWeights === undefined ? undefined : shares.greater(0).any(1);
  const logs = moved(keptLogits(targets.logits, weighs)).logSoftmax(1);
  // A class of probability 0 counts nothing, even where its logit is -Infinity (a masked class).
  const terms = shares.greater(0).where(shares.mul(logs), scalar(0));
  const ofClasses = classWeights !== undefined && target.rank === 1 ? targets.rows.mul(classWeights).sum(1) : undefined;
  return targets.sure(reduced(terms.sum(1).neg(), targets, reduction, ofClasses));
}

/**
 * Squared differences, by default their mean; `none` gives all of them, as in PyTorch. Throws `SHAPE_MISMATCH` unless both shapes,
 * which are any, are the same: none broadcasts. With weights of samples, which are the first axis, the value of a sample is the mean
 * of its squares.
 */
export function meanSquaredError(
  output: Tensor,
  target: Tensor,
  options: ReductionOptions = {},
  weights?: Tensor,
): Tensor {
  const { reduction } = reductionOptions("meanSquaredError", options);
  const numbers = numberTargets(output, target);
  const differences = output.sub(numbers);
  if (weights !== undefined) {
    const targets = weighed(everySample(differences.reshape([output.shape[0] ?? 1, -1])), weights);
    const squares = targets.logits.square();
    return reduced(reduction === "sum" ? squares.sum(1) : squares.mean(1), targets, reduction);
  }
  const squares = differences.square();
  return reduction === "none" ? squares : reduction === "sum" ? squares.sum() : squares.mean();
}

/** Cross-entropy of the softmax of the logits. */
export class CrossEntropyLoss extends lossOf(crossEntropyOptions, crossEntropy, totalOfCrossEntropy) {}

/** Mean squared error of outputs and targets of one shape, which is any. */
export class MSELoss extends lossOf(
  (options: ReductionOptions = {}) => reductionOptions("MSELoss", options),
  meanSquaredError,
) {}
