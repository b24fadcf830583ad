// What the targets of a batch mean: the one place where losses and metrics learn which classes a sample belongs to.
import { TslipError } from "../errors.js";
import { checkLogits } from "../logits.js";
import { demand } from "../tensor/demand.js";
import { scalar, type Tensor } from "../tensor/index.js";
import { asTensor } from "../tensor/tensor.js";
import type { ValueCheck } from "../tensor/trace.js";
import { demandWeights } from "./options.js";

/** The targets of a batch of `n` samples, with its logits, as a loss wants them. */
export interface BatchTargets extends Rows {
  /** f32 `[n, classes]`. As {@link weighed} gives them, those of samples that do not count are 0, whatever was given: they cannot make anything NaN. */
  readonly logits: Tensor;
}

/** What targets say by themselves. */
interface Rows {
  /** f32 `[n, classes]`: 1 for the classes that a sample belongs to, 0 for the others (between them for probabilities). */
  readonly rows: Tensor;
  /** bool `[n]`: which samples count; nothing where all do. */
  readonly counted: Tensor | undefined;
  /** f32 `[n]`: how much each sample counts, 0 for those that do not; nothing where all count alike. */
  readonly weights?: Tensor;
  /** f32 `[n, classes]`: what each logit adds to a KR value, where the targets say it. */
  readonly shares?: Tensor;
  /** A value of the batch, `[]` or `[n, ...]`, that is NaN where targets are wrong whose values could not be looked at before. */
  sure(value: Tensor): Tensor;
}

/**
 * Targets of logits `[n, classes]`: class indices, integers `[n]`, or rows of the logits' shape, 0/1 or -1/+1, of which one
 * or several are positive. Samples of class `ignoreIndex` do not count. Throws `SHAPE_MISMATCH` for another shape, and
 * `LABEL_OUT_OF_RANGE` for values that mean nothing: at once, or, in a compiled function, when it is called.
 */
export function classTargets(logits: Tensor, target: Tensor, ignoreIndex?: number): BatchTargets {
  return ofClasses(logits, target, ignoreIndex, ofCodes);
}

/** {@link classTargets} where rows may be probabilities too. */
export function probabilityTargets(logits: Tensor, target: Tensor, ignoreIndex?: number): BatchTargets {
  return ofClasses(logits, target, ignoreIndex, ofProbabilities);
}

/** {@link classTargets} of one class a sample: rows of several positive entries, or of none, are wrong too. */
export function singleClassTargets(logits: Tensor, target: Tensor, ignoreIndex?: number): BatchTargets {
  return ofClasses(logits, target, ignoreIndex, ofOneCode);
}

/**
 * Targets of logits of which each is for or against, as `processLabelsForMultiGpu` gives them: rows of the logits' shape, positive
 * where the logit is for its sample, which are the shares of the logits in a KR value. The logits come back as `[n, labels]`.
 */
export function shareTargets(logits: Tensor, target: Tensor): BatchTargets {
  checkTensors(logits, target);
  const [samples = 0] = logits.shape;
  if (logits.rank === 0 || target.size !== logits.size || target.shape[0] !== samples || target.dtype !== "f32") {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `with multiGpu, targets are what functional.processLabelsForMultiGpu() gives: f32 of the logits' shape ` +
        `[${logits.shape.join(", ")}]; given ${target.dtype} [${target.shape.join(", ")}]`,
      { shapes: [logits.shape, target.shape] },
    );
  }
  const shares = target.reshape([samples, logits.size / Math.max(samples, 1)]);
  const targets = rowsOf(shares.greater(0).cast("f32"), undefined, undefined);
  return { ...targets, shares, logits: logits.reshape(shares.shape) };
}

/**
 * Targets of samples that count as much as they weigh: their own weights f32 `[n]`, times those of their classes f32 `[classes]`, of
 * rows the sum of entries times weights. Without either all samples but those of `ignoreIndex` count alike. Throws `SHAPE_MISMATCH` where there are more or fewer of either, `INVALID_ARGUMENT` for
 * negative and infinite ones, and where targets hold shares.
 */
