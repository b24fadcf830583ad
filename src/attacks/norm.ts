// Norms of perturbations: distance, nearest point of a ball, steepest direction, random start. All for each sample by itself.
import { type Generator, type Tensor, zeros } from "../tensor/index.js";

/** What attacks need of a norm. Perturbations are `[n, ...]`; distances and radii `[n]`. */
export interface Norm {
  readonly name: "L2" | "Linf" | "L1" | "L0";
  /** ‖d‖ of each sample; for L0 the numbers that are not 0. */
  distance(d: Tensor): Tensor;
  /** ‖a - b‖ of two samples, in float64. */
  between(a: ArrayLike<number>, b: ArrayLike<number>): number;
  /** The point within the radii that is nearest to d in L2 norm. */
  project(d: Tensor, radii: Tensor): Tensor;
  /** The direction u of norm 1 with the largest <g, u>; 0 for a gradient of 0. */
  steepest(g: Tensor): Tensor;
  /** A point of the balls of these radii: uniform for L2 and Linf, along a uniform direction for the others. */
  random(generator: Generator, like: Tensor, radii: Tensor): Tensor;
}

/** Below this a norm counts as 0. */
const SMALLEST = 1e-30;
/** Halvings of the threshold of a projection onto an L1 ball: more than float32 has bits. */
const HALVINGS = 40;

const rows = (x: Tensor): Tensor => x.reshape([x.shape[0] ?? 0, -1]);

/** Numbers `[n]` beside samples of the shape of x. */
export function perSample(values: Tensor, x: Tensor): Tensor {
  return values.reshape([x.shape[0] ?? 0, ...x.shape.slice(1).map(() => 1)]);
}

/** d scaled down where its norm is above the radius. */
function within(d: Tensor, norms: Tensor, radii: Tensor): Tensor {
  return d.mul(perSample(radii.div(norms.maximum(SMALLEST)).minimum(1), d));
}

/** Norms without overflow and underflow of squares. */
function euclidean(d: Tensor): Tensor {
  const flat = rows(d);
  const largest = flat.abs().max(1, { keepdims: true });
  const scale = largest.greater(0).where(largest, 1);
  return flat
    .div(scale)
    .square()
    .sum(1)
    .sqrt()
    .mul(scale.reshape([-1]));
}

/** Of each number of a sample how many come before it in the order of their magnitudes, the largest first. */
function ranks(x: Tensor): Tensor {
  return rows(x).abs().argsort(1, { descending: true }).argsort(1);
}

const differences = (a: ArrayLike<number>, b: ArrayLike<number>): Float64Array =>
  Float64Array.from(a, (value, k) => Math.abs(value - (b[k] ?? 0)));
const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);

export const L2: Norm = {
  name: "L2",
  between: (a, b) => Math.sqrt(total(differences(a, b).map((d) => d * d))),
  distance: euclidean,
  project: (d, radii) => within(d, euclidean(d), radii),
  steepest: (g) => g.div(perSample(euclidean(g).maximum(SMALLEST), g)),
  // A normal direction, with the radius of a uniform point (Muller 1959).
  random(generator, like, radii) {
    const direction = L2.steepest(generator.normal(like.shape));
    const size = (like.size / Math.max(1, like.shape[0] ?? 1)) | 0;
    return direction.mul(
      perSample(
        generator
          .uniform(radii.shape)
          .pow(1 / Math.max(1, size))
          .mul(radii),
        like,
      ),
    );
  },
};

export const Linf: Norm = {
  name: "Linf",
  between: (a, b) => differences(a, b).reduce((most, d) => Math.max(most, d), 0),
  distance: (d) => rows(d).abs().max(1),
  project: (d, radii) => d.minimum(perSample(radii, d)).maximum(perSample(radii.neg(), d)),
  steepest: (g) => g.sign(),
  random: (generator, like, radii) => generator.uniform(like.shape).mul(2).sub(1).mul(perSample(radii, like)),
};

export const L1: Norm = {
  name: "L1",
  between: (a, b) => total(differences(a, b)),
  distance: (d) => rows(d).abs().sum(1),
  /** Magnitudes less a threshold, found by halving, with which their sum is the radius (Duchi et al. 2008). */
  project(d, radii) {
    const size = rows(d).abs();
    let low = zeros(radii.shape);
    let high = size.max(1);
    for (let i = 0; i < HALVINGS; i++) {
      const middle = low.add(high).mul(0.5);
      const above = size
        .sub(middle.reshape([-1, 1]))
        .relu()
        .sum(1)
        .greater(radii);
      low = above.where(middle, low);
      high = above.where(high, middle);
    }
    const inside = L1.distance(d).lessEqual(radii);
    const threshold = inside.where(0, high);
    const cut = size
      .sub(threshold.reshape([-1, 1]))
      .relu()
      .reshape(d.shape);
    return within(d.sign().mul(cut), cut.reshape([d.shape[0] ?? 0, -1]).sum(1), radii);
  },
  /** One number of the sample, the first of the largest. */
  steepest: (g) => g.sign().mul(ranks(g).equal(0).cast("f32").reshape(g.shape)),
  random(generator, like, radii) {
    const direction = generator.normal(like.shape);
    const norms = L1.distance(direction).maximum(SMALLEST);
    return direction.mul(perSample(generator.uniform(radii.shape).mul(radii).div(norms), like));
  },
};

export const L0: Norm = {
  name: "L0",
  between: (a, b) => differences(a, b).filter((d) => d !== 0).length,
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
