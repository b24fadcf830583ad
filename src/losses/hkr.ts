// Kantorovich-Rubinstein values, hinges and their sum. Definitions: Serrurier et al. 2021 (HKR), deel-torchlip 2022 and 1.0.5.
import type { Tensor } from "../tensor/index.js";
import { lossOf } from "./loss.js";
import { hingeAgainst, times } from "./operand.js";
import {
  type Adjustable,
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
  type KrOptions,
  krMulticlassOptions,
  krOptions,
  type Reduction,
} from "./options.js";
import { counted, reduced, total } from "./reduce.js";
import { type BatchTargets, classTargets, codeTargets, shareTargets, signTargets, weighed } from "./targets.js";
import { totalOfSigns } from "./total.js";

/**
 * Kantorovich-Rubinstein value: the mean over classes of (mean logit of its members - mean logit of the others). Classes
 * that have no members, or nothing but members, in the batch are left out; 0 if none is left. With reduction "none" the
 * `[n]` values of which this is the mean.
 * @param logits f32 `[n, classes]`
 * @param target class indices `[n]`, or rows of 0/1 or -1/+1 of the logits' shape; with multiGpu see {@link KrOptions}
 * @param weights of the samples, f32 `[n]`, as in all losses here; the means over members and others are weighted ones
 */
export function krMulticlass(
  logits: Tensor,
  target: Tensor,
  options: KrMulticlassOptions = {},
  weights?: Tensor,
): Tensor {
  const checked = krMulticlassOptions(options);
  const targets = multiclassTargets(logits, target, checked, weights);
  return targets.sure(krValue(targets, checked.reduction));
}

/** Multiclass hinge, by default its mean over all entries; `none` gives the mean over classes of each sample. Targets as above. */
export function hingeMulticlass(
  logits: Tensor,
  target: Tensor,
  options: HingeMulticlassOptions = {},
  weights?: Tensor,
): Tensor {
  const { minMargin, form, reduction, ...checked } = hingeMulticlassOptions(options);
  const targets = multiclassTargets(logits, target, checked, weights);
  const terms = weighedByClasses(hingeTerms(targets, minMargin, form), targets);
  return targets.sure(reduced(terms.mean(1), targets, reduction));
}

/**
 * alpha hinge - KR (additive), or alpha hinge - (1 - alpha) KR with alpha > 1 taken as alpha / (1 + alpha) (convex). An alpha
 * of at most 1 needs a form. Targets as above.
 */
export function hkrMulticlass(logits: Tensor, target: Tensor, options: HkrMulticlassOptions, weights?: Tensor): Tensor {
  const checked = hkrMulticlassOptions(options);
  const targets = multiclassTargets(logits, target, checked, weights);
  const terms = weighedByClasses(hingeTerms(targets, checked.minMargin, checked.form), targets);
  return targets.sure(hkrValue(targets, terms, checked));
}

/**
 * Binary Kantorovich-Rubinstein value: mean logit of the positive samples - mean logit of the negative ones; 0 where there
 * are none of either. Of several labels a sample the mean over those that have both. With reduction "none" the `[n]` values
 * of which this is the mean.
 * @param logits f32 `[n]`, `[n, 1]`, or `[n, ...]` with several labels a sample
 * @param target 0/1 or -1/+1, one for each logit; with multiGpu see {@link KrOptions}
 */
export function kr(logits: Tensor, target: Tensor, options: KrOptions = {}, weights?: Tensor): Tensor {
  const checked = krOptions("the KR value", options);
  const targets = binaryTargets(logits, target, checked, weights);
  return targets.sure(krValue(targets, checked.reduction));
}

/** The negation of {@link kr}, for training to make small. */
export function negKr(logits: Tensor, target: Tensor, options: KrOptions = {}, weights?: Tensor): Tensor {
  return kr(logits, target, options, weights).neg();
}

/**
 * Binary hinge relu(m - s y) with s = 1 or -1, with m / 2 in the convex form, by default its mean; `none` gives the mean over
 * the labels of each sample. Logits and targets as of {@link kr}.
 */
export function hingeMargin(logits: Tensor, target: Tensor, options: HingeOptions = {}, weights?: Tensor): Tensor {
  const { minMargin, form, reduction, ignoreIndex } = hingeOptions(options);
  const targets = binaryTargets(logits, target, { ignoreIndex }, weights);
  return targets.sure(reduced(hingeTerms(targets, minMargin, form).mean(1), targets, reduction));
}

/** {@link hkrMulticlass} of the binary hinge and KR value. Logits and targets as of {@link kr}. */
export function hkr(logits: Tensor, target: Tensor, options: HkrOptions, weights?: Tensor): Tensor {
  const checked = hkrOptions(options);
  const targets = binaryTargets(logits, target, checked, weights);
  const terms = hingeTerms(targets, checked.minMargin, checked.form);
  return targets.sure(hkrValue(targets, terms, checked));
}

/**
 * Targets for losses with multiGpu of the parts of a batch: where a label is positive, the number of samples over that of the positive
 * ones, elsewhere minus the number of samples over that of the others. The mean of logits times such targets is the KR value of the
 * batch, and the mean of the values of its equal parts is that of the whole. A label that is positive for all samples or for none
 * gives a one-sided value, as in torchlip.
 * @param labels 0/1 or -1/+1 `[n, labels]`, or class indices as `indices.oneHot(classes)`
 */