export function weighed(targets: BatchTargets, sampleWeights?: Tensor, classWeights?: Tensor): BatchTargets {
  const given = [sampleWeights, classWeights].filter((weights) => weights !== undefined);
  if (given.length === 0) return { ...targets, logits: keptLogits(targets.logits, targets.counted) };
  if (targets.shares !== undefined) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      "with multiGpu, targets say how much each sample counts; multiply them by its weight, and give no weights",
    );
  }
  const { rows, counted } = targets;
  const [samples = 0, classes = 0] = rows.shape;
  const factors = [
    ...(sampleWeights === undefined ? [] : [checkedWeights("sampleWeights", sampleWeights, samples)]),
    ...(classWeights === undefined ? [] : [rows.mul(checkedWeights("classWeights", classWeights, classes)).sum(1)]),
  ];
  const product = factors.reduce((a, b) => a.mul(b));
  const weights = counted === undefined ? product : counted.where(product, 0);
  // NaN counts.
  const weighs = weights.equal(0).not();
  return { ...targets, weights, counted: weighs, logits: keptLogits(targets.logits, weighs) };
}

/** Logits with 0 in the rows that do not count, through which no gradient runs either: 0 times what is infinite would be NaN. */
export function keptLogits(logits: Tensor, counted: Tensor | undefined): Tensor {
  return counted === undefined ? logits : counted.unsqueeze(1).where(logits, 0);
}

/** Weights f32 `[count]`. Throws as {@link weighed}. */
export function checkedWeights(name: string, weights: Tensor, count: number): Tensor {
  asTensor("a loss", weights);
  checkCount(name, weights, count);
  demandWeights(name, weights);
  return weights;
}

/** Refuses factors that are not `count` numbers: what broadcasts would be those of other classes. */
export function checkCount(name: string, factors: Tensor, count: number): void {
  if (factors.dtype === "f32" && hasShape(factors, [count])) return;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `${name} are f32 [${count}] here, one for each; given ${factors.dtype} [${factors.shape.join(", ")}]`,
    { shapes: [factors.shape, [count]] },
  );
}

/** The one class of each sample, i32 `[n]`, of targets as {@link probabilityTargets} takes them. */
export function oneClassTargets(
  logits: Tensor,
  target: Tensor,
  ignoreIndex?: number,
): BatchTargets & { indices: Tensor } {
  if (areIndices(logits, target)) {
    return { ...ofIndices(target, logits.shape[1] ?? 0, ignoreIndex), logits, indices: target.cast("i32") };
  }
  const targets = probabilityTargets(logits, target, ignoreIndex);
  demand(target, checkOneClass(logits.shape[1] ?? 0));
  return { ...targets, indices: target.cast("f32").argmax(1) };
}

/**
 * Targets of logits of which each is for or against: `[n]` or `[n, 1]` with a label a sample, 0/1 or -1/+1, or `[n, ...]` with
 * as many labels a sample, or with class indices. Samples whose one integer is `ignoreIndex` do not count. The logits come back as
 * `[n, labels]`.
 */
export function signTargets(logits: Tensor, target: Tensor, ignoreIndex?: number): BatchTargets {
  checkTensors(logits, target);
  const [samples = 0, ...rest] = logits.shape;
  if (logits.rank === 0) throw new TslipError("SHAPE_MISMATCH", "logits must have shape [n] or [n, ...]; given []");
  const matrix =
    logits.rank === 2 ? logits : logits.reshape([samples, rest.reduce((size, extent) => size * extent, 1)]);
  const [, labels = 0] = matrix.shape;
  const integers = isIndices(target, samples);
  if (labels !== 1 && integers) return { ...ofIndices(target, labels, ignoreIndex), logits: matrix };
  const fits =
    sameShape(target, logits) || (labels === 1 && [[samples], [samples, 1]].some((s) => hasShape(target, s)));
  const other = labels === 1 ? "a label a sample" : "integer class indices";
  if (!fits) throw misfit(logits, target, `${other}, [${samples}]`);
  if (ignoreIndex === undefined) return { ...ofCodes(target, matrix.shape), logits: matrix };
  if (!integers) throw notIndices(target, ignoreIndex);
  return { ...ofCodes(target, matrix.shape, ignoreIndex), logits: matrix };
}

/** Rows of 0/1 or -1/+1 `[n, labels]` by themselves. Throws `SHAPE_MISMATCH` for another shape. */
export function codeTargets(target: Tensor): Rows {
  checkTensors(target);
  if (target.rank === 2) return ofCodes(target);
  throw new TslipError(
    "SHAPE_MISMATCH",
    `labels are rows of 0 and 1, or -1 and +1, [n, labels]; given ${target.dtype} [${target.shape.join(", ")}]; make rows of class ` +
      "indices by oneHot(classes)",
  );
}

/** Samples of which all count alike, as many as rows, which are the logits too. */
export function everySample(rows: Tensor): BatchTargets {
  return { ...rowsOf(rows, undefined, undefined), logits: rows };
}

