// Sparse L1 descent (Tramèr and Boneh 2019): steps of a few pixels, those of the largest gradients.
import { number, type Options, type Schema } from "../options.js";
import type { Tensor } from "../tensor/index.js";
import { readDescent } from "./ascent.js";
import { type DescentOptions, descentOptions, GradientDescentAttack } from "./gradient-descent.js";
import { L1, type Norm, scaledL1 } from "./norm.js";
import { withinReach } from "./planes.js";
import type { Bounds } from "./space.js";

/** Options of {@link SparseL1DescentAttack}. By default `randomStart` is false, `relStepsize` 0.2 and `steps` 10. */
export interface SparseL1DescentOptions extends DescentOptions {
  /** A step moves the pixels whose gradient is in no smaller quantile of all magnitudes, by default 0.99. */
  quantile?: number;
}

const OPTIONS = {
  ...descentOptions(0.2, 10, false),
  quantile: number("at least 0 and at most 1", (value) => value >= 0 && value <= 1, 0.99),
} satisfies Schema<keyof SparseL1DescentOptions>;

/** The L1 norm with directions that go the same way along all pixels of the largest gradients. */
const sparse = (quantile: number): Norm => ({
  ...L1,
  random: scaledL1.random,
  steepest(gradient) {
    const sizes = gradient.abs().flatten(1);
    const [count = 0, size = 0] = sizes.shape;
    // Quantiles between two magnitudes leave out the smaller one.
    const rank = Math.ceil(quantile * (size - 1));
    const least = sizes.sort(1).values.slice([0, rank], [count, rank + 1]);
    const moved = sizes.greaterEqual(least).reshape(gradient.shape);
    return scaledL1.steepest(moved.where(gradient.sign(), 0));
  },
});

/**
 * Sparse L1 descent (Tramèr and Boneh 2019): steps along the signs of the largest gradients, those of pixels that a step would carry beyond
 * their bounds left aside, each followed by the nearest point of an L1 ball.
 */
export class SparseL1DescentAttack extends GradientDescentAttack<Options<typeof OPTIONS>> {
  constructor(options: SparseL1DescentOptions = {}) {
    const read = readDescent("SparseL1DescentAttack", OPTIONS, options);
    super(L1, read, undefined, sparse(read.quantile));
  }

  protected override usable(gradient: Tensor, images: Tensor, bounds: Bounds): Tensor {
    return withinReach(gradient.neg(), images, bounds).neg();
  }
}
