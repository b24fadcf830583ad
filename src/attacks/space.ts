// What attacks share: the box of allowed images, labels and targets, and what a run returns.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { checkLogits, classesOf, knownClassesOf } from "../logits.js";
import { Module } from "../nn/index.js";
import { scaledImages } from "../nn/module.js";
import type { TypedArray } from "../tensor/dtype.js";
import { type JsonNumber, Tensor, type TensorJson, tensor } from "../tensor/index.js";
import { jsonOf } from "../tensor/show.js";
import type { Norm } from "./norm.js";

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
  ) {}

  /** For `JSON.stringify`; distances of failed attacks are the string "Infinity", which JSON has no number for. */
  toJSON(): { raw: TensorJson; clipped: TensorJson; distances: JsonNumber[]; success: boolean[] } {
    const { raw, clipped, distances, success } = this;
    return { raw: raw.toJSON(), clipped: clipped.toJSON(), distances: jsonOf(distances), success };
  }
}

/** Checked arguments of an attack. */
export interface AttackTask {
  model: Module;
  /** What the model sees of the images that were given; f32. */
  images: Tensor;
  values: Float32Array;
  labels: Int32Array;
  targets: Int32Array | undefined;
  bounds: Bounds;
  count: number;
  classes: number;
}

/** Checks the arguments of an attack before anything is computed from them. */
export async function prepare(
  model: Module,
  images: Tensor,
  labels: ArrayLike<number>,
  options: AttackOptions,
): Promise<AttackTask> {
  const { bounds: allowed = [0, 1] } = options;
  checkBounds(allowed);
  // A copy: what is given may change while the attack runs.
  const bounds: Bounds = [allowed[0], allowed[1]];
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `an attack runs on a Module, images and labels; the first argument is ${describe(model)}`,
    );
  }
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
  const values = Float32Array.from(await scaledImages(images).data());
  checkWithin(values, values.length / count, bounds);
  const seen = tensor(values, images.shape);
  const logits = await model.predict(seen);
  checkLogits("an attack", logits.shape);
  await knownClassesOf(logits, () => values);
  const [, classes = 0] = logits.shape;
  return {
    model,
    images: seen,
    values,
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
  const outside = values.findIndex((value) => !(value >= least && value <= most));
  if (outside < 0) return;
  throw new TslipError(
    Number.isFinite(values[outside]) ? "INVALID_ARGUMENT" : "NON_FINITE",
    `pixel ${outside % size} of image ${first + Math.floor(outside / size)} is ${values[outside]}, outside the bounds ` +
      `[${low}, ${high}]; scale the images or give other bounds`,
  );
}

/** The largest perturbation of each pixel within the bounds, in magnitude. */
export const widest = (images: Tensor, [low, high]: Bounds): Tensor => images.sub(low).maximum(images.neg().add(high));

/** Which images of a batch are classified as the attack wants. */
export async function adversarial(task: AttackTask, images: Tensor): Promise<boolean[]> {
  // Logits that tell no class fool nobody, and are no matter of the other images.
  const predicted = await classesOf(await task.model.predict(images)).data();
  return Array.from(predicted, (k, i) =>
    task.targets === undefined ? k >= 0 && k !== task.labels[i] : k === task.targets[i],
  );
}

/**
 * Results for what an attack found: clipped to the radii (moved to the nearest point within them), classified again, and the
 * original where it does not fool the model.
 */
export async function finish(
  task: AttackTask,
  norm: Norm,
  found: Float32Array,
  radii: Float64Array | undefined,
): Promise<AttackResult> {
  const { values, count, images } = task;
  const size = values.length / count;
  const distancesOf = (moved: Float32Array): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => {
      const range = [i * size, (i + 1) * size] as const;
      return norm.between(moved.subarray(...range), values.subarray(...range));
    });
  const clipped = radii === undefined ? found : await clippedTo(radii, norm, task, found, distancesOf(found));
  const success = await adversarial(task, tensor(clipped, images.shape));
  const kept = clipped.map((value, k) => (success[Math.floor(k / size)] ? value : (values[k] ?? 0)));
  const distances = distancesOf(kept).map((d, i) => (success[i] ? d : Number.POSITIVE_INFINITY));
  return new AttackResult(tensor(found, images.shape), tensor(kept, images.shape), distances, success);
}

/** The points within the radii that are nearest to what was found; what is within them stays as it is. */
async function clippedTo(
  radii: Float64Array,
  norm: Norm,
  { values, images, count, bounds }: AttackTask,
  found: Float32Array,
  distances: Float64Array,
): Promise<Float32Array> {
  const size = values.length / count;
  const moved = tensor(found, images.shape).sub(images);
  const steps = Float32Array.from(await norm.project(moved, tensor(Float32Array.from(radii))).data());
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
function classList(name: string, given: ArrayLike<number>, count: number): number[] {
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
