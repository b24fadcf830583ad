// Methods of Tensor that are made of several ops.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { flag, readOptions } from "../options.js";
import { axesOf, axisOf, showShape, sizeOf, wholeNumber } from "./shape.js";
// biome-ignore lint/suspicious/noImportCycles: methods made of other methods; none is called while either module loads.
import { type Axes, asTensor, lift, type Operand, scalar, Tensor } from "./tensor.js";

type KeepDims = { keepdims?: boolean };

export const KEEPDIMS = { keepdims: flag(false) };
const TOPK = { largest: flag(true) };
const MATMUL = { transposeA: flag(false), transposeB: flag(false) };

/** Limits values to [min, max]. */
export function clip(x: Tensor, min?: Operand, max?: Operand): Tensor {
  if (min === undefined && max === undefined) return x.cast(x.dtype);
  const above = min === undefined ? x : x.maximum(min);
  return max === undefined ? above : above.minimum(max);
}

/** `a` where the condition holds, `b` elsewhere; two numbers give f32. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const like = a instanceof Tensor ? a : b instanceof Tensor ? b : undefined;
  const operand = (x: Operand): Tensor =>
    like === undefined && typeof x === "number" ? scalar(x) : lift(x, like ?? condition);
  return Tensor.make("where", {}, [condition, operand(a), operand(b)]);
}

/** Joins the axes from `start` to the last. */
export function flatten(x: Tensor, start: number): Tensor {
  if (x.rank === 0) return x.reshape([1]);
  const from = axisOf(start, x.rank);
  return x.reshape([...x.shape.slice(0, from), sizeOf(x.shape.slice(from))]);
}

/** Swaps two axes. */
export function transpose(x: Tensor, a: number, b: number): Tensor {
  const [from, to] = [axisOf(a, x.rank), axisOf(b, x.rank)];
  return x.permute(x.shape.map((_, i) => (i === from ? to : i === to ? from : i)));
}

/** Inserts an axis of extent 1. */
export function unsqueeze(x: Tensor, axis: number): Tensor {
  return x.reshape(x.shape.toSpliced(axisOf(axis, x.rank + 1), 0, 1));
}

/** Removes an axis of extent 1. */
export function squeeze(x: Tensor, axis: number): Tensor {
  const at = axisOf(axis, x.rank);
  if (x.shape[at] !== 1) {
    throw new TslipError("SHAPE_MISMATCH", `squeeze(${axis}) needs extent 1 there; given shape ${showShape(x.shape)}`);
  }
  return x.reshape(x.shape.toSpliced(at, 1));
}

/** A part of every axis; see {@link Tensor.slice}. */
export function slice(
  x: Tensor,
  starts: readonly number[],
  stops: readonly number[] = [],
  steps: readonly number[] = [],
): Tensor {
  const position = (given: number | undefined, extent: number, otherwise: number): number => {
    if (given === undefined) return otherwise;
    wholeNumber("a position of slice", given, Number.MIN_SAFE_INTEGER);
    return Math.min(extent, Math.max(0, given < 0 ? given + extent : given));
  };
  for (const given of [starts, stops, steps]) {
    if (Array.isArray(given)) continue;
    throw new TslipError("INVALID_ARGUMENT", `slice takes arrays of positions, one an axis; given ${describe(given)}`);
  }
  if (Math.max(starts.length, stops.length, steps.length) > x.rank) {
    throw new TslipError("INVALID_ARGUMENT", `slice names more axes than shape ${showShape(x.shape)} has`);
  }
  return Tensor.make(
    "slice",
    {
      starts: x.shape.map((extent, i) => position(starts[i], extent, 0)),
      stops: x.shape.map((extent, i) => position(stops[i], extent, extent)),
      steps: x.shape.map((_, i) => wholeNumber("a step of slice", steps[i] ?? 1, 1)),
    },
    [x],
  );
}

