// Functions that make tensors: from data, constant, counted, random.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { asGiven, optional, readOptions } from "../options.js";
import { type ArrayData, DTYPE, type DType, newArray, type TypedArray } from "./dtype.js";
import { Generator } from "./generator.js";
import { seedOf } from "./random.js";
import { checkShape, type Shape, showShape, sizeOf, wholeNumber } from "./shape.js";
import { scalar, Tensor, Value } from "./tensor.js";
import { currentTrace } from "./trace.js";

/** Numbers (or booleans) nested to any depth; every level must be even. */
export type Nested = number | boolean | readonly Nested[];

/** What {@link tensor} takes as data. */
export type TensorData = Nested | ArrayData;

const TYPED = { dtype: optional(DTYPE) };
const SEEDED = { seed: asGiven<number | undefined>() };

/**
 * A tensor of the given values, copied. Nested arrays give the shape; with `shape` the values are laid out row-major.
 * Element type: that of the typed array (f32 for `Float64Array`, u8 for `Uint8ClampedArray`), bool for booleans, otherwise f32, unless `dtype` says
 * otherwise. Throws `SHAPE_MISMATCH` on ragged arrays and on a shape of another size.
 */
export function tensor(data: TensorData, shape?: Shape, options: { dtype?: DType } = {}): Value {
  if (shape !== undefined) checkShape(shape);
  const { dtype: asked } = readOptions("tensor", TYPED, options);
  const given = isTyped(data) ? { values: data, shape: [data.length], dtype: dtypeOf(data) } : nested(data);
  const dtype = asked ?? given.dtype;
  if (shape !== undefined) checkSize(shape, given.values.length);
  const values = newArray(dtype, given.values.length);
  if (dtype === "f32" || given.dtype === dtype) values.set(given.values);
  else copyWhole(given.values, values, dtype);
  return new Value(values, [...(shape ?? given.shape)], dtype);
}

/**
 * {@link tensor} in the caller's own memory where it can be read as it is: for values that are passed on before the caller
 * can write to it again.
 */
export function borrowed(data: ArrayData, shape: Shape): Value {
  if (!(data instanceof Float32Array || data instanceof Int32Array || data instanceof Uint8Array))
    return tensor(data, shape);
  checkShape(shape);
  checkSize(shape, data.length);
  return new Value(data, [...shape], dtypeOf(data));
}

function checkSize(shape: Shape, given: number): void {
  if (sizeOf(shape) === given) return;
  throw new TslipError("SHAPE_MISMATCH", `shape ${showShape(shape)} holds ${sizeOf(shape)} values; given ${given}`, {
    op: "tensor",
    shapes: [shape],
  });
}

function isTyped(data: TensorData): data is Exclude<ArrayData, readonly number[]> {
  return ArrayBuffer.isView(data);
}

function dtypeOf(data: Exclude<ArrayData, readonly number[]>): DType {
  if (data instanceof Int32Array) return "i32";
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return "u8";
  if (data instanceof Float32Array || data instanceof Float64Array) return "f32";
  throw new TslipError(
    "DTYPE_MISMATCH",
    `typed arrays of a tensor are Float32Array, Float64Array (rounded to f32), Int32Array, Uint8Array and Uint8ClampedArray; given ${describe(data)}`,
  );
}

function copyWhole(from: ArrayLike<number>, to: TypedArray, dtype: DType): void {
  const [least, most] = dtype === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [0, dtype === "bool" ? 1 : 255];
  for (let i = 0; i < from.length; i++) {
    const value = from[i] ?? Number.NaN;
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new TslipError("DTYPE_MISMATCH", `value ${value} at position ${i} is no ${dtype} (${least} to ${most})`);
    }
    to[i] = value;
  }
}

function nested(data: Nested): { values: number[]; shape: number[]; dtype: DType } {
  const shape: number[] = [];
  for (let level: Nested | undefined = data; Array.isArray(level); level = level[0]) shape.push(level.length);
  const values: number[] = [];
  let booleans = 0;
  const visit = (item: Nested | undefined, depth: number): void => {
    if (Array.isArray(item)) {
      if (item.length !== shape[depth]) throw ragged(shape);
      for (const inner of item) visit(inner, depth + 1);
    } else if (depth < shape.length) {
      throw ragged(shape);
    } else if (typeof item === "number" || typeof item === "boolean") {
      if (typeof item === "boolean") booleans += 1;
      values.push(Number(item));
    } else {
      throw new TslipError("INVALID_ARGUMENT", `a tensor holds numbers or booleans; given ${describe(item)}`);
    }
  };
  visit(data, 0);
  return { values, shape, dtype: booleans > 0 && booleans === values.length ? "bool" : "f32" };
}

