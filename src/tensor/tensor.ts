// Tensor: a plain immutable description of a value, and the methods that build such descriptions.

import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type Attributes, inferShape } from "../native.js";
import { choice, flag, number, readOptions } from "../options.js";
// biome-ignore lint/suspicious/noImportCycles: methods made of other methods; none is called while either module loads.
import * as composite from "./composite.js";
import { type ConvolutionOptions, convolutionAttributes } from "./convolution.js";
import { copyOf, DTYPE, type DType, type TypedArray } from "./dtype.js";
import { evaluate, evaluateSync } from "./evaluate.js";
import { topological } from "./graph.js";
import { axesOf, axisOf, checkShape, completeShape, type Shape, showShape, sizeOf, wholeNumber } from "./shape.js";
import { INSPECT, jsonOf, showValues, type TensorJson } from "./show.js";
import { currentTrace, latest, type Trace, traceOf } from "./trace.js";

/** What elementwise methods take beside a tensor: numbers are lifted to 0-d constants of the tensor's element type. */
export type Operand = Tensor | number;

/** Fails for what is no tensor, which only JavaScript can give to `what`. */
export function asTensor(what: string, given: unknown): Tensor {
  if (given instanceof Tensor) return given;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${what} takes tensors; given ${describe(given)}; make one with tensor(data, shape)`,
  );
}

/** One axis or several; all of them when left out. */
export type Axes = number | readonly number[];

/** How `pad` fills what it adds. */
export type PadMode = "constant" | "reflect" | "replicate" | "circular" | "symmetric";

const PAD = {
  mode: choice<PadMode>(["constant", "reflect", "replicate", "circular", "symmetric"], "constant"),
  value: number("a number", () => true, 0),
};
const ARGSORT = { descending: flag(false) };

/**
 * An n-dimensional array as an expression `{ op, attributes, inputs, shape, dtype }`. It owns no native memory. Outside
 * `compile` it is computed when asked for, with the states as they are then; inside, it is symbolic. Elementwise
 * methods broadcast as in NumPy. A wrong shape throws `SHAPE_MISMATCH` where the method is called.
 */
export class Tensor {
  #attributesJson: string | undefined;

  constructor(
    readonly op: string,
    readonly attributes: Attributes,
    readonly inputs: readonly Tensor[],
    readonly shape: Shape,
    readonly dtype: DType,
    /** The trace it belongs to when it is symbolic. */
    readonly trace: Trace | undefined,
  ) {}

  /** A node of the graph; the engine infers its shape and type. */
  static make(op: string, attributes: Attributes, inputs: readonly Tensor[]): Tensor {
    const operands = inputs.map((input) => latest(asTensor(op, input)));
    const trace = traceOf(op, operands);
    const json = jsonOfAttributes(attributes);
    const { shape, dtype } = inferShape(op, json, operands);
    const tensor = new Tensor(op, attributes, operands, shape, dtype, trace);
    tensor.#attributesJson = json;
    return tensor;
  }

  /** The attributes as they cross to the engine. */
  get attributesJson(): string {
    return this.#attributesJson ?? jsonOfAttributes(this.attributes);
  }

  /** Number of axes. */
  get rank(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  // Values

  /** Computes the values, row-major; at once where they are held already. Throws `TRACE` on a symbolic tensor. */
  data(): TypedArray | Promise<TypedArray> {
    this.#refuseSymbolic("data()");
    return evaluate(this);
  }

  /** Computes the values on the caller's time. Throws `TRACE` on a symbolic tensor. */
  dataSync(): TypedArray {
    this.#refuseSymbolic("dataSync()");
    return evaluateSync([this])[0];
  }

  /** The only value of a tensor of one element, computed on the caller's time. Throws `TRACE` on a symbolic tensor. */
  item(): number {
    if (!(this instanceof Value)) this.#refuseSymbolic("item()");
    const { size } = this;
    if (size !== 1) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `item() needs exactly one element; this tensor has shape ${showShape(this.shape)}`,
      );
    }
    return this.dataSync()[0] ?? Number.NaN;
  }

  /**
   * What it is; with its values, elided where they are many, if it is made of constants alone: computed on the caller's time. What
   * reads states or is symbolic says so instead.
   */
  toString(): string {
    const values = this.shown();
    if (values !== undefined) {
      return `${this.heading}${this.rank > 1 ? "\n" : " "}${showValues(values, this.shape, this.dtype)}`;
    }
    const why = this.trace === undefined ? "data() reads it" : "symbolic: it has values in a call alone";
    return `${this.heading} (${this.op}; ${why})`;
  }

  /** What `console.log` prints: {@link toString}, or without values where it stands deep in other objects. */
  [INSPECT](depth: number): string {
    return depth < 0 ? this.heading : this.toString();
  }

  /** Shape, element type and values for `JSON.stringify`, on the caller's time. Throws `TRACE` on a symbolic tensor. */
  toJSON(): TensorJson {
    return { shape: this.shape, dtype: this.dtype, data: jsonOf(this.dataSync()) };
  }

  /** Text for a template; a tensor is no number, so that one in a condition or a sum throws. */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return this.toString();
    const symbolic = this.trace !== undefined || currentTrace() !== undefined;
    throw new TslipError(
      symbolic ? "TRACE" : "INVALID_ARGUMENT",
      `${this.heading} stands where JavaScript needs a number, as in a > b or a + b: choose by a.greater(b).where(x, y), compute by ` +
        `a.add(b)${symbolic ? "; inside a compiled function a tensor has no value yet" : ", or read a number by a.item()"}`,
    );
  }

  /** Kind, element type and shape, as texts name it. */
  protected get heading(): string {
    return `${this.constructor.name} ${this.dtype} ${showShape(this.shape)}`;
  }

  /** Values that can be shown: those of constants, outside of a recording. */
  protected shown(): TypedArray | undefined {
    if (currentTrace() !== undefined || this.trace !== undefined) return undefined;
    return topological([this]).some(({ op }) => op === "state") ? undefined : this.dataSync();
  }

  #refuseSymbolic(what: string): void {
    // A parameter-only value is known while tracing, but would be baked into every later call.
    if (this.trace === undefined && currentTrace() === undefined) return;
    throw new TslipError(
      "TRACE",
      `${what} of a symbolic tensor: inside a compiled function a tensor has no value yet; return it as a result and read it there`,
    );
  }

  // Elementwise

  add(other: Operand): Tensor {
    return binary("add", this, other);
  }
  sub(other: Operand): Tensor {
    return binary("sub", this, other);
  }
  mul(other: Operand): Tensor {
    return binary("mul", this, other);
  }
  div(other: Operand): Tensor {
    return binary("div", this, other);
  }
  pow(exponent: Operand): Tensor {
    return binary("pow", this, exponent);
  }
  maximum(other: Operand): Tensor {
    return binary("maximum", this, other);
  }
  minimum(other: Operand): Tensor {
    return binary("minimum", this, other);
  }
  neg(): Tensor {
    return unary("neg", this);
  }
  abs(): Tensor {
    return unary("abs", this);
  }
  exp(): Tensor {
    return unary("exp", this);
  }
  log(): Tensor {
    return unary("log", this);
  }
  sqrt(): Tensor {
    return unary("sqrt", this);
  }
  square(): Tensor {
    return unary("square", this);
  }
  relu(): Tensor {
    return unary("relu", this);
  }
  sigmoid(): Tensor {
    return unary("sigmoid", this);
  }
  tanh(): Tensor {
    return unary("tanh", this);
  }
  atanh(): Tensor {
    return unary("atanh", this);
  }
  sign(): Tensor {
    return unary("sign", this);
  }
  reciprocal(): Tensor {
    return unary("reciprocal", this);
  }
  floor(): Tensor {
    return unary("floor", this);
  }
  /** Limits values to [min, max]; either may be left out. */
  clip(min?: Operand, max?: Operand): Tensor {
    return composite.clip(this, min, max);
  }

  // Comparison and logic, element type bool

  equal(other: Operand): Tensor {
    return binary("equal", this, other);
  }
  notEqual(other: Operand): Tensor {
    return this.equal(other).not();
  }
  less(other: Operand): Tensor {
    return binary("less", this, other);
  }
  lessEqual(other: Operand): Tensor {
    return binary("less_equal", this, other);
  }
  greater(other: Operand): Tensor {
    return binary("less", lift(other, this), this);
  }
  greaterEqual(other: Operand): Tensor {
    return binary("less_equal", lift(other, this), this);
  }
  and(other: Tensor): Tensor {
    return binary("and", this, other);
  }
  or(other: Tensor): Tensor {
    return binary("or", this, other);
  }
  not(): Tensor {
    return unary("not", this);
  }
  /** True where the value is neither infinite nor NaN. */
  isFinite(): Tensor {
    return unary("is_finite", this);
  }
  /** True where all elements along the axes are (of a bool tensor). */
  all(axes?: Axes): Tensor {
    return this.not().any(axes).not();
  }
  /** True where some element along the axes is (of a bool tensor). */
  any(axes?: Axes): Tensor {
    return lift(0, this.cast("f32")).less(this.cast("f32").sum(axes));
  }
  /** Of a bool tensor: `a` where it is true, `b` elsewhere. */
  where(a: Operand, b: Operand): Tensor {
    return composite.where(this, a, b);
  }

  /** The same values as another element type; what is of that type already stays as it is. */
  cast(dtype: DType): Tensor {
    // A state itself would read as what it is assigned later; its value of now does not.
    return dtype === this.dtype && this.op !== "state"
      ? this
      : Tensor.make("cast", { dtype: DTYPE.read("dtype", dtype) }, [this]);
  }
  /** The same values as a constant of differentiation. */
  stopGradient(): Tensor {
    return unary("stop_gradient", this);
  }

  // Shape

  /** The same elements in row-major order under another shape; one extent may be -1. */
  reshape(shape: Shape): Tensor {
    return Tensor.make("reshape", { shape: completeShape(shape, this.size) }, [this]);
  }
  /** Joins the axes from `start` to the last into one. */
  flatten(start = 0): Tensor {
    return composite.flatten(this, start);
  }
  /** Reorders the axes: axis i of the result is axis `axes[i]` of this. */
  permute(axes: readonly number[]): Tensor {
    return Tensor.make("permute", { axes: numbersOf("axes of permute", axes).map((axis) => axisOf(axis, this.rank)) }, [
      this,
    ]);
  }
  /** Swaps two axes, by default the last two. */
  transpose(a = -2, b = -1): Tensor {
    return composite.transpose(this, a, b);
  }
  broadcastTo(shape: Shape): Tensor {
    checkShape(shape);
    return Tensor.make("broadcast_to", { shape: [...shape] }, [this]);
  }
  /** Inserts an axis of extent 1 before `axis` (of the result). */
  unsqueeze(axis: number): Tensor {
    return composite.unsqueeze(this, axis);
  }
  /** Removes an axis of extent 1. */
  squeeze(axis: number): Tensor {
    return composite.squeeze(this, axis);
  }

  /**
   * The part from `starts` to `stops` (exclusive), axis by axis; negative positions count from the end, axes not
   * mentioned are kept whole.
   */
  slice(starts: readonly number[], stops?: readonly number[], steps?: readonly number[]): Tensor {
    return composite.slice(this, starts, stops, steps);
  }
  /** Adds `before[i]` and `after[i]` elements around axis i. */
  pad(before: readonly number[], after: readonly number[], options: { mode?: PadMode; value?: number } = {}): Tensor {
    const { mode, value } = readOptions("pad", PAD, options);
    const counts = (given: readonly number[]) =>
      numbersOf("counts of pad", given).map((n) => wholeNumber("a count of pad", n, 0));
    return Tensor.make("pad", { before: counts(before), after: counts(after), mode, value }, [this]);
  }
  /** This tensor and `others`, one after another along `axis`. */
  concat(others: Tensor | readonly Tensor[], axis = 0): Tensor {
    return composite.concat([this, ...(Array.isArray(others) ? others : [others])], axis);
  }
  /** Picks positions of `axis`, which the shape of `indices` (i32) replaces; where an index is no position it gives 0. */
  gather(indices: Tensor, axis = 0): Tensor {
    return Tensor.make("gather", { axis: axisOf(axis, this.rank) }, [this, indices]);
  }
  /** Picks along `axis` by indices (i32) of the same rank; where an index is no position it gives 0. */
  takeAlong(indices: Tensor, axis = -1): Tensor {
    return Tensor.make("take_along", { axis: axisOf(axis, this.rank) }, [this, indices]);
  }
  /** Labels (i32 or u8) to rows of 0 and 1: a new last axis of `classes` f32 values; all 0 where a label is no class. */
  oneHot(classes: number): Tensor {
    return Tensor.make("one_hot", { classes: wholeNumber("classes of oneHot", classes, 1) }, [this]);
  }

  // Reductions: over all axes unless some are named

  sum(axes?: Axes, options?: { keepdims?: boolean }): Tensor {
    return reduce("sum", this, axes, options);
  }
  max(axes?: Axes, options?: { keepdims?: boolean }): Tensor {
    return reduce("max", this, axes, options);
  }
  min(axes?: Axes, options?: { keepdims?: boolean }): Tensor {
    return reduce("min", this, axes, options);
  }
  mean(axes?: Axes, options?: { keepdims?: boolean }): Tensor {
    return composite.mean(this, axes, options);
  }
  /** log(sum(exp)) without overflow. */
  logsumexp(axes?: Axes, options?: { keepdims?: boolean }): Tensor {
    return composite.logsumexp(this, axes, options);
  }
  /** Index (i32) of the first largest value along `axis`; of the flattened tensor without one. */
  argmax(axis?: number): Tensor {
    return composite.argReduce("argmax", this, axis);
  }
  argmin(axis?: number): Tensor {
    return composite.argReduce("argmin", this, axis);
  }

  // Order

  /** Indices (i32) that sort `axis`, stable. */
  argsort(axis = -1, options: { descending?: boolean } = {}): Tensor {
    const { descending } = readOptions("argsort", ARGSORT, options);
    return Tensor.make("argsort", { axis: axisOf(axis, this.rank), descending }, [this]);
  }
  sort(axis = -1, options: { descending?: boolean } = {}): { values: Tensor; indices: Tensor } {
    return composite.sort(this, axis, options);
  }
  /** The k largest values along `axis`, descending, and their indices (i32). */
  topk(k: number, axis = -1, options: { largest?: boolean } = {}): { values: Tensor; indices: Tensor } {
    return composite.topk(this, k, axis, options);
  }
  softmax(axis = -1): Tensor {
    return composite.softmax(this, axis);
  }
  logSoftmax(axis = -1): Tensor {
    return composite.logSoftmax(this, axis);
  }

  // Linear algebra

  /** Matrix product over the last two axes; leading axes broadcast. A vector counts as a row left and a column right. */
  matmul(other: Tensor, options: { transposeA?: boolean; transposeB?: boolean } = {}): Tensor {
    return composite.matmul(this, other, options);
  }
  /** Cross-correlation of images NCHW with kernels `[out, in / groups, kh, kw]`. */
  conv2d(weight: Tensor, options: ConvolutionOptions = {}): Tensor {
    return Tensor.make("conv2d", convolutionAttributes(options, asTensor("conv2d", weight)), [this, weight]);
  }
}

/** A tensor whose values are held in JavaScript memory: constants, and what compiled calls return. */
export class Value extends Tensor {
  /** A field that can be seen, for whoever compares or clones objects field by field. */
  private readonly values: TypedArray;

  /** Keeps `values` without copying: the caller gives them away. */
  constructor(values: TypedArray, shape: Shape, dtype: DType) {
    super("constant", {}, [], shape, dtype, undefined);
    this.values = values;
  }

  /** A copy of the values, row-major. */
  override data(): TypedArray {
    return copyOf(this.values);
  }

  override dataSync(): TypedArray {
    return copyOf(this.values);
  }

  /** The values themselves; not to be written to. */
  held(): TypedArray {
    return this.values;
  }

  protected override shown(): TypedArray {
    return this.values;
  }
}

/** A 0-d constant of the given element type. */
export function scalar(value: number, dtype: DType = "f32"): Tensor {
  if (typeof value !== "number") {
    throw new TslipError("INVALID_ARGUMENT", `a tensor or a number is needed; given ${describe(value)}`);
  }
  DTYPE.read("dtype", dtype);
  if (dtype !== "f32" && !Number.isInteger(value)) {
    throw new TslipError(
      "DTYPE_MISMATCH",
      `${value} is no value of element type ${dtype}; cast the tensor to "f32" first`,
    );
  }
  // JSON has no infinities, no NaN and no negative zero.
  if (!Number.isFinite(value) || Object.is(value, -0)) return new Value(Float32Array.of(value), [], "f32");
  return Tensor.make("full", { shape: [], value, dtype }, []);
}

/** A number as a constant that goes with `like`; tensors stay as they are. */
export function lift(operand: Operand, like: Tensor): Tensor {
  return operand instanceof Tensor ? operand : scalar(operand, asTensor("an operation", like).dtype);
}

/** Most ops have none, which need not be asked of JSON. */
function jsonOfAttributes(attributes: Attributes): string {
  for (const _ in attributes) return JSON.stringify(attributes);
  return "{}";
}

function unary(op: string, x: Tensor): Tensor {
  return Tensor.make(op, {}, [x]);
}

function binary(op: string, a: Tensor, b: Operand): Tensor {
  return Tensor.make(op, {}, [a, lift(b, a)]);
}

function reduce(op: string, x: Tensor, axes: Axes | undefined, options: { keepdims?: boolean } = {}): Tensor {
  const { keepdims } = readOptions(op, composite.KEEPDIMS, options);
  return Tensor.make(op, { axes: axesOf(axes, x.rank), keepdims }, [x]);
}

/** A list of numbers, of which each is checked where it is used. */
function numbersOf(what: string, given: readonly number[]): readonly number[] {
  if (Array.isArray(given)) return given;
  throw new TslipError("INVALID_ARGUMENT", `${what} are an array of numbers, one an axis; given ${describe(given)}`);
}
