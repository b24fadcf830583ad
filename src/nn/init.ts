// Initial weights by the formulas of torch.nn.init and torchlip.init: tensors of a shape, for `weight.assign` and the option `initializer`.
import { TslipError } from "../errors.js";
import { asGiven, choice, number, optional, positive, readOptions } from "../options.js";
import { orthogonal as orthogonalMatrix, randn, uniform } from "../tensor/create.js";
import { checkShape, type Shape, showShape, sizeOf } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { safeSpectralNormalization } from "./normalization.js";

/** Functions behind a layer whose gain is known. */
export type Nonlinearity = "linear" | "sigmoid" | "tanh" | "relu" | "leakyRelu" | "selu";

/** Options of {@link kaimingNormal} and {@link kaimingUniform}. */
export interface KaimingOptions {
  /** Slope of the leaky relu behind the layer, by default 0. */
  a?: number;
  /** Whether variances are kept on the way forward, the default, or on the way back. */
  mode?: "fanIn" | "fanOut";
  /** By default "leakyRelu". */
  nonlinearity?: Nonlinearity;
  /** By default the next seed of `manualSeed`. */
  seed?: number;
}

const NONLINEARITIES = ["linear", "sigmoid", "tanh", "relu", "leakyRelu", "selu"] as const;
const finite = (byDefault?: number) => number("finite", Number.isFinite, byDefault);
const SEED = { seed: asGiven<number | undefined>() };
const GAIN = { gain: positive(1), ...SEED };
const KAIMING = {
  a: finite(0),
  mode: choice(["fanIn", "fanOut"], "fanIn"),
  nonlinearity: choice(NONLINEARITIES, "leakyRelu"),
  ...SEED,
};
const SLOPE = 0.01;

/** By what a nonlinearity scales deviations down: `torch.nn.init.calculate_gain`. `slope` is that of a leaky relu, by default 0.01. */
export function calculateGain(nonlinearity: Nonlinearity, slope?: number): number {
  const of = choice(NONLINEARITIES).read("nonlinearity", nonlinearity);
  const a = optional(finite()).read("slope", slope) ?? SLOPE;
  if (of === "tanh") return 5 / 3;
  if (of === "relu") return Math.SQRT2;
  if (of === "leakyRelu") return Math.sqrt(2 / (1 + a * a));
  return of === "selu" ? 3 / 4 : 1;
}

/** Normal with deviation gain / sqrt(fan), f32 of `shape` (He et al. 2015). */
export function kaimingNormal(shape: Shape, options: KaimingOptions = {}): Tensor {
  const { deviation, seed } = kaiming("kaimingNormal", shape, options);
  return randn(shape, seeded(seed)).mul(deviation);
}

/** Uniform in ±sqrt(3) gain / sqrt(fan), f32 of `shape` (He et al. 2015). */
export function kaimingUniform(shape: Shape, options: KaimingOptions = {}): Tensor {
  const { deviation, seed } = kaiming("kaimingUniform", shape, options);
  return uniform(shape, Math.sqrt(3) * deviation, seeded(seed));
}

/** Normal with deviation gain sqrt(2 / (fan in + fan out)), f32 of `shape` (Glorot and Bengio 2010). */
export function xavierNormal(shape: Shape, options: { gain?: number; seed?: number } = {}): Tensor {
  const { deviation, seed } = xavier("xavierNormal", shape, options);
  return randn(shape, seeded(seed)).mul(deviation);
}

/** Uniform in ±gain sqrt(6 / (fan in + fan out)), f32 of `shape` (Glorot and Bengio 2010). */
export function xavierUniform(shape: Shape, options: { gain?: number; seed?: number } = {}): Tensor {
  const { deviation, seed } = xavier("xavierUniform", shape, options);
  return uniform(shape, Math.sqrt(3) * deviation, seeded(seed));
}

/** As a matrix `[first axis, all others]` with orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al. 2013). */
export function orthogonal(shape: Shape, options: { gain?: number; seed?: number } = {}): Tensor {
  const { gain, seed } = readOptions("orthogonal", GAIN, options);
  const { rows, columns } = matrixOf("orthogonal", shape);
  const matrix = orthogonalMatrix(rows, columns, seeded(seed)).reshape(shape);
  return gain === 1 ? matrix : matrix.mul(gain);
}

/** Normal, as a matrix `[first axis, all others]` divided by its largest singular value, times `gain`. */
export function spectral(shape: Shape, options: { gain?: number; seed?: number } = {}): Tensor {
  const { gain, seed } = readOptions("spectral", GAIN, options);
  const { rows, columns } = matrixOf("spectral", shape);
  const matrix = safeSpectralNormalization(randn([rows, columns], seeded(seed))).reshape(shape);
  return gain === 1 ? matrix : matrix.mul(gain);
}

function kaiming(
  owner: string,
  shape: Shape,
  options: KaimingOptions,
): { deviation: number; seed: number | undefined } {
  const { a, mode, nonlinearity, seed } = readOptions(owner, KAIMING, options);
  const { fanIn, fanOut } = fansOf(owner, shape);
  const fan = mode === "fanIn" ? fanIn : fanOut;
  return { deviation: calculateGain(nonlinearity, a) / Math.sqrt(Math.max(1, fan)), seed };
}

function xavier(owner: string, shape: Shape, options: object): { deviation: number; seed: number | undefined } {
  const { gain, seed } = readOptions(owner, GAIN, options);
  const { fanIn, fanOut } = fansOf(owner, shape);
  return { deviation: gain * Math.sqrt(2 / Math.max(1, fanIn + fanOut)), seed };
}

/** As PyTorch counts them, of transposed convolutions too: the second and the first axis of the weight, times the taps. */
function fansOf(owner: string, shape: Shape): { fanIn: number; fanOut: number } {
  const { rows, columns } = matrixOf(owner, shape);
  return { fanIn: columns, fanOut: rows * sizeOf(shape.slice(2)) };
}

function matrixOf(owner: string, shape: Shape): { rows: number; columns: number } {
  checkShape(shape);
  const [rows, ...rest] = shape;
  if (rows !== undefined && rest.length > 0) return { rows, columns: sizeOf(rest) };
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} takes the shape of a weight, [out, in] or [out, in, ...taps]; given ${showShape(shape)}; it needs two axes or more`,
  );
}

function seeded(seed: number | undefined): { seed?: number } {
  return seed === undefined ? {} : { seed };
}
