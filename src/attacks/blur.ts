// Gaussian blur, wider and wider.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type Options, optional, positive, readOptions, type Schema, whole } from "../options.js";
import { scalar, state, type Tensor, tensor } from "../tensor/index.js";
import { distance } from "./distance.js";
import type { Norm } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";
import { alongAxis } from "./sides.js";

/** Options of {@link GaussianBlurAttack}. */
export interface GaussianBlurOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
  /** Widths that are tried, by default 1000. */
  steps?: number;
  /** The axis of the channels in images `[n, ...]`, by default 1; images `[n, width]` have none. */
  channelAxis?: number;
  /** The largest standard deviation, in pixels: by default the longest side, and at most ten times that. */
  maxSigma?: number;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  distance,
  steps: whole(1, 1000),
  channelAxis: whole(1, 1),
  maxSigma: optional(positive()),
} satisfies Schema<keyof GaussianBlurOptions>;

/** A filter ends so many standard deviations from its middle. */
const TRUNCATE = 4;
/** Longest sides beyond which nothing but a mean is left. */
const WIDEST = 10;
/** Numbers of a filter at most, reflections included. */
const MOST_OFFSETS = 2 ** 25;

/** Blurs images by Gaussian filters whose standard deviation grows from step to step, until they are adversarial. */
export class GaussianBlurAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: GaussianBlurOptions = {}) {
    super();
    this.options = readOptions("GaussianBlurAttack", OPTIONS, options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { steps, channelAxis } = this.options;
    const { task, best } = queries.search;
    const { shape } = task.images;
    const axes = [...shape.keys()].slice(1).filter((axis) => shape.length === 2 || axis !== channelAxis);
    const longest = Math.max(...axes.map((axis) => shape[axis] ?? 0));
    const { maxSigma = longest } = this.options;
    if (maxSigma > WIDEST * longest) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `maxSigma must be at most ${WIDEST * longest}, ten times the longest side; given ${describe(maxSigma)}`,
      );
    }
    const sigma = state(scalar(0), { name: "standard deviation" });
    const offsets = axes.map((axis) => reflectedOffsets(shape[axis] ?? 0, TRUNCATE * maxSigma + 1));
    const walk = queries.rounds({
      settings: [sigma],
      ask: () => {
        const blurred = axes.reduce(
          (images, axis, k) => alongAxis(images, axis, filter(offsets[k] as Tensor, sigma)),
          best.originals,
        );
        return { images: blurred.clip(...task.bounds), of: best.found.not() };
      },
    });
    await walk.run(steps, [Float32Array.from({ length: steps }, (_, k) => ((k + 1) / steps) * maxSigma)], [0, 1]);
  }
}

/**
 * From each position of an axis of `length` the offsets of all pixels within `reach`, those of the image's reflections at its edges
 * (d c b a | a b c d | d c b a) among them: `[reflections, length, length]`, by position and pixel.
 */
function reflectedOffsets(length: number, reach: number): Tensor {
  const most = Math.ceil(reach / (2 * length)) + 1;
  if ((4 * most + 2) * length ** 2 > MOST_OFFSETS) {
    throw new TslipError(
      "UNSUPPORTED",
      `GaussianBlurAttack cannot blur a side of ${length} pixels so widely; give a smaller maxSigma, or smaller images`,
    );
  }
  const starts = Array.from({ length: 2 * most + 1 }, (_, k) => 2 * length * (k - most));
  const places = starts.flatMap((start) => [(pixel: number) => start + pixel, (pixel: number) => start - 1 - pixel]);
  const offsets = places.flatMap((place) =>
    Array.from({ length: length * length }, (_, k) => place(k % length) - Math.floor(k / length)),
  );
  return tensor(Float32Array.from(offsets), [places.length, length, length]);
}

/** What each pixel weighs at each position of a truncated Gaussian filter, `[length, length]`. */
function filter(offsets: Tensor, sigma: Tensor): Tensor {
  const reach = sigma.mul(TRUNCATE).add(0.5).floor();
  const density = offsets.div(sigma).square().mul(-0.5).exp();
  const weights = offsets.abs().lessEqual(reach).where(density, 0).sum(0);
  return weights.div(weights.sum(1, { keepdims: true }));
}
