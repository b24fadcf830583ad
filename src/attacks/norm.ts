// Norms of perturbations: distance, nearest point of a ball, steepest direction, random start. All for each sample by itself.
import type { Names } from "../options.js";
import { type Generator, type Tensor, zeros } from "../tensor/index.js";

/** What attacks need of a norm. Perturbations are `[n, ...]`; distances and radii `[n]`. */
export interface Norm {
  readonly name: "L2" | "Linf" | "L1" | "L0";
  /** ‖d‖ of each sample; for L0 the numbers that are not 0. */
  distance(d: Tensor): Tensor;
  /** ‖a - b‖ of two samples, in float64. */
  between(a: ArrayLike<number>, b: ArrayLike<number>): number;
  /** The point that is nearest to d in L2 norm, to some roundings, of those that {@link between} finds within the radii. */
  project(d: Tensor, radii: Tensor): Tensor;
  /** The direction u of norm 1 with the largest <g, u>; 0 for a gradient of 0. */
  steepest(g: Tensor): Tensor;
  /** A point of the balls of these radii, kept to as by {@link project}: uniform for L2 and Linf, else along a uniform direction. */
  random(generator: Generator, like: Tensor, radii: Tensor): Tensor;
}

/** The methods of a norm. */
export const METHODS: Names<Omit<Norm, "name">> = {
  distance: true,
  between: true,
  project: true,
  steepest: true,
  random: true,
};

/** Below this a norm counts as 0. */
export const SMALLEST = 1e-30;
/** Halvings of the threshold of a projection onto an L1 ball: more than float32 has bits. */
const HALVINGS = 40;

/** Samples as rows of a matrix. */
export const rows = (x: Tensor): Tensor => x.reshape([x.shape[0] ?? 0, -1]);

/** One number a sample, beside the numbers of {@link rows}. */
export const column = (x: Tensor): Tensor => x.reshape([-1, 1]);

/** <a, b> of each sample, `[n]`. */
export const dot = (a: Tensor, b: Tensor): Tensor => rows(a.mul(b)).sum(1);

const sizeOfSample = (x: Tensor): number => rows(x).shape[1] ?? 0;

/** Numbers `[n]` beside samples of the shape of x. */
export function perSample(values: Tensor, x: Tensor): Tensor {
  return values.reshape([x.shape[0] ?? 0, ...x.shape.slice(1).map(() => 1)]);
}

/** Norms `[n]` of gradients by the dual of a norm: the largest <g, u> of all u of norm 1. */
export function dualNorm(g: Tensor, norm: Norm): Tensor {
  return rows(g.mul(norm.steepest(g))).sum(1);
}

/** Sums of rows, and how they are added up. */
type Sum = (x: Tensor) => Tensor;

/** As fast as a device adds, in an order of its own. */
const anyOrder: Sum = (x) => x.sum(1);

/** By halves: each number goes through as many additions as the row can be halved, on every device. */
const byHalves: Sum = (x) => {
  const [count = 0, width = 0] = x.shape;
  let size = 2 ** Math.ceil(Math.log2(width));
  let sums = size === width ? x : x.concat(zeros([count, size - width]), 1);
  for (; size > 1; size /= 2) sums = sums.reshape([count, 2, size / 2]).sum(1);
  return sums.reshape([-1]);
};

/** Roundings of a norm and of what is scaled by it, beside the additions of its sum; GPUs divide and take roots to some units. */
const ROUNDINGS = 16;
const UNIT = 2 ** -24;

/** d scaled into the radii, seen in float64, where its norm, added up by halves, may be beyond them. */
function within(d: Tensor, norms: Tensor, radii: Tensor): Tensor {
  const slack = (ROUNDINGS + Math.ceil(Math.log2(sizeOfSample(d)))) * UNIT;
  const scale = radii.mul(1 - 2 * slack).div(norms.maximum(SMALLEST));
  return d.mul(perSample(norms.lessEqual(radii.mul(1 - slack)).where(1, scale), d));
}

/** Norms without overflow and underflow of squares. */
function euclidean(d: Tensor, sum: Sum = anyOrder): Tensor {
  const flat = rows(d);
  const largest = flat.abs().max(1, { keepdims: true });
  const scale = largest.greater(0).where(largest, 1);
  return sum(flat.div(scale).square())
    .sqrt()
    .mul(scale.reshape([-1]));
}

/** g / ‖g‖, scaled by the largest number first, so that no length is lost to overflow and underflow; 0 stays 0. */
function unit(g: Tensor): Tensor {
  const largest = rows(g).abs().max(1);
  const scaled = g.div(perSample(largest.greater(0).where(largest, 1), g));
  return scaled.div(perSample(euclidean(scaled).maximum(SMALLEST), g));
}

