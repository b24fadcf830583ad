// Losses as functions of logits and targets. Definitions: Serrurier et al. 2021 (HKR), deel-torchlip 2022 and 1.0.5.
import { scalar, type Tensor } from "../tensor/index.js";
import {
  type CrossEntropyOptions,
  crossEntropyOptions,
  type HingeForm,
  type HingeMulticlassOptions,
  type HingeOptions,
  type HkrMulticlassOptions,
  type HkrOptions,
  hingeMulticlassOptions,
  hingeOptions,
  hkrMulticlassOptions,
  hkrOptions,
  type KrMulticlassOptions,
  krMulticlassOptions,
  type Reduction,
  reductionOptions,
} from "./options.js";
import { type BatchTargets, classTargets, numberTargets, probabilityTargets, signTargets } from "./targets.js";

/**
 * Kantorovich-Rubinstein value: the mean over classes of (mean logit of its members - mean logit of the others). Classes
 * that have no members, or nothing but members, in the batch are left out; 0 if none is left. With reduction "none" the
 * `[n]` values of which this is the mean.
 * @param logits f32 `[n, classes]`
 * @param target class indices `[n]`, or rows of 0/1 or -1/+1 of the logits' shape
 */
export function krMulticlass(logits: Tensor, target: Tensor, options: KrMulticlassOptions = {}): Tensor {
  const { ignoreIndex, reduction } = krMulticlassOptions(options);
  const targets = classTargets(logits, target, ignoreIndex);
  return targets.sure(krValue(logits, targets, reduction));
}

/** Multiclass hinge, by default its mean over all entries; `none` gives the mean over classes of each sample. Targets as above. */
export function hingeMulticlass(logits: Tensor, target: Tensor, options: HingeMulticlassOptions = {}): Tensor {
  const { minMargin, form, reduction, ignoreIndex } = hingeMulticlassOptions(options);
  const targets = classTargets(logits, target, ignoreIndex);
  const terms = weighedByClasses(hingeTerms(logits, targets, minMargin, form), targets);
  return targets.sure(reduced(terms.mean(1), targets, reduction));
}

/**
 * alpha hinge - KR (additive), or alpha hinge - (1 - alpha) KR with alpha > 1 taken as alpha / (1 + alpha) (convex). An alpha
 * of at most 1 needs a form. Targets as above.
 */
export function hkrMulticlass(logits: Tensor, target: Tensor, options: HkrMulticlassOptions): Tensor {
  const { ignoreIndex, ...rest } = hkrMulticlassOptions(options);
  const targets = classTargets(logits, target, ignoreIndex);
  const terms = weighedByClasses(hingeTerms(logits, targets, rest.minMargin, rest.form), targets);
  return targets.sure(hkrValue(logits, targets, terms, rest));
}

/**
 * Binary Kantorovich-Rubinstein value: mean logit of the positive samples - mean logit of the negative ones; 0 where there
 * are none of either. Of several labels a sample the mean over those that have both. With reduction "none" the `[n]` values
 * of which this is the mean.
 * @param logits f32 `[n]`, `[n, 1]`, or `[n, ...]` with several labels a sample
 * @param target 0/1 or -1/+1, one for each logit
 */
export function kr(logits: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  const { reduction } = reductionOptions("the KR value", options);
  const targets = signTargets(logits, target);
  return targets.sure(krValue(targets.logits, targets, reduction));
}

/** The negation of {@link kr}, for training to make small. */
export function negKr(logits: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  return kr(logits, target, options).neg();
}

/**
 * Binary hinge relu(m - s y) with s = 1 or -1, with m / 2 in the convex form, by default its mean; `none` gives the mean over
 * the labels of each sample. Logits and targets as of {@link kr}.
 */
export function hingeMargin(logits: Tensor, target: Tensor, options: HingeOptions = {}): Tensor {
  const { minMargin, form, reduction } = hingeOptions(options);
  const targets = signTargets(logits, target);
  return targets.sure(reduced(hingeTerms(targets.logits, targets, minMargin, form).mean(1), targets, reduction));
}

/** {@link hkrMulticlass} of the binary hinge and KR value. Logits and targets as of {@link kr}. */
export function hkr(logits: Tensor, target: Tensor, options: HkrOptions): Tensor {
  const checked = hkrOptions(options);
  const targets = signTargets(logits, target);
  const terms = hingeTerms(targets.logits, targets, checked.minMargin, checked.form);
  return targets.sure(hkrValue(targets.logits, targets, terms, checked));
}

