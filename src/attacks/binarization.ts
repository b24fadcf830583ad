// What is left of an adversarial where a model tells pixels by a threshold alone.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { choice, number, type Options, optional, readOptions, type Schema } from "../options.js";
import { nextFloat32 } from "../tensor/dtype.js";
import { scalar, state, type Tensor, tensor } from "../tensor/index.js";
import { distance } from "./distance.js";
import type { Norm } from "./norm.js";
import {
  type QueryAttack as Init,
  QUERY_OPTIONS,
  type Queries,
  QueryAttack,
  type QueryOptions,
  queryAttack,
} from "./queries.js";
import { SaltAndPepperNoiseAttack } from "./salt-and-pepper.js";
import { type Bounds, isFloat32 } from "./space.js";
import { asStarts, checkStarts, startingPoints } from "./starts.js";

/** Options of {@link BinarizationRefinementAttack}. */
export interface BinarizationRefinementOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
  /** What the model tells pixels by, in the units of the bounds; by default the middle of them. */
  threshold?: number;
  /** On which side of the threshold the threshold itself is, by default "upper". */
  includedIn?: "lower" | "upper";
  /** Where it starts from, by default salt and pepper. */
  initAttack?: Init;
  /** Adversarials to start from, of the shape of the images, in the place of an attack. */
  startingPoints?: Tensor;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  distance,
  threshold: optional(number("finite in float32", isFloat32)),
  includedIn: choice(["lower", "upper"], "upper"),
  initAttack: queryAttack,
  startingPoints,
} satisfies Schema<keyof BinarizationRefinementOptions>;

/** Share of the work that finds a start. */
const START = 0.9;
/** The smallest normal number of float32: devices may take what is smaller for 0. */
const SMALLEST_NORMAL = 2 ** -126;

/**
 * Of models that tell pixels by a threshold alone (foolbox's refinement): pixels of an adversarial that are on their image's side of it are
 * set back, others to the number of their side that is next to it. Where the model is no such one, and what that makes is not
 * adversarial, the start is what is found.
 */
export class BinarizationRefinementAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: BinarizationRefinementOptions = {}) {
    super();
    this.options = readOptions("BinarizationRefinementAttack", OPTIONS, options);
    checkStarts("BinarizationRefinementAttack", this.options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { includedIn, initAttack = new SaltAndPepperNoiseAttack(), startingPoints: points } = this.options;
    const { task, best } = queries.search;
    const threshold = thresholdOf(this.options.threshold, task.bounds);
    const isUpper = (x: Tensor): Tensor => (includedIn === "upper" ? x.greaterEqual(threshold) : x.greater(threshold));
    const lower = includedIn === "upper" ? nextTo(threshold, -1) : threshold;
    const upper = includedIn === "upper" ? threshold : nextTo(threshold, 1);
    if (points === undefined) await this.begin(initAttack, queries, [0, START]);
    const given = points === undefined ? tensor(await best.values(), task.images.shape) : asStarts(points, task);
    const starts = state(given, { batched: true, name: "adversarials to refine" });
    const refines = state(scalar(0), { name: "whether they are refined" });
    const rounds = queries.rounds({
      settings: [refines],
      ask: () => {
        const side = isUpper(starts);
        const same = side.equal(isUpper(best.originals));
        const refined = same.where(best.originals, side.where(upper, lower));
        // Points that are given are asked for themselves where that is not adversarial.
        return {
          images: refines.greater(0).where(refined, starts),
          of: points === undefined ? best.found : best.found.not(),
        };
      },
    });
    const settings = points === undefined ? [1] : [1, 0];
    await rounds.run(settings.length, [settings], points === undefined ? [START, 1] : [0, 1]);
  }
}

/** A threshold as float32 has it. */
function thresholdOf(given: number | undefined, [low, high]: Bounds): number {
  const threshold = given ?? (low + high) / 2;
  if (threshold < low || threshold > high) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `threshold must be within the bounds [${low}, ${high}], in which the model sees pixels, u8 ones divided by 255; given ${describe(given)}`,
    );
  }
  return Math.abs(threshold) < SMALLEST_NORMAL ? 0 : Math.fround(threshold);
}

/** The number of float32 that is next to another one on a side, 0 or a normal one. */
function nextTo(value: number, side: -1 | 1): number {
  if (value === 0) return side * SMALLEST_NORMAL;
  const next = nextFloat32(value, side === Math.sign(value) ? 1 : -1);
  return Math.abs(next) < SMALLEST_NORMAL ? 0 : next;
}