/** Numbers whose magnitudes are less by a threshold of at least 0, and 0 where that is more than there is. */
export function softThreshold(d: Tensor, threshold: Tensor): Tensor {
  return d.sign().mul(d.abs().sub(threshold).relu());
}

/** Of each number of a sample how many come before it in the order of their magnitudes, the largest first. */
function ranks(x: Tensor): Tensor {
  return rows(x).abs().argsort(1, { descending: true }).argsort(1);
}

/** What `next` makes of the differences of two samples one after another, from 0; a loop, as images have many pixels. */
function overDifferences(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  next: (before: number, difference: number) => number,
): number {
  let result = 0;
  for (let k = 0; k < a.length; k++) result = next(result, Math.abs((a[k] ?? 0) - (b[k] ?? 0)));
  return result;
}

export const L2: Norm = {
  name: "L2",
  between: (a, b) => Math.sqrt(overDifferences(a, b, (sum, d) => sum + d * d)),
  distance: (d) => euclidean(d),
  project: (d, radii) => within(d, euclidean(d, byHalves), radii),
  steepest: unit,
  // A normal direction, with the radius of a uniform point (Muller 1959).
  random(generator, like, radii) {
    const direction = L2.steepest(generator.normal(like.shape));
    const lengths = generator
      .uniform(radii.shape)
      .pow(1 / sizeOfSample(like))
      .mul(radii);
    return L2.project(direction.mul(perSample(lengths, like)), radii);
  },
};

export const Linf: Norm = {
  name: "Linf",
  between: (a, b) => overDifferences(a, b, Math.max),
  distance: (d) => rows(d).abs().max(1),
  project: (d, radii) => d.minimum(perSample(radii, d)).maximum(perSample(radii.neg(), d)),
  steepest: (g) => g.sign(),
  random: (generator, like, radii) => generator.uniform(like.shape).mul(2).sub(1).mul(perSample(radii, like)),
};

/**
 * The point that is nearest to d in L2 norm of those within L1 balls, and no farther from 0 in a number than its `room`: magnitudes less a
 * threshold, found by halving, with which their sum is the radius (Duchi et al. 2008).
 */
export function projectL1(d: Tensor, radii: Tensor, room?: Tensor): Tensor {
  const size = rows(d).abs();
  const cut = (threshold: Tensor): Tensor => {
    const left = size.sub(threshold.reshape([-1, 1])).relu();
    return room === undefined ? left : left.minimum(rows(room));
  };
  let low = zeros(radii.shape);
  let high = size.max(1);
  for (let i = 0; i < HALVINGS; i++) {
    const middle = low.add(high).mul(0.5);
    const above = cut(middle).sum(1).greater(radii);
    low = above.where(middle, low);
    high = above.where(high, middle);
  }
  const inside = cut(zeros(radii.shape)).sum(1).lessEqual(radii);
  const kept = cut(inside.where(0, high));
  return within(d.sign().mul(kept.reshape(d.shape)), byHalves(kept), radii);
}

export const L1: Norm = {
  name: "L1",
  between: (a, b) => overDifferences(a, b, (sum, d) => sum + d),
  distance: (d) => rows(d).abs().sum(1),
  project: (d, radii) => projectL1(d, radii),
  /** One number of the sample, the first of the largest. */
  steepest: (g) => g.sign().mul(ranks(g).equal(0).cast("f32").reshape(g.shape)),
  random(generator, like, radii) {
    const direction = generator.normal(like.shape);
    const norms = L1.distance(direction).maximum(SMALLEST);
    const point = direction.mul(perSample(generator.uniform(radii.shape).mul(radii).div(norms), like));
    return within(point, byHalves(rows(point).abs()), radii);
  },
};

/** The L1 norm as gradient descent takes it: gradients divided by their norms, and points scaled into a ball. */
export const scaledL1: Norm = {
  ...L1,
  steepest: (g) => g.div(perSample(L1.distance(g).maximum(SMALLEST), g)),
  project: (d, radii) => within(d, byHalves(rows(d).abs()), radii),
};

export const L0: Norm = {
  name: "L0",
  between: (a, b) => overDifferences(a, b, (count, d) => count + Number(d !== 0)),
  distance: (d) => rows(d).notEqual(0).cast("f32").sum(1),
  /** The largest numbers, as many as the radius says, the first of equal ones; the others 0. */
  project: (d, radii) => {
    const kept = ranks(d)
      .cast("f32")
      .less(radii.floor().reshape([-1, 1]));
    return kept.reshape(d.shape).where(d, 0);
  },
  steepest: (g) => L1.steepest(g),
  random: (generator, like, radii) => L0.project(generator.uniform(like.shape).mul(2).sub(1), radii),
};
