// What attacks share: the box of allowed images, labels and targets, and what a run returns.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { checkLogits, classesOf, knownClassesOf } from "../logits.js";
import { Module } from "../nn/index.js";
import { scaledImages } from "../nn/module.js";
import type { Option } from "../options.js";
import { remarkOnBounds } from "../scale.js";
import type { TypedArray } from "../tensor/dtype.js";
import { type JsonNumber, Tensor, type TensorJson, tensor, type Value } from "../tensor/index.js";
import { jsonOf } from "../tensor/show.js";
import { BlackBox } from "./black-box.js";
import type { Norm } from "./norm.js";

/** What answers images: a model, or what is known by its answers alone. */
export type Answering = Module | BlackBox;

/** Smallest and largest value of a pixel, as the model sees it. */
export type Bounds = readonly [number, number];

/**
 * Attacks see images as the model does: u8 pixels are divided by 255. Bounds, epsilons and distances are in those units, so that u8
 * images have their pixels in [0, 1].
 */
export interface AttackOptions {
  /** Default [0, 1]. */
  bounds?: Bounds;
  /** Classes to reach, one an image, instead of any other than the label. */
  targets?: ArrayLike<number>;
  signal?: AbortSignal | undefined;
  /**
   * Told of the work done, from 0 to 1, and the images for which an adversarial was found so far. What it throws ends the attack, and
   * so does a promise of it that rejects; the attack goes on meanwhile, and resolves once all of them have.
   */
  onProgress?: (share: number, found: number) => void | Promise<void>;
}

/**
 * Results of an attack, one entry an image. A failed attack has distance Infinity and the original image. Images are f32, those of
 * u8 images divided by 255.
 */
export class AttackResult {
  constructor(
    /** What the attack found, before any clipping to an epsilon. */
    readonly raw: Tensor,
    /** The same, by no more than epsilon from the originals; equal to `raw` where no epsilon was asked for. */
    readonly clipped: Tensor,
    /** By the norm of the attack, of `clipped` minus the originals. */
    readonly distances: Float64Array,
    /** Whether the model classifies `clipped` as was wanted, by whatever lead. */
    readonly success: boolean[],
    /** By attacks that ask alone: how often the model was asked for each image, the original and what was clipped among it. */
    readonly queries?: number[],
  ) {}

  /** For `JSON.stringify`; distances of failed attacks are the string "Infinity", which JSON has no number for. */
  toJSON(): { raw: TensorJson; clipped: TensorJson; distances: JsonNumber[]; success: boolean[]; queries?: number[] } {
    const { raw, clipped, distances, success, queries } = this;
    const counts = queries === undefined ? {} : { queries };
    return { raw: raw.toJSON(), clipped: clipped.toJSON(), distances: jsonOf(distances), success, ...counts };
  }
}

/** Checked arguments of an attack. */
export interface AttackTask<M extends Answering = Module> {
  model: M;
  /** What the model sees of the images that were given; f32. */
  images: Tensor;
  values: Float32Array;
  /** What it says of them, `[n, classes]`. */
  logits: Value;
  labels: Int32Array;
  targets: Int32Array | undefined;
  bounds: Bounds;
  count: number;
  classes: number;
}

/** Logits of images, by whatever answers them. */
async function logitsOf(model: Answering, images: Tensor, signal: AbortSignal | undefined): Promise<Value> {
  if (!(model instanceof BlackBox)) return await model.predict(images);
  const { logits } = await model.ask(Float32Array.from(await images.data()), signal);
  return tensor(logits, [images.shape[0] ?? 0, model.options.classes]);
}

/** Throws unless a model is what an attack runs on: a Module, or for one without gradients a black box too. */
function checkModel(attack: string, blackBox: boolean, model: unknown): void {
  if (model instanceof Module || (blackBox && model instanceof BlackBox)) return;
  throw new TslipError(
    "INVALID_ARGUMENT",
    model instanceof BlackBox
      ? `${attack} needs gradients, which a BlackBox has none of; attack it by what asks alone, such as HopSkipJumpAttack`
      : `an attack runs on a Module${blackBox ? " or a BlackBox" : ""}, images and labels; the first argument is ${describe(model)}`,
  );
}

