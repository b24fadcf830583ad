// HopSkipJump (Chen, Jordan and Wainwright 2020), with foolbox's defaults and order of operations, each image by itself.
import { choice, type Options, positive, readOptions, type Schema, whole } from "../options.js";
import { assign, full, type State, scalar, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { assignInTurn } from "../tensor/state.js";
import { LinearSearchBlendedUniformNoiseAttack } from "./blended-noise.js";
import { L2, Linf, type Norm, perSample, SMALLEST } from "./norm.js";
import {
  type QueryAttack as Init,
  QUERY_OPTIONS,
  type Queries,
  QueryAttack,
  type QueryOptions,
  queryAttack,
  type Runs,
  type Share,
} from "./queries.js";

/** Options of {@link HopSkipJumpAttack}. */
export interface HopSkipJumpOptions extends QueryOptions {
  /** Where it starts from, by default uniform noise that the image is blended with in 50 steps. */
  initAttack?: Init;
  /** By default 64. */
  steps?: number;
  /** Questions for the first estimate of a gradient, by default 100; that of step t takes √t times as many. */
  initialGradientEvalSteps?: number;
  /** And never more, by default 10,000. */
  maxGradientEvalSteps?: number;
  /**
   * The length of a step: "geometric_progression", as by default, halves the distance over √t until the step is adversarial; "grid_search"
   * takes the best of 20 lengths.
   */
  stepsizeSearch?: "geometric_progression" | "grid_search";
  /** How near to the border it stops, over d^1.5 in L2 and d² in L∞ norm for d pixels; by default 1. */
  gamma?: number;
  /** The norm: "l2", as by default, or "linf". */
  constraint?: "l2" | "linf";
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  initAttack: queryAttack,
  steps: whole(1, 64),
  initialGradientEvalSteps: whole(1, 100),
  maxGradientEvalSteps: whole(1, 10_000),
  stepsizeSearch: choice(["geometric_progression", "grid_search"], "geometric_progression"),
  gamma: positive(1),
  constraint: choice(["l2", "linf"], "l2"),
} satisfies Schema<keyof HopSkipJumpOptions>;

/** Halvings of a step at most: what is left of it is nothing in float32. */
const MOST_HALVINGS = 24;
/** Lengths of a grid, from 1e-4 to 1 times the distance. */
const GRID = 20;
/** The first estimate asks within so much of the bounds' width. */
const FIRST_PROBES = 0.1;
/** Share of the work that finds a start. */
const START = 0.1;

/**
 * HopSkipJump (Chen, Jordan and Wainwright 2020): at a point of the border the direction of the gradient, from what random points around it
 * are told as; a step along it; and the way from there to the image, halved until the border is near.
 */
export class HopSkipJumpAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: HopSkipJumpOptions = {}) {
    super();
    this.options = readOptions("HopSkipJumpAttack", OPTIONS, options);
    this.norm = this.options.constraint === "l2" ? L2 : Linf;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { steps, initialGradientEvalSteps, maxGradientEvalSteps, stepsizeSearch } = this.options;
    const { initAttack = new LinearSearchBlendedUniformNoiseAttack({ steps: 50 }) } = this.options;
    await this.begin(initAttack, queries, [0, START]);
    const { task, best } = queries.search;
    const begun = state(best.distances.less(Number.POSITIVE_INFINITY), { batched: true, name: "whether it started" });
    const hops = new Hops(
      queries,
      tensor(await best.values(), task.images.shape),
      begun,
      this.norm,
      this.options.gamma,
    );
    await hops.approach([START, START]);
    for (let t = 1; t <= steps; t++) {
      const part = (1 - START) / steps;
      const share: Share = [START + (t - 1) * part, START + t * part];
      const probes = Math.min(Math.floor(initialGradientEvalSteps * Math.sqrt(t)), maxGradientEvalSteps);
      await hops.estimate(probes, t === 1, share);
      if (stepsizeSearch === "geometric_progression") await hops.jump(Math.sqrt(t), share[1]);
      else await hops.jumpFarthest(share[1]);
    }
  }
}