/** Numbers to which outputs are compared. Throws `SHAPE_MISMATCH` unless both shapes are the same: none broadcasts. */
export function numberTargets(output: Tensor, target: Tensor): Tensor {
  checkTensors(output, target);
  if (sameShape(output, target)) return target.cast("f32");
  throw new TslipError(
    "SHAPE_MISMATCH",
    `differences from outputs [${output.shape.join(", ")}] need targets of that shape; given ${target.dtype} ` +
      `[${target.shape.join(", ")}]; reshape either`,
    { shapes: [output.shape, target.shape] },
  );
}

/** What mixed targets are of. */
export interface Mixture {
  /** What mixed them. */
  readonly by: string;
  /** The loss that they are made for. */
  readonly loss: string;
  /** Whether they are mixed of -1 and +1. */
  readonly signed: boolean;
}

const mixtures = new WeakMap<Tensor, Mixture>();

/** The targets that a loss is given, where they lie between those of several samples. Losses of labels refuse them. */
export function asMixture(target: Tensor, mixture: Mixture): Tensor {
  mixtures.set(target, mixture);
  return target;
}

/** Has class indices checked against the number of classes. Whether that can be done. */
export function demandIndices(target: Tensor, classes: number, ignoreIndex?: number): boolean {
  return demand(target, (values) => {
    const at = values.findIndex((label: number) => label !== ignoreIndex && !(label >= 0 && label < classes));
    if (at < 0) return;
    const fromOne = values.every((label: number) => label === ignoreIndex || (label >= 1 && label <= classes));
    const ignored = ignoreIndex === undefined ? ` (with ignoreIndex: ${values[at]} such samples do not count)` : "";
    const remark = fromOne ? `; those given begin at 1: subtract 1 from each` : ignored;
    throw new TslipError(
      "LABEL_OUT_OF_RANGE",
      `the label of sample ${at} is ${values[at]}; ${classes} logits are for labels from 0 to ${classes - 1}${remark}`,
    );
  });
}

function ofClasses(
  logits: Tensor,
  target: Tensor,
  ignoreIndex: number | undefined,
  ofRows: (target: Tensor) => Rows,
): BatchTargets {
  if (areIndices(logits, target)) return { ...ofIndices(target, logits.shape[1] ?? 0, ignoreIndex), logits };
  if (ignoreIndex === undefined) return { ...ofRows(target), logits };
  throw notIndices(target, ignoreIndex);
}

function notIndices(target: Tensor, ignoreIndex: number): TslipError {
  return new TslipError(
    "INVALID_ARGUMENT",
    `ignoreIndex ${ignoreIndex} is for class indices; given rows ${target.dtype} [${target.shape.join(", ")}]`,
  );
}

function ofIndices(target: Tensor, classes: number, ignoreIndex?: number): Rows {
  const known = demandIndices(target, classes, ignoreIndex);
  const rows = target.oneHot(classes);
  if (ignoreIndex === undefined && known) return rowsOf(rows, undefined, undefined);
  const indices = target.cast("i32");
  const counted = ignoreIndex === undefined ? undefined : indices.notEqual(ignoreIndex);
  const inside = known ? undefined : indices.greaterEqual(0).and(indices.less(classes));
  return rowsOf(
    counted === undefined ? rows : counted.unsqueeze(1).where(rows, 0),
    counted,
    counted === undefined ? inside : inside?.or(counted.not()),
  );
}

/** Rows of 0/1 or -1/+1 with one positive entry each. */
function ofOneCode(target: Tensor): Rows {
  const targets = ofCodes(target);
  if (demand(target, checkOneClass(target.shape[1] ?? 0))) return targets;
  const single = targets.rows.sum(1).equal(1);
  return { ...targets, sure: (value) => targets.sure(rowsOf(targets.rows, undefined, single).sure(value)) };
}

/** Rows of 0/1 or -1/+1, of this shape: a class with a positive entry is one of the sample's. */
function ofCodes(target: Tensor, shape = target.shape, ignoreIndex?: number): Rows {
  refuseMixture(target, () => true, "takes labels that are 0 or 1, or -1 or +1: mixed ones mean nothing to it");
  const known = demand(target, (values) => checkCodes(values, ignoreIndex));
  const given = hasShape(target, shape) ? target.cast("f32") : target.cast("f32").reshape(shape);
  const coded = known ? undefined : given.abs().equal(1).or(given.equal(0)).all(1);
  const rows = given.greater(0).cast("f32");
  if (ignoreIndex === undefined) return rowsOf(rows, undefined, coded);
  const counted = target.cast("i32").notEqual(ignoreIndex);
  return rowsOf(counted.unsqueeze(1).where(rows, 0), counted, coded?.or(counted.not()));
}