/** Checks the arguments of an attack, which may need no more than answers, before anything is computed from them. */
export async function prepare<M extends Answering>(
  [attack, blackBox]: readonly [name: string, blackBox: boolean],
  model: M,
  images: Tensor,
  labels: ArrayLike<number>,
  options: AttackOptions,
): Promise<AttackTask<M>> {
  const bounds = pixelBounds.read("bounds", options.bounds);
  checkModel(attack, blackBox, model);
  if (!(images instanceof Tensor)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `images of an attack must be a tensor [n, ...], as tensor(data, shape) makes one; given ${describe(images)}`,
    );
  }
  const count = images.shape[0] ?? 0;
  const given = classList("labels", labels, count);
  const wanted = options.targets === undefined ? undefined : classList("targets", options.targets, count);
  if (count === 0) throw new TslipError("EMPTY_DATASET", "an attack needs at least one image");
  if (images.dtype !== "f32" && images.dtype !== "u8") {
    throw new TslipError(
      "DTYPE_MISMATCH",
      `images of an attack must be f32, or u8 as data sets hold them; given ${images.dtype}`,
    );
  }
  remarkOnBounds(images.dtype, bounds);
  if (model instanceof BlackBox) model.checkImages(images.shape);
  const values = new Float32Array(await scaledImages(images).data());
  checkWithin(values, values.length / count, bounds);
  const seen = tensor(values, images.shape);
  const logits = await logitsOf(model, seen, options.signal);
  checkLogits("an attack", logits.shape);
  await knownClassesOf(logits, () => values);
  const [, classes = 0] = logits.shape;
  return {
    model,
    images: seen,
    values,
    logits,
    labels: checkClasses("labels", given, classes),
    targets: wanted && checkClasses("targets", wanted, classes),
    bounds,
    count,
    classes,
  };
}

/** Whether a value is a number that float32 holds as a finite one. */
export const isFloat32 = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(Math.fround(value));

/** {@link AttackOptions.bounds} among options, copied: what is given may change meanwhile. */
export const pixelBounds: Option<Bounds> = {
  read(_, given = [0, 1]) {
    checkBounds(given as Bounds);
    const [low, high] = given as Bounds;
    return [low, high];
  },
};

/** Refuses bounds that are none. */
export function checkBounds(bounds: Bounds): void {
  const given = Array.from(bounds ?? []);
  const [low = Number.NaN, high = Number.NaN] = given;
  if (given.length === 2 && isFloat32(low) && isFloat32(high) && low < high) return;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `bounds must be [low, high], finite in float32, with low < high; given ${describe(bounds)}`,
  );
}

/** Refuses images of `size` pixels each that are not within the bounds; `first` is the place of the first of them. */
export function checkWithin(values: TypedArray, size: number, bounds: Bounds, first = 0): void {
  const [low, high] = bounds;
  const [least, most] = limits(bounds);
  // A loop, as images have many pixels.
  let outside = 0;
  while (outside < values.length && (values[outside] as number) >= least && (values[outside] as number) <= most)
    outside++;
  if (outside === values.length) return;
  throw new TslipError(
    Number.isFinite(values[outside]) ? "INVALID_ARGUMENT" : "NON_FINITE",
    `pixel ${outside % size} of image ${first + Math.floor(outside / size)} is ${values[outside]}, outside the bounds ` +
      `[${low}, ${high}]; scale the images or give other bounds`,
  );
}

/** The largest perturbation of each pixel within the bounds, in magnitude. */
export const widest = (images: Tensor, [low, high]: Bounds): Tensor => images.sub(low).maximum(images.neg().add(high));

/** Which images of a batch, by their logits, are classified as the attack wants. */
async function wanted({ labels, targets }: AttackTask<Answering>, logits: Tensor): Promise<boolean[]> {
  // Logits that tell no class fool nobody, and are no matter of the other images.
  const predicted = await classesOf(logits).data();
  return Array.from(predicted, (k, i) => (targets === undefined ? k >= 0 && k !== labels[i] : k === targets[i]));
}

/** Which images of a batch are classified as the attack wants: a model is asked for those that `known` does not tell of, a module for all at once. */
export async function adversarial(
  task: AttackTask<Answering>,
  images: Float32Array,
  known: readonly (boolean | undefined)[],
  signal: AbortSignal | undefined,
): Promise<readonly boolean[]> {
  const { model, count, classes } = task;
  const open = Array.from({ length: count }, (_, i) => i).filter((i) => known[i] === undefined);
  if (open.length === 0) return known as readonly boolean[];
  const ask = async (): Promise<Tensor> => {
    if (!(model instanceof BlackBox)) return await model.predict(tensor(images, task.images.shape));
    const { logits } = await model.ask(rowsOf(images, open, images.length / count), signal);
    return tensor(spread(logits, open, count, classes), [count, classes]);
  };
  const said = await wanted(task, await ask());
  return said.map((fools, i) => known[i] ?? fools);
}

/** Some rows of so many values. */
export function rowsOf(values: Float32Array, rows: readonly number[], size: number): Float32Array {
  const chosen = new Float32Array(rows.length * size);
  rows.forEach((row, at) => chosen.set(values.subarray(row * size, (row + 1) * size), at * size));
  return chosen;
}

/** The same put back among `count` rows, the others 0. */
export function spread(values: Float32Array, rows: readonly number[], count: number, size: number): Float32Array {
  const all = new Float32Array(count * size);
  rows.forEach((row, at) => all.set(values.subarray(at * size, (at + 1) * size), row * size));
  return all;
}

