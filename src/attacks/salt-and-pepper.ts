// Salt and pepper: pixels on their bounds, more and more of them.
import { flag, type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, full, scalar, state, type Tensor, zeros } from "../tensor/index.js";
import { L2, perSample } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";

/** Options of {@link SaltAndPepperNoiseAttack}. */
export interface SaltAndPepperNoiseOptions extends QueryOptions {
  /** By default 1000. */
  steps?: number;
  /** Whether all channels of a pixel have the same noise, as by default. */
  acrossChannels?: boolean;
  /** The axis of the channels in images `[n, ...]`, by default 1; images `[n, width]` have none. */
  channelAxis?: number;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  steps: whole(1, 1000),
  acrossChannels: flag(true),
  channelAxis: whole(1, 1),
} satisfies Schema<keyof SaltAndPepperNoiseOptions>;

/** What is tried after a success is up to so many times the probability that had it, as distances do not strictly grow with it. */
const [LEAST, MOST] = [0.5, 1.2];

/**
 * Puts pixels on one of their bounds with a probability that grows from step to step, from that of half the last success to a little more
 * than its own.
 */
export class SaltAndPepperNoiseAttack extends QueryAttack {
  readonly norm = L2;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: SaltAndPepperNoiseOptions = {}) {
    super();
    this.options = readOptions("SaltAndPepperNoiseAttack", OPTIONS, options);
  }

  protected override async query(queries: Queries): Promise<void> {
    const { steps, acrossChannels, channelAxis } = this.options;
    const { task, best } = queries.search;
    const [low, high] = task.bounds;
    const shape = [1, ...task.images.shape.slice(1)];
    if (acrossChannels && shape.length > 2 && channelAxis < shape.length) shape[channelAxis] = 1;
    const batched = true;
    const numbers = (value: number, name: string) => state(full([task.count], value), { batched, name });
    const nearest = numbers(Number.POSITIVE_INFINITY, "distances of the nearest");
    const least = state(zeros([task.count]), { batched, name: "smallest probabilities" });
    const most = numbers(1, "largest probabilities");
    const growth = numbers(1 / steps, "growth of probabilities");
    const probability = numbers(1 / steps, "probabilities");
    const left = state(scalar(0), { name: "steps left" });
    const rounds = queries.rounds({
      settings: [left],
      ask: (draws) => {
        const drawn = draws.uniform(shape);
        const half = perSample(probability.mul(0.5), task.images);
        const peppered = drawn.less(half).where(low, best.originals);
        return { images: drawn.greaterEqual(half.neg().add(1)).where(high, peppered).clip(low, high) };
      },
      learn: ({ images, hit }) => {
        const distances = L2.distance(images.sub(best.originals));
        const nearer = hit.and(distances.less(nearest));
        const from = nearer.where(probability.mul(LEAST), least);
        const to = nearer.where(probability.mul(MOST).minimum(1), most);
        const step: Tensor = nearer.where(to.sub(from).div(left), growth);
        const restarts = nearer.or(probability.equal(to));
        assign(nearest, nearer.where(distances, nearest));
        assign(least, from);
        assign(most, to);
        assign(growth, step);
        assign(probability, restarts.where(from, probability).add(step).minimum(to));
      },
    });
    await rounds.run(steps, [Float32Array.from({ length: steps }, (_, k) => steps - k)], [0, 1]);
  }
}