function ragged(shape: Shape): TslipError {
  return new TslipError(
    "SHAPE_MISMATCH",
    `the nested arrays are ragged: the first entries say shape ${showShape(shape)}, others differ; make all rows of a level equally long`,
    { op: "tensor" },
  );
}

/** A constant of one value. */
export function full(shape: Shape, value: number, options: { dtype?: DType } = {}): Tensor {
  checkShape(shape);
  const { dtype = "f32" } = readOptions("a tensor of one value", TYPED, options);
  const one = scalar(value, dtype);
  return one instanceof Value ? one.broadcastTo(shape) : Tensor.make("full", { shape: [...shape], value, dtype }, []);
}

export function zeros(shape: Shape, options: { dtype?: DType } = {}): Tensor {
  return full(shape, 0, options);
}

export function ones(shape: Shape, options: { dtype?: DType } = {}): Tensor {
  return full(shape, 1, options);
}

/**
 * The numbers start, start + step, … below `stop`: `arange(stop)` or `arange(start, stop, step)`. i32 when all three
 * are whole, otherwise f32, unless `dtype` says so.
 */
export function arange(stop: number, options?: { dtype?: DType }): Tensor;
export function arange(start: number, stop: number, step?: number, options?: { dtype?: DType }): Tensor;
export function arange(a: number, b?: number | { dtype?: DType }, c = 1, d: { dtype?: DType } = {}): Tensor {
  const [start, stop, options] = typeof b === "number" ? [a, b, d] : [0, a, b ?? d];
  if (!Number.isFinite(start) || !Number.isFinite(stop) || !Number.isFinite(c) || c === 0) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `arange needs finite bounds and a step other than 0; given ${[start, stop, c].map(describe).join(", ")}`,
    );
  }
  const length = Math.max(0, Math.ceil((stop - start) / c));
  const { dtype = [start, stop, c].every(Number.isInteger) ? "i32" : "f32" } = readOptions("arange", TYPED, options);
  const count = Tensor.make("iota", { shape: [length], axis: 0, dtype }, []);
  const scaled = c === 1 ? count : count.mul(c);
  return start === 0 ? scaled : scaled.add(start);
}

/** Ones where row and column are equal, zeros elsewhere. */
export function eye(rows: number, columns = rows, options: { dtype?: DType } = {}): Tensor {
  const { dtype = "f32" } = readOptions("eye", TYPED, options);
  const shape = [wholeNumber("rows of eye", rows, 0), wholeNumber("columns of eye", columns, 0)];
  const index = (axis: number): Tensor => Tensor.make("iota", { shape, axis, dtype: "i32" }, []);
  return index(0).equal(index(1)).cast(dtype);
}

/**
 * Uniform numbers in [0, 1), f32 of `shape`. The same seed gives the same numbers on every device, and at each call of a compiled
 * function. Without a seed each call of it and each step of a native loop draws numbers of its own, the same again after
 * `manualSeed` or after the step's states were put back (see {@link Generator}).
 */
export function rand(shape: Shape, options: { seed?: number } = {}): Tensor {
  return random(shape, "uniform", options);
}

/** Uniform numbers in ±`bound`, drawn as by {@link rand}. */
export function uniform(shape: Shape, bound: number, options: { seed?: number } = {}): Tensor {
  return rand(shape, options)
    .mul(2 * bound)
    .sub(bound);
}

/** Normal numbers of mean 0 and variance 1, drawn as by {@link rand}. */
export function randn(shape: Shape, options: { seed?: number } = {}): Tensor {
  return random(shape, "normal", options);
}

function random(shape: Shape, distribution: "uniform" | "normal", options: { seed?: number }): Tensor {
  checkShape(shape);
  const { seed } = readOptions("a random tensor", SEEDED, options);
  if (seed === undefined && currentTrace() !== undefined) return Generator.shared[distribution](shape);
  return Tensor.make("random", { shape: [...shape], distribution, seed: seedOf(seed) }, []);
}

/**
 * A matrix with orthonormal rows or columns (whichever are fewer): the QR factor of a normal matrix.
 * @throws TslipError `TRACE` without a seed inside a compiled function, where each call would have the same one.
 */
export function orthogonal(rows: number, columns: number, options: { seed?: number } = {}): Tensor {
  const shape = [wholeNumber("rows of orthogonal", rows, 0), wholeNumber("columns of orthogonal", columns, 0)];
  const { seed } = readOptions("orthogonal", SEEDED, options);
  if (seed === undefined && currentTrace() !== undefined) {
    throw new TslipError(
      "TRACE",
      `orthogonal(${rows}, ${columns}) inside a compiled function would be the same matrix at every call; make it outside, or give ` +
        "{ seed } if that is meant",
      { op: "orthogonal" },
    );
  }
  return Tensor.make("orthogonal", { shape, seed: seedOf(seed) }, []);
}