function ofProbabilities(target: Tensor): Rows {
  refuseMixture(target, ({ signed }) => signed, "takes mixed rows of 0 and 1, of -1 and +1 none");
  const known = demand(target, checkProbabilities);
  const given = target.cast("f32");
  // -1 is the 0 of the other code.
  return rowsOf(given.maximum(0), undefined, known ? undefined : given.greaterEqual(0).or(given.equal(-1)).all(1));
}

function refuseMixture(target: Tensor, refused: (mixture: Mixture) => boolean, why: string): void {
  const mixture = mixtures.get(target);
  if (mixture === undefined || !refused(mixture)) return;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${mixture.by} mixes targets, and ${mixture.loss} ${why}; take a loss of probabilities, such as CrossEntropyLoss, or leave it out`,
  );
}

function rowsOf(rows: Tensor, counted: Tensor | undefined, right: Tensor | undefined): Rows {
  const sure = (value: Tensor): Tensor => {
    if (right === undefined) return value;
    const of = value.rank === 0 ? right.all() : right.reshape([right.size, ...value.shape.slice(1).map(() => 1)]);
    return of.where(value, scalar(Number.NaN));
  };
  return { rows, counted, sure };
}

function areIndices(logits: Tensor, target: Tensor): boolean {
  checkTensors(logits, target);
  checkLogits("a loss or metric of classes", logits.shape);
  const [samples = 0] = logits.shape;
  if (isIndices(target, samples)) return true;
  if (sameShape(target, logits)) return false;
  throw misfit(logits, target, `integer class indices, [${samples}]`);
}

function checkTensors(...given: readonly unknown[]): void {
  for (const one of given) asTensor("a loss or metric", one);
}

function isIndices(target: Tensor, samples: number): boolean {
  return hasShape(target, [samples]) && (target.dtype === "i32" || target.dtype === "u8");
}

function checkCodes(values: Parameters<ValueCheck>[0], ignoreIndex?: number): void {
  let [zero, minus] = [-1, -1];
  values.forEach((value: number, at: number) => {
    if (value === ignoreIndex) return;
    if (value === 0) zero = at;
    else if (value === -1) minus = at;
    else if (value !== 1) {
      const other =
        Number.isInteger(value) && ignoreIndex === undefined ? "; labels that do not count are ignoreIndex" : "";
      throw new TslipError(
        "LABEL_OUT_OF_RANGE",
        `targets are 0 and 1, or -1 and +1; given ${value} (element ${at})${other}`,
      );
    }
  });
  if (zero < 0 || minus < 0) return;
  throw new TslipError(
    "LABEL_OUT_OF_RANGE",
    `targets are 0 and 1, or -1 and +1; given 0 (element ${zero}) beside -1 (element ${minus})`,
  );
}

const checkProbabilities: ValueCheck = (values) => {
  if (values.every((value: number) => value >= 0)) return;
  try {
    checkCodes(values);
  } catch {
    const at = values.findIndex((value: number) => !(value >= 0));
    throw new TslipError(
      "LABEL_OUT_OF_RANGE",
      `rows are probabilities, or one-hot (0 and 1, or -1 and +1); given ${values[at]} (element ${at})`,
    );
  }
};

function checkOneClass(classes: number): ValueCheck {
  return (values) => {
    for (let start = 0; start < values.length; start += classes) {
      const row = values.subarray(start, start + classes);
      let largest = Number.NEGATIVE_INFINITY;
      for (const value of row) largest = Math.max(largest, value);
      const [first, last] = [row.indexOf(largest), row.lastIndexOf(largest)];
      if (first === last) continue;
      throw new TslipError(
        "LABEL_OUT_OF_RANGE",
        `row ${start / classes} of the targets names no single class: classes ${first} and ${last} both have ${largest}; for ` +
          "several classes a sample take multilabelAccuracy(), and losses such as HKRMulticlassLoss or HingeMulticlassLoss",
      );
    }
  };
}

function misfit(logits: Tensor, target: Tensor, other: string): TslipError {
  return new TslipError(
    "SHAPE_MISMATCH",
    `targets for logits [${logits.shape.join(", ")}] are ${other}, or rows of the logits' shape; ` +
      `given ${target.dtype} [${target.shape.join(", ")}]`,
    { shapes: [logits.shape, target.shape] },
  );
}

function sameShape(a: Tensor, b: Tensor): boolean {
  return hasShape(a, b.shape);
}

function hasShape(tensor: Tensor, shape: readonly number[]): boolean {
  return tensor.rank === shape.length && tensor.shape.every((extent, axis) => extent === shape[axis]);
}
