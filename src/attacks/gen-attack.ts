// GenAttack (Alzantot et al. 2019): perturbations bred from generation to generation, of those that score best the most.
import { TslipError } from "../errors.js";
import { number, type Options, optional, pair, type Schema, whole } from "../options.js";
import type { Draws } from "../tensor/generator.js";
import { arange, assign, type State, scalar, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { readDescent } from "./ascent.js";
import { Linf, type Norm } from "./norm.js";
import { aboveZero, share } from "./options.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";
import { SearchRadius } from "./search-radius.js";
import { alongAxis } from "./sides.js";

/** Options of {@link GenAttack}. */
export interface GenAttackOptions extends QueryOptions {
  /** Generations for a radius at most, by default 1000; an image rests after the one in which it is adversarial. */
  steps?: number;
  /** Perturbations of a generation, by default 10: the best of the one before, which is not asked for again, and its children. */
  population?: number;
  /** What the share of pixels that mutate goes down to, by default 0.1: it is a half at first, and 0.9 times as large after each plateau. */
  mutationProbability?: number;
  /** What the largest mutation, as a share of the radius, goes down to, by default 0.15: it is 0.4 at first, and goes down likewise. */
  mutationRange?: number;
  /** Scores are divided by it before they are the logits of having children; by default 0.3. */
  samplingTemperature?: number;
  /** Height and width, or one number for both, of perturbations of images [n, channels, height, width], which are enlarged bilinearly; by default those of the images. */
  reducedDims?: number | readonly [height: number, width: number];
  /** Radii that are tried for an image where `run` is given no epsilons, by default 16. */
  binarySearchSteps?: number;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  steps: whole(1, 1000),
  population: whole(2, 10),
  mutationProbability: number("at least 0 and at most 1", (value) => value >= 0 && value <= 1, 0.1),
  mutationRange: share(0.15),
  samplingTemperature: aboveZero(0.3),
  reducedDims: optional(pair(1)),
  binarySearchSteps: whole(1, 16),
} satisfies Schema<keyof GenAttackOptions>;

/** Share of pixels that mutate, and the largest mutation, before any plateau; and what is left of both after each. */
const [FIRST_PROBABILITY, FIRST_RANGE, LEFT] = [0.5, 0.4, 0.9];
/** Generations in a row without a better perturbation that are a plateau. */
const PLATEAU = 100;

/** Of some members `[n, population, ...]` the one that is 1 in `chosen`, `[n, population]`. */
const member = (members: Tensor, chosen: Tensor): Tensor => {
  const [count = 0, population = 0, ...rest] = members.shape;
  return members.mul(chosen.reshape([count, population, ...rest.map(() => 1)])).sum(1);
};

/** What a generation is bred from. */
interface Parents {
  /** As multiples of the radius, `[n, population, ...]`. */
  readonly members: State;
  /** How likely each has children, `[n, population]`. */
  readonly shares: State;
  /** Plateaus so far, `[n]`. */
  readonly plateaus: State;
}

/**
 * GenAttack (Alzantot et al. 2019) in L∞ norm, for scores alone: a child has each pixel of one of two perturbations, the likelier the better
 * these score, and some of them are moved at random. The score is the logarithm of the odds of the target, as in the paper, or without `targets` of any class but the label.
 *
 * Where foolbox does otherwise: it subtracts a logit from a sum of likelihoods in its score, needs targets, and asks for the best of a
 * generation again in the next one. The first generation here has the image itself as that.
 */
export class GenAttack extends QueryAttack {
  readonly norm: Norm = Linf;
  protected override readonly within = true;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: GenAttackOptions = {}) {
    super();
    this.options = readDescent("GenAttack", OPTIONS, options);
  }

  protected override async query(queries: Queries): Promise<void> {
    const { steps, population, samplingTemperature, binarySearchSteps } = this.options;
    const { search } = queries;
    const { task, best, criterion, radii } = search;
    const { images, count, bounds } = task;
    const { shape, enlarged } = this.#noise(images.shape);
    const batched = true;
    const radius = new SearchRadius(search, this.norm, binarySearchSteps);
    const numbers = (name: string): State => state(zeros([count]), { batched, name });
    const all = [count, population, ...shape];
    const members = state(zeros(all), { batched, name: "perturbations of a generation, the first the best before it" });
    const unmoved = criterion.odds(task.logits).reshape([count, 1]).broadcastTo([count, population]);
    const scores = state(unmoved, { batched, name: "their scores" });
    const firstScores = state(unmoved, { batched, name: "scores of the images" });
    const parents: Parents = {
      members: state(zeros(all), { batched, name: "perturbations that have children" }),
      shares: state(zeros([count, population]), { batched, name: "how likely each has children" }),
      plateaus: numbers("plateaus"),
    };
    const stale = numbers("generations since a better one");
    const resting = state(zeros([count], { dtype: "bool" }), { batched, name: "images at rest in a generation" });
    const generation = state(scalar(0), { name: "generation within a radius" });
    const child = state(scalar(1), { name: "place of a child" });
    const heard = state(scalar(0), { name: "children of a generation that were answered" });
    const children = population - 1;
    const places = arange(population).cast("f32");
    const besides = (flags: Tensor): Tensor => flags.reshape([-1, population, ...shape.map(() => 1)]);
    const rounds = queries.rounds({
      settings: [generation, child],
      scores: true,
      ahead: children,
      ask: (draws) => {
        const change = draws
          .uniform([1, ...shape])
          .mul(2)
          .sub(1);
        const noise = generation.equal(0).where(change, this.#bred(draws, parents, change));
        assign(members, besides(places.equal(child)).where(noise.reshape([count, 1, ...shape]), members));
        // One for all children, so that a generation can be asked for at once.
        const begins = child.equal(1);
        const rest = begins.and(best.found).or(begins.not().and(resting));
        assign(resting, rest);
        const moved = enlarged(noise).mul(radius.beside(images));
        return { images: best.originals.add(moved).clip(...bounds), of: rest.not() };
      },
      learn: ({ logits }) => {
        const place = heard.add(1);
        const due = place.equal(children);
        const known = places.equal(place).where(criterion.odds(logits).reshape([count, 1]), scores);
        const top = known.argmax(1);
        const elite = top.oneHot(population).cast("f32");
        const waited = top.equal(0).where(stale.add(1), 0);
        const flat = waited.greaterEqual(PLATEAU);
        const ended = due.and(generation.equal(steps - 1));
        const first = places.equal(0);
        const next = due.and(first).where(member(known, elite).reshape([count, 1]), known);
        const kept = besides(due.and(first)).where(member(members, elite).reshape([count, 1, ...shape]), members);
        const risen = parents.plateaus.add(flat.cast("f32"));
        assign(heard, due.where(0, place));
        assign(parents.members, due.where(members, parents.members));
        assign(parents.shares, due.where(known.div(samplingTemperature).softmax(1), parents.shares));
        assign(parents.plateaus, ended.where(0, due.where(risen, parents.plateaus)));
        assign(stale, ended.where(0, due.where(flat.where(0, waited), stale)));
        assign(scores, ended.where(firstScores, next));
        assign(members, ended.where(0, kept));
        radius.next(ended);
      },
      pauses: radii === undefined,
    });
    const each = steps * children;
    const table = (of: (k: number) => number): Float32Array =>
      Float32Array.from({ length: each * radius.tries }, (_, k) => of(k % each));
    const settings = [table((k) => Math.floor(k / children)), table((k) => 1 + (k % children))];
    await rounds.run(each * radius.tries, settings, [0, 1]);
  }

  /** A child of two parents that are drawn, as multiples of the radius; `change` is -1 to 1. */
  #bred(draws: Draws, { members, shares, plateaus }: Parents, change: Tensor): Tensor {
    const { population, mutationProbability, mutationRange } = this.options;
    const { shape } = change;
    const beside = (values: Tensor): Tensor => values.reshape([-1, ...shape.slice(1).map(() => 1)]);
    const upTo = Float32Array.from({ length: population ** 2 }, (_, k) =>
      Number(k % population >= Math.floor(k / population)),
    );
    const ends = shares.matmul(tensor(upTo, [population, population]));
    const drawn = (): Tensor => {
      const before = ends
        .lessEqual(draws.uniform([1, 1]))
        .cast("f32")
        .sum(1);
      return before
        .minimum(population - 1)
        .cast("i32")
        .oneHot(population)
        .cast("f32");
    };
    const [one, other] = [drawn(), drawn()];
    const [own, others] = [member(shares, one), member(shares, other)];
    const crossed = draws
      .uniform(shape)
      .less(beside(own.div(own.add(others))))
      .where(member(members, one), member(members, other));
    const left = plateaus.mul(Math.log(LEFT)).exp();
    const rate = left.mul(FIRST_PROBABILITY).maximum(mutationProbability);
    const range = left.mul(FIRST_RANGE).maximum(mutationRange);
    const mutates = draws.uniform(shape).less(beside(rate));
    return crossed.add(mutates.where(change.mul(beside(range)), 0)).clip(-1, 1);
  }

  /** The shape of a perturbation of one image, and what makes such ones of the images' shape. */
  #noise([, ...image]: readonly number[]): { shape: readonly number[]; enlarged: (noise: Tensor) => Tensor } {
    const { reducedDims } = this.options;
    if (reducedDims === undefined) return { shape: image, enlarged: (noise) => noise };
    const [channels = 0, ...full] = image;
    if (full.length !== 2 || reducedDims.some((extent, i) => extent > (full[i] ?? 0))) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `reducedDims of GenAttack are [${reducedDims}]; expected images [n, channels, height, width] with sides as large or larger; given images ` +
          `[n, ${image.join(", ")}]`,
      );
    }
    const matrices = reducedDims.map((extent, i) => bilinear(extent, full[i] ?? 0));
    const enlarged = (noise: Tensor): Tensor =>
      matrices.reduce((larger, matrix, i) => alongAxis(larger, 2 + i, matrix), noise);
    return { shape: [channels, ...reducedDims], enlarged };
  }
}

/** What each of `few` pixels weighs at each of `many` along a side, `[many, few]`: pixels are areas, and the border goes on outside. */
function bilinear(few: number, many: number): Tensor {
  const weights = new Float32Array(many * few);
  for (let i = 0; i < many; i++) {
    const at = Math.max(0, ((i + 0.5) * few) / many - 0.5);
    const low = Math.floor(at);
    const high = Math.min(low + 1, few - 1);
    weights[i * few + low] = 1 - (at - low);
    weights[i * few + high] = (weights[i * few + high] ?? 0) + (at - low);
  }
  return tensor(weights, [many, few]);
}
