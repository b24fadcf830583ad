// Attacks that ask for one image within a radius, or for several that do not follow from one another.
import type { Draws } from "../tensor/generator.js";
import { state, type Tensor, zeros } from "../tensor/index.js";
import { type Queries, QueryAttack } from "./queries.js";
import { SearchRadius } from "./search-radius.js";
import type { Bounds } from "./space.js";

/** Options as they are read. */
interface Read {
  readonly binarySearchSteps: number;
  /** How often it asks within a radius, by default once. */
  readonly repeats?: number;
  readonly maxQueries?: number | undefined;
  readonly seed?: number | undefined;
}

/**
 * Asks for images within a radius until one is adversarial. Without epsilons the nearest is searched for over radii that each image
 * bisects for itself.
 */
export abstract class RadialAttack<O extends Read> extends QueryAttack {
  protected override readonly within = true;

  constructor(
    /** Those given, with the defaults of others. */
    readonly options: O,
  ) {
    super();
  }

  /** The images to ask for, within radii `[n]`. */
  protected abstract perturbed(draws: Draws, images: Tensor, radii: Tensor, bounds: Bounds): Tensor;

  protected override async query(queries: Queries): Promise<void> {
    const { search } = queries;
    const { task, best } = search;
    const { repeats = 1, binarySearchSteps } = this.options;
    const radius = new SearchRadius(search, this.norm, binarySearchSteps);
    const last = state(zeros([]), { name: "whether it is the last with this radius" });
    const rounds = queries.rounds({
      settings: [last],
      ask: (draws) => ({
        images: this.perturbed(draws, best.originals, radius.value, task.bounds),
        of: best.found.not(),
      }),
      learn: () => radius.next(last.greater(0)),
      // The next radius is that of everybody.
      pauses: search.radii === undefined,
    });
    const total = repeats * radius.tries;
    const ends = Float32Array.from({ length: total }, (_, i) => Number(i % repeats === repeats - 1));
    await rounds.run(total, [ends], [0, 1]);
  }
}
