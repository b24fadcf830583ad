// Augmentation: what is done to the samples of a step of training, at random and on the device, in the recorded step.
import type { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Mixture } from "../losses/targets.js";
import type { Optimizer } from "../optim/index.js";
import { choice, number, type Option, positive, readOptions, whole } from "../options.js";
import { Draws, symbolic } from "../tensor/generator.js";
import { type PadMode, Tensor, tensor } from "../tensor/index.js";
import { currentTrace } from "../tensor/trace.js";
import { stepOfEpoch } from "./epoch-step.js";

/** Samples of a step. */
export interface AugmentationSamples {
  /** f32 `[n, ...]`; u8 pixels are divided by 255 already. */
  readonly images: Tensor;
  /** Those of the data set, or what an augmentation has made of them. */
  readonly targets: Tensor;
  /**
   * How targets lie between those of several samples, where they do: losses of labels refuse such ones by name. It stays behind what a
   * later augmentation gives back, unless that says otherwise: `mixed: undefined` makes them targets of one sample each.
   */
  readonly mixed?: Mixture | undefined;
}

/** For whom samples are augmented. */
export interface AugmentationContext {
  readonly dataset: Dataset;
  /** The class of the loss, for messages. */
  readonly loss: string;
}

/**
 * Changes the samples of a step at random. It is recorded as a part of the step: what it draws by `draws` are other numbers in each step,
 * which follow from the seed of `fit`, the epoch and the step alone, so that a training that goes on draws what it would have drawn.
 */
export interface Augmentation {
  apply(samples: AugmentationSamples, draws: Draws, context: AugmentationContext): AugmentationSamples;
}