export function processLabelsForMultiGpu(labels: Tensor): Tensor {
  const { rows, sure } = codeTargets(labels);
  const positive = rows.greater(0);
  const samples = rows.shape[0] ?? 0;
  const inside = rows.sum(0);
  const outside = inside.neg().add(samples);
  const own = inside.maximum(1).reciprocal().mul(samples);
  const other = outside.maximum(1).reciprocal().mul(-samples);
  return sure(positive.where(own, other));
}

/** Binary Kantorovich-Rubinstein value of one logit a sample; its negation is what training makes small. */
export class KRLoss extends lossOf((options: KrOptions = {}) => krOptions("KRLoss", options), kr, totalOfSigns) {}

/** Negated binary Kantorovich-Rubinstein value. */
export class NegKRLoss extends lossOf(
  (options: KrOptions = {}) => krOptions("NegKRLoss", options),
  negKr,
  totalOfSigns,
) {}

/** Binary hinge with a margin, of one logit a sample or of several labels a sample; see {@link HingeOptions}. */
export class HingeMarginLoss extends lossOf(hingeOptions, hingeMargin, totalOfSigns) {}

/** Binary hinge-regularized Kantorovich-Rubinstein loss (Serrurier et al. 2021) of one logit a sample, or of several labels. */
export class HKRLoss extends lossOf(hkrOptions, hkr, totalOfSigns) {}

/** Hinge-regularized Kantorovich-Rubinstein loss (Serrurier et al. 2021): accuracy and robustness in one number. */
export class HKRMulticlassLoss extends lossOf(hkrMulticlassOptions, hkrMulticlass) {}

/** The Kantorovich-Rubinstein value itself, as torchlip's class of this name; its negation is what training makes small. */
export class KRMulticlassLoss extends lossOf(krMulticlassOptions, krMulticlass) {}

/**
 * Multiclass hinge with a margin; see {@link HingeOptions}. On rows with several positive labels it is a multi-label hinge in
 * which each positive label weighs as much as all other labels.
 */
export class HingeMulticlassLoss extends lossOf(hingeMulticlassOptions, hingeMulticlass) {}

function multiclassTargets(
  logits: Tensor,
  target: Tensor,
  options: { multiGpu?: boolean; ignoreIndex: number | undefined; classWeights: Tensor | undefined },
  weights: Tensor | undefined,
): BatchTargets {
  const { multiGpu = false, ignoreIndex, classWeights } = options;
  const targets = multiGpu ? shareTargets(logits, target) : classTargets(logits, target, ignoreIndex);
  return weighed(targets, weights, classWeights);
}

function binaryTargets(
  logits: Tensor,
  target: Tensor,
  { multiGpu = false, ignoreIndex }: { multiGpu?: boolean; ignoreIndex: number | undefined },
  weights: Tensor | undefined,
): BatchTargets {
  return weighed(multiGpu ? shareTargets(logits, target) : signTargets(logits, target, ignoreIndex), weights);
}

/** Written as one weighted sum whose weights depend on the targets alone, so that its gradient needs no reduction of the logits. */
function krValue(targets: BatchTargets, reduction: Reduction): Tensor {
  const { logits } = targets;
  if (targets.shares !== undefined) return reduced(targets.shares.mul(logits).mean(1), targets, reduction);
  const whole = total(targets, logits.shape[0] ?? 0);
  const terms = counted(targets, krWeights(targets, whole).mul(logits).sum(1));
  // The value is a sum over the samples: it is the mean of as many times their terms.
  return reduction === "mean" ? terms.sum() : reduction === "sum" ? terms.mul(whole).sum() : terms.mul(whole);
}

/** The derivative of the KR value by each logit, without the weight of its sample. */
function krWeights({ rows, counted, weights }: BatchTargets, whole: Tensor | number): Tensor {
  const members = rows.greater(0).cast("f32");
  let inside = members.sum(0);
  let outside = inside.neg().add(whole);
  if (weights !== undefined) {
    // Not as a difference: what rounding leaves of weights that are all of one side is no weight of the other.
    const column = weights.unsqueeze(1);
    inside = members.mul(column).sum(0);
    outside = (counted ?? weights.greater(0)).unsqueeze(1).cast("f32").sub(members).mul(column).sum(0);
  }
  const complete = inside.minimum(outside).greater(0);
  const share = complete.cast("f32").div(complete.cast("f32").sum().maximum(1));
  const own = share.div(complete.where(inside, 1));
  const other = share.div(complete.where(outside, 1));
  return members.mul(own.add(other)).sub(other);
}

/** The hinge of each logit, `[n, classes]`: relu(m - (2 t - 1) y), with m / 2 in the convex form. */
function hingeTerms({ rows, logits }: BatchTargets, minMargin: Adjustable, form: HingeForm): Tensor {
  const sign = rows.mul(2).sub(1);
  const margin = form === "additive" ? minMargin : times(minMargin, 0.5);
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
  targets: BatchTargets,
  terms: Tensor,
  { alpha, form, reduction }: { alpha: Adjustable; form: HingeForm; reduction: Reduction },
): Tensor {
  // All entries in one mean: no rounding in between.
  const whole = reduction === "mean" && targets.counted === undefined;
  const hinge = whole ? terms.mean() : reduced(terms.mean(1), targets, reduction);
  return hingeAgainst(krValue(targets, reduction), hinge, alpha, form);
}
