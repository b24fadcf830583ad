// Metrics: scalars of outputs and targets that training prints.

import { TslipError } from "../errors.js";
import { checkLogits, classesOf } from "../logits.js";
import {
  krMulticlass as krOfClasses,
  kr as krOfSigns,
  meanSquaredError as meanOfSquares,
} from "../losses/functional.js";
import { type ClassOptions, classOptions } from "../losses/options.js";
import { reduced } from "../losses/reduce.js";
import { type BatchTargets, numberTargets, oneClassTargets, signTargets } from "../losses/targets.js";
import { LipschitzModule, type Module } from "../nn/index.js";
import type { NoOptions } from "../options.js";
import { choice, ignoreIndex, notNegative, type Options, optional, positive, readOptions } from "../options.js";
import type { Tensor } from "../tensor/index.js";
import { asTensor } from "../tensor/tensor.js";

/**
 * A scalar of the outputs `[n, ...]` of a model and the targets of a batch: class indices i32 `[n]`, or numbers f32 `[n, ...]`; `fit` and
 * `evaluate` tell it the model. Changes of
 * fields of the function itself are followed as those of a `Module` are, and no others are seen. Samples of the class `ignoreIndex`, which
 * is a field of the metrics of labels here, do not count where its values are averaged; of a metric without the field, those of the data
 * set's `ignoreIndex` do not.
 */
export type Metric = (outputs: Tensor, targets: Tensor, model?: Module) => Tensor;

/**
 * Share of samples whose largest logit is that of their class; where that is NaN or infinite the sample is not right. Targets are
 * class indices, or rows with a single largest entry.
 */
export function accuracy(options: ClassOptions = {}): Metric {
  const { ignoreIndex } = classOptions("accuracy()", options);
  return ignoring(ignoreIndex, (logits, labels) => {
    const targets = oneClassTargets(logits, labels, ignoreIndex);
    return meanOf(classesOf(logits).equal(targets.indices).cast("f32"), targets);
  });
}

/** Share of samples whose one logit is on the side of 0 that their label says; 0 itself is negative, NaN on neither. */
export function binaryAccuracy(options: ClassOptions = {}): Metric {
  const { ignoreIndex } = classOptions("binaryAccuracy()", options);
  const share = multilabelAccuracy({ ignoreIndex });
  return ignoring(ignoreIndex, (logits, labels) => {
    if (asTensor("a metric", logits).size === logits.shape[0]) return share(logits, labels);
    throw new TslipError(
      "SHAPE_MISMATCH",
      `binary accuracy is of one logit a sample, [n] or [n, 1]; given [${logits.shape.join(", ")}]; of several labels a sample ` +
        "multilabelAccuracy() is the share, of several classes accuracy()",
    );
  });
}

/**
 * Share of all labels of all samples whose logit is on the side of 0 that the label says; 0 itself is negative, NaN on neither. Rows of
 * labels or class indices, to which alone `ignoreIndex` applies.
 */
export function multilabelAccuracy(options: ClassOptions = {}): Metric {
  const { ignoreIndex } = classOptions("multilabelAccuracy()", options);
  return ignoring(ignoreIndex, (given, labels) => {
    const targets = signTargets(given, labels, ignoreIndex);
    const { logits, rows } = targets;
    const positive = rows.greater(0);
    const right = positive
      .and(logits.greater(0))
      .or(positive.not().and(logits.lessEqual(0)))
      .cast("f32");
    return ignoreIndex === undefined ? targets.sure(right.mean()) : meanOf(right.mean(1), targets);
  });
}

/** The Kantorovich-Rubinstein value of several classes: how far they are apart, in units of the input. */
export function krMulticlass(options: ClassOptions = {}): Metric {
  const { ignoreIndex } = classOptions("krMulticlass()", options);
  return ignoring(ignoreIndex, (logits, labels) => krOfClasses(logits, labels, { ignoreIndex }));
}

/** The Kantorovich-Rubinstein value of two classes told by the sign of one logit. */
export function kr(options: ClassOptions = {}): Metric {
  const { ignoreIndex } = classOptions("kr()", options);
  return ignoring(ignoreIndex, (logits, labels) => krOfSigns(logits, labels, { ignoreIndex }));
}

/** Mean squared difference of outputs and targets of one shape. */
export function meanSquaredError(options?: NoOptions): Metric {
  readOptions("meanSquaredError()", {}, options);
  return (outputs, targets) => meanOfSquares(outputs, targets);
}

