// Losses as functions of logits and targets. Definitions: Serrurier et al. 2021 (HKR), deel-torchlip 2022 and 1.0.5.
import { TslipError } from "../errors.js";
import { scalar, type Tensor } from "../tensor/index.js";
import {
  type CrossEntropyOptions,
  checkedReduction,
  crossEntropyOptions,
  type HingeForm,
  type HingeOptions,
  type HkrOptions,
  hingeOptions,
  hkrOptions,
  type Reduction,
} from "./options.js";

/**
 * One-hot targets `[n, classes]` for labels: integers `[n]` become rows of 0 and 1, anything that has the logits' shape
 * stays. Throws `SHAPE_MISMATCH` for what is neither.
 */
export function oneHotTargets(logits: Tensor, target: Tensor): Tensor {
  if (logits.rank !== 2) {
    throw new TslipError("SHAPE_MISMATCH", `logits must have shape [n, classes]; given [${logits.shape.join(", ")}]`);
  }
  const [samples = 0, classes = 0] = logits.shape;
  if (target.rank === 1 && target.shape[0] === samples && target.dtype !== "f32") return target.oneHot(classes);
  if (target.rank === 2 && target.shape[0] === samples && target.shape[1] === classes) return target.cast("f32");
  throw new TslipError(
    "SHAPE_MISMATCH",
    `targets for logits [${logits.shape.join(", ")}] are integer labels [${samples}] or one-hot rows of that shape; ` +
      `given ${target.dtype} [${target.shape.join(", ")}]`,
    { shapes: [logits.shape, target.shape] },
  );
}

/**
 * Kantorovich-Rubinstein value: the mean over classes of (mean logit of its members - mean logit of the others). Classes
 * that have no members, or nothing but members, in the batch are left out; 0 if none is left. With reduction "none" the
 * `[n]` values of which this is the mean.
 *
 * Written as one weighted sum whose weights depend on the targets alone, so that its gradient needs no reduction of the
 * logits.
 */
export function krMulticlass(logits: Tensor, target: Tensor, options: { reduction?: Reduction } = {}): Tensor {
  const reduction = checkedReduction(options.reduction);
  const terms = krWeights(logits, oneHotTargets(logits, target)).mul(logits).sum(1);
  // The value is a sum over the samples: it is the mean of n times their terms.
  return reduction === "mean" ? terms.sum() : reduced(terms.mul(logits.shape[0] ?? 0), reduction);
}

/** The derivative of the KR value by each logit. */
function krWeights(logits: Tensor, target: Tensor): Tensor {
  const members = target.greater(0).cast("f32");
  const inside = members.sum(0);
  const outside = inside.neg().add(logits.shape[0] ?? 0);
  const complete = inside.minimum(outside).greater(0);
  const counted = complete.cast("f32");
  const share = counted.div(counted.sum().maximum(1));
  const own = share.div(inside.maximum(1));
  const other = share.div(outside.maximum(1));
  return members.mul(own.add(other)).sub(other);
}

/** The hinge of each logit, `[n, classes]`: ((C - 2) t + 1) relu(m - (2 t - 1) y), with m / 2 in the convex form. */
function hingeTerms(logits: Tensor, target: Tensor, minMargin: number, form: HingeForm): Tensor {
  const classes = logits.shape[1] ?? 0;
  const sign = target.mul(2).sub(1);
  const margin = form === "additive" ? minMargin : minMargin / 2;
  const slack = sign.mul(logits).neg().add(margin).relu();
  return target
    .mul(classes - 2)
    .add(1)
    .mul(slack);
}

/** Multiclass hinge, by default its mean over all entries; `none` gives the mean over classes of each sample. */
export function hingeMulticlass(logits: Tensor, target: Tensor, options: HingeOptions = {}): Tensor {
  const { minMargin, form, reduction } = hingeOptions(options);
  const terms = hingeTerms(logits, oneHotTargets(logits, target), minMargin, form);
  return reduced(terms.mean(1), reduction);
}

/**
 * alpha hinge - KR (additive), or alpha hinge - (1 - alpha) KR with alpha > 1 taken as alpha / (1 + alpha) (convex). An alpha
 * of at most 1 needs a form.
 */
export function hkrMulticlass(logits: Tensor, target: Tensor, options: HkrOptions): Tensor {
  const { alpha, minMargin, form } = hkrOptions(options);
  const labels = oneHotTargets(logits, target);
  const hinge = hingeTerms(logits, labels, minMargin, form).mean();
  if (alpha === Number.POSITIVE_INFINITY) return hinge;
  const kr = krMulticlass(logits, labels);
  if (form === "additive") return hinge.mul(alpha).sub(kr);
  const weight = alpha > 1 ? alpha / (1 + alpha) : alpha;
  return hinge.mul(weight).sub(kr.mul(1 - weight));
}

/** Cross-entropy of softmax(logits) with labels or probabilities, as torch.nn.functional.cross_entropy. */
export function crossEntropy(logits: Tensor, target: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { labelSmoothing, reduction } = crossEntropyOptions(options);
  const classes = logits.shape[1] ?? 1;
  const probabilities = oneHotTargets(logits, target)
    .mul(1 - labelSmoothing)
    .add(labelSmoothing / classes);
  // A class of probability 0 counts nothing, even where its logit is -Infinity (a masked class).
  const terms = probabilities.greater(0).where(probabilities.mul(logits.logSoftmax(1)), scalar(0));
  return reduced(terms.sum(1).neg(), reduction);
}

/** Squared differences, by default their mean. Throws `SHAPE_MISMATCH` unless both shapes are the same: none broadcasts. */
export function meanSquaredError(output: Tensor, target: Tensor, reduction: Reduction = "mean"): Tensor {
  checkedReduction(reduction);
  if (output.shape.join() !== target.shape.join()) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `the squared error of outputs [${output.shape.join(", ")}] needs targets of that shape; given [${target.shape.join(", ")}]`,
      { shapes: [output.shape, target.shape] },
    );
  }
  return reduced(output.sub(target).square(), reduction);
}

function reduced(values: Tensor, reduction: Reduction): Tensor {
  if (reduction === "none") return values;
  return reduction === "sum" ? values.sum() : values.mean();
}