/** The states of the attack, and its three kinds of rounds. */
class Hops {
  /** Halvings after which the border is as near as is asked for. */
  readonly #halvings: number;
  readonly #norm: Norm;
  /** Adversarials near the border. */
  readonly #current: State;
  /** Those that a step starts from, and the nearest that one of a grid led to. */
  readonly #anchor: State;
  readonly #nearest: State;
  /** Directions that are steps as long as 1, and lengths of steps. */
  readonly #direction: State;
  readonly #lengths: State;
  /** Which images have a step to take still: those that have taken theirs go back to the border. */
  readonly #walking: State;
  readonly #sums: { noise: State; told: State; both: State; count: State };
  readonly #first = state(scalar(0), { name: "whether it is the first estimate" });
  readonly #halves: State[];
  readonly #queries: Queries;
  readonly #begun: State;
  readonly #probing: Runs;
  readonly #stepping: Runs;
  readonly #halving: Runs;

  constructor(queries: Queries, start: Tensor, begun: State, norm: Norm, gamma: number) {
    const { task, best } = queries.search;
    const { images, count, bounds } = task;
    const [low, high] = bounds;
    const size = images.shape.slice(1).reduce((product, extent) => product * extent, 1);
    const theta = gamma / (norm === L2 ? size * Math.sqrt(size) : size * size);
    const batched = true;
    const [like, each] = [zeros(images.shape), zeros([count])];
    this.#norm = norm;
    this.#queries = queries;
    this.#begun = begun;
    this.#halvings = Math.max(1, Math.ceil(-Math.log2(Math.max(theta, 2 ** -MOST_HALVINGS))));
    this.#current = state(start, { batched, name: "adversarials near the border" });
    this.#anchor = state(like, { batched, name: "where a step starts from" });
    this.#nearest = state(like, { batched, name: "nearest of a grid" });
    this.#direction = state(like, { batched, name: "directions" });
    this.#lengths = state(each, { batched, name: "lengths of steps" });
    this.#walking = state(zeros([count], { dtype: "bool" }), { batched, name: "whether it takes a step" });
    this.#sums = {
      noise: state(like, { batched, name: "sum of noise" }),
      told: state(each, { batched, name: "sum of what it is told as" }),
      both: state(like, { batched, name: "sum of products" }),
      count: state(each, { batched, name: "how much noise" }),
    };
    const sums = this.#sums;
    const current = this.#current;
    const distances = (): Tensor => norm.distance(current.sub(best.originals));
    const radii = (): Tensor => {
      const later = distances().mul(gamma / size);
      return this.#first
        .greater(0)
        .where(FIRST_PROBES * (high - low), later)
        .maximum(SMALLEST);
    };
    this.#probing = queries.rounds({
      ahead: Number.POSITIVE_INFINITY,
      ask: (draws) => {
        const one = [1, ...images.shape.slice(1)];
        const noise = norm === L2 ? draws.normal(one) : draws.uniform(one).mul(2).sub(1);
        const ball = L2.steepest(noise).mul(perSample(radii(), images));
        return { images: current.add(ball).clip(...bounds), of: begun };
      },
      learn: ({ images: moved, hit, asked }) => {
        const noise = moved.sub(current).div(perSample(radii(), moved));
        const told = asked.where(hit.where(1, -1), 0);
        const counts = asked.cast("f32");
        assign(sums.noise, sums.noise.add(noise.mul(perSample(counts, noise))));
        assign(sums.told, sums.told.add(told));
        assign(sums.both, sums.both.add(noise.mul(perSample(told, noise))));
        assign(sums.count, sums.count.add(counts));
      },
    });
    this.#stepping = queries.rounds({
      ask: () => {
        const step = this.#direction.mul(perSample(this.#lengths, images));
        return { images: this.#anchor.add(step).clip(...bounds), of: this.#walking };
      },
      learn: ({ images: moved, hit, asked }) => {
        assign(current, perSample(hit, moved).where(moved, current));
        assign(this.#lengths, asked.and(hit.not()).where(this.#lengths.mul(0.5), this.#lengths));
        assign(this.#walking, this.#walking.and(hit.not()));
      },
    });
    const end = state(like, { batched, name: "ends of the ways" });
    const from = state(each, { batched, name: "largest shares that were not adversarial" });
    const to = state(each, { batched, name: "smallest shares that were adversarial" });
    this.#halves = [end, from, to];
    this.#halving = queries.rounds({
      ask: () => {
        const way = end.sub(best.originals);
        const share = from.add(to).mul(0.5);
        const between = best.originals.add(norm.project(way, norm.distance(way).mul(share)));
        return { images: between.clip(...bounds), of: begun.and(this.#walking.not()) };
      },
      learn: ({ images: moved, hit, asked }) => {
        const share = from.add(to).mul(0.5);
        assign(current, perSample(hit, moved).where(moved, current));
        assign(from, asked.and(hit.not()).where(share, from));
        assign(to, hit.where(share, to));
      },
    });
  }

  /** Halves the ways from images to adversarials. */
  async approach(share: Share): Promise<void> {
    const [end, from, to] = this.#halves as [State, State, State];
    const { count } = this.#queries.search.task;
    await assignInTurn([
      [end, this.#current],
      [from, zeros([count])],
      [to, full([count], 1)],
    ]);
    await this.#halving.run(this.#halvings, [], share);
  }

  /** Estimates directions of gradients from what so many points around adversarials are told as. */
  async estimate(probes: number, isFirst: boolean, share: Share): Promise<void> {
    const sums = this.#sums;
    const zero = (one: State) => [one, zeros(one.shape)] as const;
    await assignInTurn([...Object.values(sums).map(zero), [this.#first, scalar(isFirst ? 1 : 0)]]);
    await this.#probing.run(probes, [], share);
    const mean = sums.told.div(sums.count.maximum(1));
    // Where all are told as the same nothing is subtracted.
    const baseline = mean.abs().equal(1).where(0, mean);
    const gradient = sums.both.sub(sums.noise.mul(perSample(baseline, sums.noise)));
    await assignInTurn([[this.#direction, this.#norm.steepest(gradient)]]);
  }

  /** A step of the distance over `divisor`, halved until it is adversarial, and from there to the border. */
  async jump(divisor: number, share: number): Promise<void> {
    await this.#set(this.#distances().div(divisor));
    await this.#stepping.run(MOST_HALVINGS, [], [share, share]);
    await this.approach([share, share]);
  }

  /** The nearest point of the border that steps of a grid of lengths lead to. */
  async jumpFarthest(share: number): Promise<void> {
    const distances = tensor(Float32Array.from(await this.#distances().data()));
    const start = tensor(Float32Array.from(await this.#current.data()), this.#current.shape);
    await assignInTurn([[this.#nearest, start]]);
    for (let k = 0; k < GRID; k++) {
      await assignInTurn([[this.#current, start]]);
      await this.#set(distances.mul(10 ** (-4 + (4 * k) / (GRID - 1))));
      await this.#stepping.run(1, [], [share, share]);
      await this.approach([share, share]);
      const nearest = this.#nearest;
      const nearer = this.#distances().less(this.#distances(nearest));
      await assignInTurn([[nearest, perSample(nearer, nearest).where(this.#current, nearest)]]);
    }
    await assignInTurn([[this.#current, this.#nearest]]);
  }

  /** Where the next step starts, how long it is, and who takes it. */
  async #set(lengths: Tensor): Promise<void> {
    await assignInTurn([
      [this.#lengths, lengths],
      [this.#anchor, this.#current],
      [this.#walking, this.#begun],
    ]);
  }

  #distances(of: Tensor = this.#current): Tensor {
    return this.#norm.distance(of.sub(this.#queries.search.best.originals));
  }
}