/**
 * Cross-entropy of softmax(logits), as torch.nn.functional.cross_entropy.
 * @param logits f32 `[n, classes]`
 * @param target class indices `[n]`, or rows of the logits' shape: probabilities, 0/1 or -1/+1
 */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { labelSmoothing, reduction, ignoreIndex } = crossEntropyOptions(options);
  const targets = probabilityTargets(logits, target, ignoreIndex);
  const classes = logits.shape[1] ?? 1;
  const probabilities = targets.rows.mul(1 - labelSmoothing).add(labelSmoothing / classes);
  // A class of probability 0 counts nothing, even where its logit is -Infinity (a masked class).
  const terms = probabilities.greater(0).where(probabilities.mul(logits.logSoftmax(1)), scalar(0));
  return targets.sure(reduced(terms.sum(1).neg(), targets, reduction));
}

/**
 * Squared differences, by default their mean. Throws `SHAPE_MISMATCH` unless both shapes, which are any, are the same: none
 * broadcasts.
 */
export function meanSquaredError(output: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  const { reduction } = reductionOptions("meanSquaredError", options);
  const numbers = numberTargets(output, target);
  const squares = output.sub(numbers).square();
  return reduced(squares, undefined, reduction);
}

/** Written as one weighted sum whose weights depend on the targets alone, so that its gradient needs no reduction of the logits. */
function krValue(logits: Tensor, targets: BatchTargets, reduction: Reduction): Tensor {
  const samples = targets.counted === undefined ? (logits.shape[0] ?? 0) : targets.counted.cast("f32").sum();
  const terms = maskedBy(targets, krWeights(targets, samples).mul(logits).sum(1));
  // The value is a sum over the samples: it is the mean of as many times their terms.
  return reduction === "mean" ? terms.sum() : reduction === "sum" ? terms.mul(samples).sum() : terms.mul(samples);
}

/** The derivative of the KR value by each logit. */
function krWeights({ rows }: BatchTargets, samples: Tensor | number): Tensor {
  const members = rows.greater(0).cast("f32");
  const inside = members.sum(0);
  const outside = inside.neg().add(samples);
  const complete = inside.minimum(outside).greater(0);
  const counted = complete.cast("f32");
  const share = counted.div(counted.sum().maximum(1));
  const own = share.div(inside.maximum(1));
  const other = share.div(outside.maximum(1));
  return members.mul(own.add(other)).sub(other);
}

/** The hinge of each logit, `[n, classes]`: relu(m - (2 t - 1) y), with m / 2 in the convex form. */
function hingeTerms(logits: Tensor, { rows }: BatchTargets, minMargin: number, form: HingeForm): Tensor {
  const sign = rows.mul(2).sub(1);
  const margin = form === "additive" ? minMargin : minMargin / 2;
  return sign.mul(logits).neg().add(margin).relu();
}

/** Terms of a sample's own classes times the number of the others: (C - 2) t + 1. */
function weighedByClasses(terms: Tensor, { rows }: BatchTargets): Tensor {
  return rows
    .mul((rows.shape[1] ?? 0) - 2)
    .add(1)
    .mul(terms);
}

function hkrValue(
  logits: Tensor,
  targets: BatchTargets,
  terms: Tensor,
  { alpha, form, reduction }: Required<HkrOptions>,
): Tensor {
  // All entries in one mean: no rounding in between.
  const whole = reduction === "mean" && targets.counted === undefined;
  const hinge = whole ? terms.mean() : reduced(terms.mean(1), targets, reduction);
  if (alpha === Number.POSITIVE_INFINITY) return hinge;
  const distance = krValue(logits, targets, reduction);
  if (form === "additive") return hinge.mul(alpha).sub(distance);
  const weight = alpha > 1 ? alpha / (1 + alpha) : alpha;
  return hinge.mul(weight).sub(distance.mul(1 - weight));
}

/** Values `[n]` of samples with 0 in the place of those that do not count. */
function maskedBy({ counted }: BatchTargets, values: Tensor): Tensor {
  return counted === undefined ? values : counted.where(values, 0);
}

/** Values of samples, `[n]`, or of entries, by the samples that count: their mean is 0 where there are none. */
function reduced(values: Tensor, targets: BatchTargets | undefined, reduction: Reduction): Tensor {
  const kept = targets === undefined ? values : maskedBy(targets, values);
  if (reduction === "none") return kept;
  const counted = targets?.counted;
  if (reduction === "sum") return kept.sum();
  return counted === undefined ? kept.mean() : kept.sum().div(counted.cast("f32").sum().maximum(1));
}