/** Tensors one after another along `axis`. */
export function concat(tensors: readonly Tensor[], axis = 0): Tensor {
  const [first] = Array.isArray(tensors) ? tensors.map((given) => asTensor("concat", given)) : [];
  if (first === undefined)
    throw new TslipError(
      "INVALID_ARGUMENT",
      `concat needs an array of at least one tensor; given ${describe(tensors)}`,
    );
  return Tensor.make("concat", { axis: axisOf(axis, first.rank) }, tensors);
}

/** Tensors of one shape side by side along a new axis. */
export function stack(tensors: readonly Tensor[], axis = 0): Tensor {
  return concat(Array.isArray(tensors) ? tensors.map((t) => asTensor("stack", t).unsqueeze(axis)) : tensors, axis);
}

/** Arithmetic mean. */
export function mean(x: Tensor, axes?: Axes, options: KeepDims = {}): Tensor {
  const count = sizeOf(axesOf(axes, x.rank).map((axis) => x.shape[axis] ?? 1));
  return x.sum(axes, options).mul(1 / count);
}

/** log(sum(exp)), shifted by the maximum so that it does not overflow. */
export function logsumexp(x: Tensor, axes?: Axes, options: KeepDims = {}): Tensor {
  const { keepdims } = readOptions("logsumexp", KEEPDIMS, options);
  const over = axesOf(axes, x.rank);
  const peak = x.max(over, { keepdims: true }).stopGradient();
  const shift = where(peak.isFinite(), peak, 0);
  const kept = x.sub(shift).exp().sum(over, { keepdims: true }).log().add(shift);
  return keepdims ? kept : kept.reshape(x.shape.filter((_, i) => !over.includes(i)));
}

/** exp(x) over its sum along `axis`. */
export function softmax(x: Tensor, axis: number): Tensor {
  const powers = x.sub(x.max(axis, { keepdims: true }).stopGradient()).exp();
  return powers.div(powers.sum(axis, { keepdims: true }));
}

/** Logarithm of {@link softmax}; the shift by the maximum comes first, so that large logits keep their digits. */
export function logSoftmax(x: Tensor, axis: number): Tensor {
  const shifted = x.sub(x.max(axis, { keepdims: true }).stopGradient());
  return shifted.sub(shifted.exp().sum(axis, { keepdims: true }).log());
}

/** argmax or argmin, over everything without an axis. */
export function argReduce(op: "argmax" | "argmin", x: Tensor, axis: number | undefined): Tensor {
  if (axis === undefined) return argReduce(op, x.reshape([x.size]), 0);
  return Tensor.make(op, { axis: axisOf(axis, x.rank) }, [x]);
}

/** Sorted values and where they came from; stable. */
export function sort(x: Tensor, axis: number, options: { descending?: boolean }): { values: Tensor; indices: Tensor } {
  const indices = x.argsort(axis, options);
  return { values: x.takeAlong(indices, axis), indices };
}

/** The k largest (or smallest) values along an axis, best first. */
export function topk(
  x: Tensor,
  k: number,
  axis: number,
  options: { largest?: boolean },
): { values: Tensor; indices: Tensor } {
  const at = axisOf(axis, x.rank);
  const extent = x.shape[at] ?? 0;
  const { largest } = readOptions("topk", TOPK, options);
  if (wholeNumber("k of topk", k, 0) > extent) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `topk(${k}) along axis ${axis}: shape ${showShape(x.shape)} has only ${extent} there`,
    );
  }
  const order = x.argsort(at, { descending: largest });
  const indices = order.slice(
    [],
    x.shape.map((n, i) => (i === at ? k : n)),
  );
  return { values: x.takeAlong(indices, at), indices };
}

/** Matrix product; vectors are lifted to matrices and back. */
export function matmul(a: Tensor, b: Tensor, options: { transposeA?: boolean; transposeB?: boolean }): Tensor {
  const { transposeA, transposeB } = readOptions("matmul", MATMUL, options);
  asTensor("matmul", b);
  if (a.rank === 1) return matmul(a.unsqueeze(0), b, { transposeB }).squeeze(b.rank === 1 ? 0 : -2);
  if (b.rank === 1) return matmul(a, b.unsqueeze(1), { transposeA }).squeeze(-1);
  return Tensor.make("matmul", { transposeA, transposeB }, [a, b]);
}
