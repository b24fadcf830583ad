// Reductions of contrast: on the straight way to a grey image, under foolbox's names.
import { number, type Options, readOptions, type Schema, whole } from "../options.js";
import type { Draws } from "../tensor/generator.js";
import { assign, full, scalar, state, type Tensor, zeros } from "../tensor/index.js";
import { readDescent } from "./ascent.js";
import { distance } from "./distance.js";
import { L2, type Norm, perSample } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";
import { RadialAttack } from "./radial.js";
import type { Bounds } from "./space.js";

/** Options of {@link L2ContrastReductionAttack}. */
export interface L2ContrastReductionOptions extends QueryOptions {
  /** The grey that contrast is reduced to, from 0 (the lower bound) to 1 (the upper one); by default 0.5. */
  target?: number;
  /** Radii that are tried for an image where `run` is given no epsilons, by default 16. */
  binarySearchSteps?: number;
}

/** Options of {@link BinarySearchContrastReductionAttack}. */
export interface BinarySearchContrastReductionOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
  /** How often the way is halved, by default 15. */
  binarySearchSteps?: number;
  /** The grey that contrast is reduced to, from 0 (the lower bound) to 1 (the upper one); by default 0.5. */
  target?: number;
}

/** Options of {@link LinearSearchContrastReductionAttack}. */
export interface LinearSearchContrastReductionOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
  /** Steps of the way, by default 1000. */
  steps?: number;
  /** The grey that contrast is reduced to, from 0 (the lower bound) to 1 (the upper one); by default 0.5. */
  target?: number;
}

const target = number("at least 0 and at most 1", (value) => value >= 0 && value <= 1, 0.5);

const L2_OPTIONS = {
  ...QUERY_OPTIONS,
  target,
  binarySearchSteps: whole(1, 16),
} satisfies Schema<keyof L2ContrastReductionOptions>;

const BINARY_OPTIONS = {
  ...QUERY_OPTIONS,
  distance,
  binarySearchSteps: whole(1, 15),
  target,
} satisfies Schema<keyof BinarySearchContrastReductionOptions>;

const LINEAR_OPTIONS = {
  ...QUERY_OPTIONS,
  distance,
  steps: whole(1, 1000),
  target,
} satisfies Schema<keyof LinearSearchContrastReductionOptions>;

/** The ways from images to grey ones. */
const ways = (images: Tensor, [low, high]: Bounds, share: number): Tensor =>
  images.neg().add(low + share * (high - low));

/** Reduces the contrast by a perturbation of the L2 norm of the radius. */
export class L2ContrastReductionAttack extends RadialAttack<Options<typeof L2_OPTIONS>> {
  readonly norm = L2;

  constructor(options: L2ContrastReductionOptions = {}) {
    super(readDescent("L2ContrastReductionAttack", L2_OPTIONS, options));
  }

  protected override perturbed(_: Draws, images: Tensor, radii: Tensor, bounds: Bounds): Tensor {
    const way = ways(images, bounds, this.options.target);
    return images.add(L2.project(way, radii)).clip(...bounds);
  }
}

/** Halves the way to a grey image between the largest share that was not adversarial and the smallest that was. */
export class BinarySearchContrastReductionAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof BINARY_OPTIONS>;

  constructor(options: BinarySearchContrastReductionOptions = {}) {
    super();
    this.options = readOptions("BinarySearchContrastReductionAttack", BINARY_OPTIONS, options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { binarySearchSteps } = this.options;
    const { task, best } = queries.search;
    const batched = true;
    const low = state(zeros([task.count]), { batched, name: "largest shares that were not adversarial" });
    const high = state(full([task.count], 1), { batched, name: "smallest shares that were adversarial" });
    const share = state(full([task.count], 1), { batched, name: "shares of the ways" });
    const halves = queries.rounds({
      ask: () => {
        const way = ways(best.originals, task.bounds, this.options.target).mul(perSample(share, best.originals));
        return { images: best.originals.add(way).clip(...task.bounds), of: low.less(high) };
      },
      learn: ({ hit }) => {
        const [from, to] = [hit.where(low, share), hit.where(share, high)];
        assign(low, from);
        assign(high, to);
        assign(share, from.add(to).mul(0.5));
      },
    });
    // The end of the way first, beyond which nothing is.
    await halves.run(1 + binarySearchSteps, [], [0, 1]);
  }
}

/** Goes the way to a grey image in equal steps until the image is adversarial. */
export class LinearSearchContrastReductionAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof LINEAR_OPTIONS>;

  constructor(options: LinearSearchContrastReductionOptions = {}) {
    super();
    this.options = readOptions("LinearSearchContrastReductionAttack", LINEAR_OPTIONS, options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { steps, target: grey } = this.options;
    const { task, best } = queries.search;
    const share = state(scalar(0), { name: "share of the ways" });
    const walk = queries.rounds({
      settings: [share],
      ask: () => ({
        images: best.originals.add(ways(best.originals, task.bounds, grey).mul(share)).clip(...task.bounds),
        of: best.found.not(),
      }),
    });
    await walk.run(steps, [Float32Array.from({ length: steps }, (_, k) => (k + 1) / steps)], [0, 1]);
  }
}