const SHARE = number("from 0 to 1", (value) => value >= 0 && value <= 1, 0.5);
const FINITE = number("finite", Number.isFinite, 0);
/** How many axes of a sample are space, its last ones: 2, images `[h, w]` or `[c, h, w]`, the default; 1, sequences `[channels, length]`. */
export type SpatialAxes = 1 | 2;
const AXES: Option<SpatialAxes> = {
  read(name, given = 2) {
    if (given === 1 || given === 2) return given;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be 2, of images [.., h, w], or 1, of sequences [.., length]; given ${describe(given)}`,
    );
  },
};
const SHIFT = { pixels: whole(1), axes: AXES };
const FLIP = { axis: choice(["horizontal", "vertical"], "horizontal"), probability: SHARE, axes: AXES };
const CROP = {
  axes: AXES,
  padding: whole(1),
  mode: choice<PadMode>(["constant", "reflect", "replicate", "circular", "symmetric"], "constant"),
  value: FINITE,
};
const CUTOUT = { size: whole(1), value: FINITE, axes: AXES };
const MIXUP = { alpha: positive(0.2) };

/** Moves each image by up to `pixels` along both axes, a sequence with `axes: 1` along its own; 0 comes in where nothing was. */
export function randomShift(options: { pixels: number; axes?: SpatialAxes }): Augmentation {
  const { pixels, axes } = readOptions("randomShift", SHIFT, options);
  return ofImages("randomShift", axes, (x, draws, spatial) => {
    const offset = () => perSample(wholeBelow(draws, x, 2 * pixels + 1).sub(pixels), x.rank);
    return spatial.reduce((y, axis) => along(y, axis, axisExtent(y, axis), (index) => index.add(offset())), x);
  });
}

/**
 * Mirrors each image with a probability, by default one half: left and right, or with `axis: "vertical"` top and bottom. A sequence, with
 * `axes: 1`, has its beginning and end exchanged.
 */
export function randomFlip(
  options: { axis?: "horizontal" | "vertical"; probability?: number; axes?: SpatialAxes } = {},
): Augmentation {
  const { axis, probability, axes } = readOptions("randomFlip", FLIP, options);
  if (axis === "vertical" && axes === 1)
    throw new TslipError(
      "INVALID_ARGUMENT",
      'randomFlip cannot flip sequences (axes: 1) as axis: "vertical"; leave it out',
    );
  return ofImages("randomFlip", axes, (x, draws) => {
    const at = axis === "horizontal" ? -1 : -2;
    const mirrored = perSample(draws.uniform([samplesOf(x)]).less(probability), x.rank);
    const last = axisExtent(x, at) - 1;
    return along(x, at, last + 1, (index) => mirrored.broadcastTo(x.shape).where(index.mul(-1).add(last), index));
  });
}

/** Pads each image, or with `axes: 1` each sequence, by `padding` on all sides, with `value` unless `mode` says otherwise, and cuts its size out of that anywhere. */
export function randomCrop(options: {
  padding: number;
  mode?: PadMode;
  value?: number;
  axes?: SpatialAxes;
}): Augmentation {
  const { padding, mode, value, axes } = readOptions("randomCrop", CROP, options);
  return ofImages("randomCrop", axes, (x, draws, spatial) => {
    const around = x.shape.map((_, axis) => (axis < x.rank - axes ? 0 : padding));
    const offset = () => perSample(wholeBelow(draws, x, 2 * padding + 1), x.rank);
    const padded = x.pad(around, around, { mode, value });
    return spatial.reduce((y, axis) => along(y, axis, axisExtent(x, axis), (index) => index.add(offset())), padded);
  });
}

/**
 * Sets a square of `size` pixels around any pixel of each image, or with `axes: 1` a stretch of each sequence, to `value`, as far as it is
 * inside (DeVries and Taylor 2017).
 */
export function cutout(options: { size: number; value?: number; axes?: SpatialAxes }): Augmentation {
  const { size, value, axes } = readOptions("cutout", CUTOUT, options);
  return ofImages("cutout", axes, (x, draws, spatial) => {
    const inside = spatial.map((axis) => {
      const extent = axisExtent(x, axis);
      const start = perSample(wholeBelow(draws, x, extent).sub(Math.floor(size / 2)), x.rank);
      const at = positions(
        x.shape.map((_, i) => (i === x.rank + axis ? extent : 1)),
        x.rank + axis,
      );
      return at.greaterEqual(start).and(at.less(start.add(size)));
    });
    return inside
      .reduce((one, other) => one.and(other))
      .broadcastTo(x.shape)
      .where(value, x);
  });
}

/**
 * Mixes each sample with another of its batch (Zhang et al. 2018): both its image and its targets become share times its own and 1 - share
 * times the other's. The share is the larger one of two that are distributed as Beta(alpha, alpha), by default alpha 0.2, so that a
 * sample counts most as itself. Class indices become rows of probabilities, which the loss has to take. Metrics are given the targets
 * that are not mixed.
 */
export function mixup(options: { alpha?: number } = {}): Augmentation {
  const { alpha } = readOptions("mixup", MIXUP, options);
  const quantiles = tensor(smallerShares(alpha));
  return {
    apply({ images, targets }, draws, { dataset, loss }) {
      if (dataset.ignoreIndex !== undefined) {
        throw new TslipError(
          "INVALID_ARGUMENT",
          `mixup cannot mix samples that do not count, which this data set has (ignoreIndex ${dataset.ignoreIndex}); leave them out by subset()`,
        );
      }
      const samples = samplesOf(images);
      const other = draws.uniform([samples]).argsort(0);
      const share = sharesOf(draws.uniform([samples]), quantiles, alpha);
      const mixed = (x: Tensor): Tensor => {
        const own = perSample(share, x.rank);
        return x.mul(own.neg().add(1)).add(x.gather(other, 0).mul(own));
      };
      const rows = targets.dtype === "f32" ? targets : targets.oneHot(dataset.classNames.length);
      const signed = dataset.target.dtype === "f32" && dataset.targetsRaw.some((value: number) => value < 0);
      return { images: mixed(images), targets: mixed(rows), mixed: { by: "mixup", loss, signed } };
    },
  };
}

/** Refuses what is no list of augmentations. */
export function checkAugmentations(given: unknown): void {
  // A function has an apply() too, which is another one.
  const augments = (one: unknown): boolean =>
    typeof one === "object" && typeof (one as Augmentation | null)?.apply === "function";
  if (Array.isArray(given) && given.every(augments)) return;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `augment must be a list such as [randomFlip(), randomCrop({ padding: 4 })]; given ${describe(given)}`,
  );
}

/** What augmentations make of samples, one after another. Throws `INVALID_ARGUMENT` for what are no samples. */
export function augmented(
  samples: AugmentationSamples,
  augment: readonly Augmentation[],
  draws: Draws,
  context: AugmentationContext,
): AugmentationSamples {
  return augment.reduce((given, augmentation, at) => {
    const made: Partial<AugmentationSamples> | undefined = augmentation.apply(given, draws, context);
    const { images, targets } = made ?? {};
    if (images instanceof Tensor && targets instanceof Tensor) {
      return { images, targets, mixed: made !== undefined && "mixed" in made ? made.mixed : given.mixed };
    }
    throw new TslipError(
      "INVALID_ARGUMENT",
      `apply() of augment[${at}] must return { images, targets }, both tensors; it gave ${describe(made)}`,
    );
  }, samples);
}

/** Keeps these draws apart from those of a generator with the same seed. */
const SALT = 0x5bd1e995;

/** What a step draws: numbers that follow from the seed, the epoch and the step of so many. */
export function drawsOf(optimizer: Optimizer, steps: number, seed: number): Draws {
  const at = optimizer.epochs.cast("i32").mul(steps).add(stepOfEpoch(optimizer).cast("i32"));
  const trace = currentTrace();
  const high = Math.floor(seed / 2 ** 32);
  return new Draws([seed >>> 0, (high ^ SALT) >>> 0], trace === undefined ? at : symbolic(at, trace));
}

/** An augmentation of images alone, `[n, ..., h, w]`, or of sequences `[n, ..., length]`; `spatial` are these axes. */
function ofImages(
  name: string,
  axes: SpatialAxes,
  change: (x: Tensor, draws: Draws, spatial: readonly number[]) => Tensor,
): Augmentation {
  return {
    apply({ images, targets }, draws) {
      const spatial = [-2, -1].slice(-axes);
      if (images.rank > axes) return { images: change(images, draws, spatial), targets };
      throw new TslipError(
        "SHAPE_MISMATCH",
        `${name} needs images [h, w] or [c, h, w]; the samples of the data set have shape ` +
          `[${images.shape.slice(1).join(", ")}]; for sequences give it axes: 1`,
      );
    },
  };
}

function samplesOf(x: Tensor): number {
  return x.shape[0] ?? 0;
}

function axisExtent(x: Tensor, axis: number): number {
  return x.shape.at(axis) ?? 0;
}

/** Values `[n]` beside tensors of so many axes. */
function perSample(values: Tensor, rank: number): Tensor {
  return values.reshape([samplesOf(values), ...Array.from({ length: rank - 1 }, () => 1)]);
}

/** A whole number from 0 to below `end` for each sample, i32 `[n]`. */
function wholeBelow(draws: Draws, x: Tensor, end: number): Tensor {
  return draws
    .uniform([samplesOf(x)])
    .mul(end)
    .floor()
    .minimum(end - 1)
    .cast("i32");
}

/** Positions along an axis, i32 of `shape`. */
function positions(shape: readonly number[], axis: number): Tensor {
  return Tensor.make("iota", { shape: [...shape], axis, dtype: "i32" }, []);
}

/** What lies along an axis at the positions that are made of 0 to before `extent`; 0 beyond the ends. */
function along(x: Tensor, axis: number, extent: number, from: (index: Tensor) => Tensor): Tensor {
  const at = x.rank + axis;
  return x.takeAlong(from(positions(x.shape.with(at, extent), at)), at);
}

/** Parts of a table of quantiles, and of the integral that it inverts. */
const QUANTILES = 1024;
const CELLS = 2 ** 15;

/**
 * Quantiles of the smaller share x of Beta(a, a), as s = (2 x)^min(a, 1), in which the density is bounded: (1 - x)^(a - 1) for a < 1,
 * else (x (1 - x))^(a - 1).
 */
function smallerShares(alpha: number): Float32Array {
  const power = Math.min(alpha, 1);
  const density = (s: number): number => {
    const x = s ** (1 / power) / 2;
    return (alpha < 1 ? 1 - x : 4 * x * (1 - x)) ** (alpha - 1);
  };
  const cumulated = new Float64Array(CELLS + 1);
  for (let i = 0; i < CELLS; i++) cumulated[i + 1] = (cumulated[i] as number) + density((i + 0.5) / CELLS);
  const total = cumulated[CELLS] as number;
  let cell = 0;
  return Float32Array.from({ length: QUANTILES + 1 }, (_, i) => {
    const wanted = (total * i) / QUANTILES;
    while (cell < CELLS - 1 && (cumulated[cell + 1] as number) < wanted) cell++;
    const [below, above] = [cumulated[cell] as number, cumulated[cell + 1] as number];
    const share = above > below ? (wanted - below) / (above - below) : 0;
    return Math.min(1, (cell + share) / CELLS);
  });
}

/** Smaller shares of Beta(a, a) at these quantiles, uniform in [0, 1). */
function sharesOf(uniform: Tensor, quantiles: Tensor, alpha: number): Tensor {
  const at = uniform.mul(QUANTILES);
  const below = at.floor().minimum(QUANTILES - 1);
  const index = below.cast("i32");
  const [from, to] = [quantiles.gather(index), quantiles.gather(index.add(1))];
  const s = from.add(to.sub(from).mul(at.sub(below)));
  return (alpha < 1 ? s.pow(1 / alpha) : s).mul(0.5);
}