/** Mean magnitude of the difference of outputs and targets of one shape. */
export function meanAbsoluteError(options?: NoOptions): Metric {
  readOptions("meanAbsoluteError()", {}, options);
  return (outputs, targets) => {
    const numbers = numberTargets(outputs, targets);
    return outputs.sub(numbers).abs().mean();
  };
}

/** Options of metrics of radii. */
export interface RadiusOptions extends ClassOptions {
  /**
   * Lipschitz constant of the model. By default it is the `kCoefLip` of the model that is trained or evaluated, which is refused with `NOT_LIPSCHITZ`
   * where it keeps none by construction; 1 for outputs of no model.
   */
  lipschitz?: number | undefined;
  /** "generic", the default, for every model; "disjoint" where each logit alone is that Lipschitz, as with neurons that are normalized one by one. */
  kind?: "generic" | "disjoint";
}

/** Options of {@link certifiedAccuracy}. */
export interface CertifiedAccuracyOptions extends RadiusOptions {
  /** In units of what enters the first layer: for u8 images those are pixels divided by 255. */
  radius: number;
}

const RADIUS = { lipschitz: optional(positive()), kind: choice(["generic", "disjoint"], "generic"), ignoreIndex };

/**
 * Share of samples that are told right with a radius of at least `radius`, margin / (sqrt(2) lipschitz): a figure for training, by the
 * constant that a model keeps by construction and without the rounding of its forward pass. The proof is `certify`. Targets as for
 * {@link accuracy}.
 */
export function certifiedAccuracy(options: CertifiedAccuracyOptions): Metric {
  const { radius, ...rest } = readOptions("certifiedAccuracy()", { radius: notNegative(), ...RADIUS }, options);
  return ignoring(rest.ignoreIndex, (logits, labels, model) => {
    const { radii, right, targets } = radiiOf(logits, labels, rest, model);
    return meanOf(right.and(radii.greaterEqual(radius)).cast("f32"), targets);
  });
}

/** The average of the radii of {@link certifiedAccuracy}, 0 for each sample that is told wrong (Zhai et al. 2020). */
export function meanRadius(options: RadiusOptions = {}): Metric {
  const read = readOptions("meanRadius()", RADIUS, options);
  return ignoring(read.ignoreIndex, (logits, labels, model) => {
    const { radii, right, targets } = radiiOf(logits, labels, read, model);
    return meanOf(right.where(radii, 0), targets);
  });
}

/** Of each sample the radius of its prediction, and whether that is right. */
function radiiOf(logits: Tensor, labels: Tensor, options: Options<typeof RADIUS>, model: Module | undefined) {
  const { kind, ignoreIndex, lipschitz = constantOf(model) } = options;
  checkLogits("a metric of radii", asTensor("a metric", logits).shape);
  const targets = oneClassTargets(logits, labels, ignoreIndex);
  const [, classes = 0] = logits.shape;
  const largest = logits.max(1, { keepdims: true });
  const first = classesOf(logits);
  const others = first.oneHot(classes).greater(0).where(Number.NEGATIVE_INFINITY, logits).max(1);
  const margin = largest.reshape([-1]).sub(others);
  return {
    radii: margin.mul(1 / ((kind === "generic" ? Math.SQRT2 : 2) * lipschitz)),
    right: first.equal(targets.indices),
    targets,
  };
}

/** The constant that a model keeps by construction; 1 of none. */
function constantOf(model: Module | undefined): number {
  if (model === undefined) return 1;
  if (model.lipschitzByConstruction) return model instanceof LipschitzModule ? model.kCoefLip : 1;
  throw new TslipError(
    "NOT_LIPSCHITZ",
    `a metric of radii needs the Lipschitz constant of the model, and ${model.constructor.name} keeps none by construction; give ` +
      "lipschitz, such as the constant that a projection keeps, or leave radii to certify()",
  );
}

/** The mean of values `[n]` of the samples that count, 0 where there are none. */
function meanOf(values: Tensor, targets: BatchTargets): Tensor {
  return targets.sure(reduced(values, targets, "mean"));
}

/** A metric that says which class it does not count: undefined where it counts all. */
function ignoring(ignoreIndex: number | undefined, metric: Metric): Metric {
  return Object.assign(metric, { ignoreIndex });
}
