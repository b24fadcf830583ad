// Negatives of images.
import { type Options, readOptions, type Schema } from "../options.js";
import { distance } from "./distance.js";
import type { Norm } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";

/** Options of {@link InversionAttack}. */
export interface InversionOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
}

const OPTIONS = { ...QUERY_OPTIONS, distance } satisfies Schema<keyof InversionOptions>;

/** Asks for the negative of each image (Hosseini et al. 2017): what is as far from one bound as it was from the other. */
export class InversionAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: InversionOptions = {}) {
    super();
    this.options = readOptions("InversionAttack", OPTIONS, options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { task, best } = queries.search;
    const [low, high] = task.bounds;
    const negatives = queries.rounds({
      ask: () => ({
        images: best.originals
          .neg()
          .add(low + high)
          .clip(low, high),
      }),
    });
    await negatives.run(1, [], [0, 1]);
  }
}
