// Other images of a data set.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { scaledImages } from "../nn/module.js";
import { type Options, readOptions, type Schema } from "../options.js";
import { concat, scalar, state, Tensor } from "../tensor/index.js";
import { areWithin } from "./attack.js";
import { distance } from "./distance.js";
import type { Norm } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";

/** Options of {@link DatasetAttack}. */
export interface DatasetAttackOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
}

const OPTIONS = { ...QUERY_OPTIONS, distance } satisfies Schema<keyof DatasetAttackOptions>;

/**
 * Draws images that it was fed until one is adversarial. Far, but as surely found as there is an image of another class, or of the target:
 * a start for others (`initAttack`).
 */
export class DatasetAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;
  /** By the shape of an image. */
  readonly #fed = new Map<string, Tensor[]>();

  constructor(options: DatasetAttackOptions = {}) {
    super();
    this.options = readOptions("DatasetAttack", OPTIONS, options);
    this.norm = this.options.distance;
  }

  /**
   * Adds images to draw from, `[n, ...]`, f32 or u8. A run draws those of its images' shape that are within its bounds.
   * @throws TslipError `INVALID_ARGUMENT` for anything else.
   */
  feed(images: Tensor): this {
    if (!(images instanceof Tensor) || images.rank < 2 || (images.dtype !== "f32" && images.dtype !== "u8")) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `feed() takes images as a tensor [n, ...], f32 or u8; given ${describe(images)}`,
      );
    }
    const shape = shapeOfImage(images);
    this.#fed.set(shape, [...(this.#fed.get(shape) ?? []), scaledImages(images)]);
    return this;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { task, best } = queries.search;
    const [first, ...others] = this.#fed.get(shapeOfImage(task.images)) ?? [];
    if (first === undefined) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `DatasetAttack was fed no images of shape [n, ${shapeOfImage(task.images)}] to draw from; call feed(images) first`,
      );
    }
    const pool = state(concat([first, ...others], 0), { name: "images to draw from" });
    const fits = await areWithin(pool, task.bounds).data();
    const drawn = await queries.draws()(0).uniform([fits.length]).argsort(0).data();
    const order = Float32Array.from(drawn).filter((i) => fits[i]);
    if (order.length === 0) return;
    const at = state(scalar(0), { name: "which of them is drawn" });
    const draw = queries.rounds({
      settings: [at],
      ask: () => {
        const image = pool.gather(at.cast("i32").reshape([1]), 0);
        return { images: image.broadcastTo(task.images.shape), of: best.found.not() };
      },
    });
    await draw.run(order.length, [order], [0, 1]);
  }
}

const shapeOfImage = ({ shape }: Tensor): string => shape.slice(1).join(", ");