/** Of two lists of rows the rows of the first where the flags say so, elsewhere those of the second. */
export function rowsWhere(flags: readonly boolean[], first: Float32Array, second: Float32Array): Float32Array {
  const size = second.length / flags.length;
  const rows = second.slice();
  flags.forEach((flag, i) => {
    if (flag) rows.set(first.subarray(i * size, (i + 1) * size), i * size);
  });
  return rows;
}

/** What a search found, and what is known of it. */
export interface Found {
  readonly images: Float32Array;
  /** Of each image whether it fools the model. */
  readonly fools: readonly boolean[];
  /** How often the search asked for each image, where it counted. */
  readonly asked: ArrayLike<number> | undefined;
}

/**
 * Results for what an attack found: clipped to the radii (moved to the nearest point within them), classified again, and the
 * original where it does not fool the model.
 */
export async function finish(
  task: AttackTask<Answering>,
  norm: Norm,
  { images: found, fools, asked }: Found,
  radii: Float64Array | undefined,
  signal: AbortSignal | undefined,
): Promise<AttackResult> {
  const { values, count, images } = task;
  const size = values.length / count;
  const rowOf = (all: Float32Array, i: number): Float32Array => all.subarray(i * size, (i + 1) * size);
  const distancesOf = (moved: Float32Array): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => norm.between(rowOf(moved, i), rowOf(values, i)));
  const clipped = radii === undefined ? found : await clippedTo(radii, norm, task, found, distancesOf(found));
  const known = fools.map((each, i) => (sameRow(rowOf(clipped, i), rowOf(found, i)) ? each : undefined));
  const success = [...(await adversarial(task, clipped, known, signal))];
  const kept = rowsWhere(success, clipped, values);
  const distances = distancesOf(kept).map((d, i) => (success[i] ? d : Number.POSITIVE_INFINITY));
  const queries = asked && Array.from(asked, (times, i) => 1 + times + Number(known[i] === undefined));
  return new AttackResult(tensor(found, images.shape), tensor(kept, images.shape), distances, success, queries);
}

function sameRow(a: Float32Array, b: Float32Array): boolean {
  for (let k = 0; k < a.length; k++) if (a[k] !== b[k]) return false;
  return true;
}

/** The points within the radii that are nearest to what was found; what is within them stays as it is. */
async function clippedTo(
  radii: Float64Array,
  norm: Norm,
  { values, images, count, bounds }: AttackTask<Answering>,
  found: Float32Array,
  distances: Float64Array,
): Promise<Float32Array> {
  if (distances.every((distance, i) => distance <= (radii[i] ?? 0))) return found;
  const size = values.length / count;
  const moved = tensor(found, images.shape).sub(images);
  const steps = new Float32Array(await norm.project(moved, tensor(Float32Array.from(radii))).data());
  const clipped = found.slice();
  for (let i = 0; i < count; i++) {
    const radius = radii[i] ?? 0;
    if ((distances[i] ?? 0) <= radius) continue;
    const range = [i * size, (i + 1) * size] as const;
    const original = values.subarray(...range);
    const fits = (point: Float32Array): boolean => norm.between(point, original) <= radius;
    clipped.set(stepped(original, steps.subarray(...range), bounds, fits), range[0]);
  }
  return clipped;
}

/** An image after as much of a step as `fits`: pixels are rounded to float32, and may end beyond what is added to them. */
function stepped(
  original: Float32Array,
  step: Float32Array,
  bounds: Bounds,
  fits: (point: Float32Array) => boolean,
): Float32Array {
  const [least, most] = limits(bounds);
  for (let share = 1, less = 2 ** -24; share > 0; share = 1 - less, less *= 2) {
    const point = original.map((pixel, k) => Math.min(Math.max(pixel + share * (step[k] ?? 0), least), most));
    if (fits(point)) return point;
  }
  return original;
}

/** Bounds of pixels in float32: one on a bound is the float next to it. */
export function limits([low, high]: Bounds): Bounds {
  return [Math.min(low, Math.fround(low)), Math.max(high, Math.fround(high))];
}

/** Class indices as they are given, copied. */
export function classList(name: string, given: ArrayLike<number>, count: number): number[] {
  if (typeof given?.length !== "number") {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be an array of class indices, one an image; given ${describe(given)}`,
    );
  }
  if (given.length === count) return Array.from(given);
  throw new TslipError("SHAPE_MISMATCH", `${name} has ${given.length} entries for ${count} images; give one each`);
}

function checkClasses(name: string, given: readonly number[], classes: number): Int32Array {
  const wrong = given.findIndex((label) => !Number.isInteger(label) || label < 0 || label >= classes);
  if (wrong < 0) return Int32Array.from(given);
  throw new TslipError(
    "LABEL_OUT_OF_RANGE",
    `${name}[${wrong}] is ${describe(given[wrong])}; expected an integer from 0 to ${classes - 1}`,
  );
}
