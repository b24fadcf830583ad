// Noise that images are blended with until they are adversarial.
import { type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, scalar, state, zeros } from "../tensor/index.js";
import { distance } from "./distance.js";
import { type Norm, perSample } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";

/** Options of {@link LinearSearchBlendedUniformNoiseAttack}. */
export interface LinearSearchBlendedUniformNoiseOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
  /** How many noises are tried at most, by default 1000. */
  directions?: number;
  /** Steps from the image to the noise, by default 1000. */
  steps?: number;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  distance,
  directions: whole(1, 1000),
  steps: whole(1, 1000),
} satisfies Schema<keyof LinearSearchBlendedUniformNoiseOptions>;

/** Draws images of uniform noise until one is adversarial, then goes from the image to it in equal steps until that is. */
export class LinearSearchBlendedUniformNoiseAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: LinearSearchBlendedUniformNoiseOptions = {}) {
    super();
    this.options = readOptions("LinearSearchBlendedUniformNoiseAttack", OPTIONS, options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { directions, steps } = this.options;
    const { task, best } = queries.search;
    const [low, high] = task.bounds;
    const batched = true;
    const shape = [1, ...task.images.shape.slice(1)];
    const ends = state(task.images, { batched, name: "noise that is adversarial" });
    const drawn = state(zeros([task.count], { dtype: "bool" }), { batched, name: "whether there is any" });
    const reached = state(zeros([task.count], { dtype: "bool" }), { batched, name: "whether a blend is adversarial" });
    const share = state(scalar(0), { name: "share of the noise" });
    const draw = queries.rounds({
      ask: (draws) => {
        const noise = draws
          .uniform(shape)
          .mul(high - low)
          .add(low)
          .clip(low, high);
        return { images: noise.broadcastTo(task.images.shape), of: drawn.not() };
      },
      learn: ({ images, hit }) => {
        assign(ends, perSample(hit, images).where(images, ends));
        assign(drawn, drawn.or(hit));
      },
    });
    const blend = queries.rounds({
      settings: [share],
      ask: () => ({
        images: best.originals.mul(share.neg().add(1)).add(ends.mul(share)).clip(low, high),
        of: drawn.and(reached.not()),
      }),
      learn: ({ hit }) => assign(reached, reached.or(hit)),
    });
    await draw.run(directions, [], [0, 0.5]);
    if (steps === 1) return;
    await blend.run(steps - 1, [Float32Array.from({ length: steps - 1 }, (_, k) => (k + 1) / steps)], [0.5, 1]);
  }
}
