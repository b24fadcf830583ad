// The pointwise attack (Schott et al. 2019): an adversarial whose pixels are set back one by one.
import { flag, type Options, readOptions, type Schema } from "../options.js";
import { arange, assign, scalar, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { assignInTurn } from "../tensor/state.js";
import { distance } from "./distance.js";
import { L0, L2, type Norm, perSample } from "./norm.js";
import {
  type QueryAttack as Init,
  QUERY_OPTIONS,
  type Queries,
  QueryAttack,
  type QueryOptions,
  queryAttack,
} from "./queries.js";
import { SaltAndPepperNoiseAttack } from "./salt-and-pepper.js";

/** Options of {@link PointwiseAttack}. */
export interface PointwiseOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
  /** Where it starts from, by default salt and pepper. */
  initAttack?: Init;
  /** Whether pixels that cannot be set back are moved towards the image as far as they can, as by default. */
  l2BinarySearch?: boolean;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  distance,
  initAttack: queryAttack,
  l2BinarySearch: flag(true),
} satisfies Schema<keyof PointwiseOptions>;

/** How often the way of a pixel is halved. */
const HALVINGS = 10;
/** Passes go on while they shorten the distance to less than this share. */
const PROGRESS = 0.999;
/** Share of the work that finds a start. */
const START = 0.3;

/**
 * The pointwise attack (Schott et al. 2019): sets pixels of an adversarial back to those of the image, in a random order, while it stays
 * one, until none can be; then moves each that is left as near to the image's as it can be.
 */
export class PointwiseAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: PointwiseOptions = {}) {
    super();
    this.options = readOptions("PointwiseAttack", OPTIONS, options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { initAttack = new SaltAndPepperNoiseAttack(), l2BinarySearch } = this.options;
    await this.begin(initAttack, queries, [0, START]);
    const { task, best } = queries.search;
    const { images, values: pixels, count } = task;
    const size = pixels.length / count;
    const batched = true;
    const start = tensor(await best.values(), images.shape);
    const current = state(start, { batched, name: "adversarials" });
    const base = state(images, { batched, name: "adversarials before the pixel at hand" });
    const active = state(best.distances.less(Number.POSITIVE_INFINITY), { batched, name: "whether there is any" });
    const open = state(zeros([count], { dtype: "bool" }), { batched, name: "whether the pixel is not set back" });
    const [from, to] = [0, 1].map((value) =>
      state(zeros([count]).add(value), { batched, name: "shares of the pixel's way" }),
    ) as [typeof open, typeof open];
    const pixel = state(scalar(0), { name: "pixel at hand" });
    const halving = state(scalar(0), { name: "halving of its way" });
    const places = arange(size).reshape([1, ...images.shape.slice(1)]);
    const rounds = queries.rounds({
      settings: [pixel, halving],
      ask: () => {
        const here = places.cast("f32").equal(pixel);
        const first = halving.equal(0);
        assign(base, first.where(current, base));
        const differs = here.and(current.notEqual(best.originals)).flatten(1).any(1);
        const share = first.where(0, from.add(to).mul(0.5));
        const moved = best.originals.add(base.sub(best.originals).mul(perSample(share, base)));
        const kept = first.where(best.originals, moved).clip(...task.bounds);
        return { images: here.where(kept, base), of: active.and(first.where(differs, open)) };
      },
      learn: ({ images: moved, asked, hit }) => {
        const first = halving.equal(0);
        const share = from.add(to).mul(0.5);
        assign(current, perSample(hit, moved).where(moved, current));
        assign(open, first.where(asked.and(hit.not()), open));
        assign(from, first.where(0, asked.and(hit.not()).where(share, from)));
        assign(to, first.where(1, hit.where(share, to)));
      },
      pauses: true,
    });
    let begun = START;
    /** Passes over all pixels that differ in any image, until none shortens the distance of an image to the share of it. */
    const pass = async (halvings: number, norm: Norm, progress: number): Promise<void> => {
      // Numbers of their own: how many passes came before is a matter of the other images too.
      const drawn = queries.draws();
      let passes = 0;
      const far = (): Tensor => norm.distance(current.sub(best.originals));
      await assignInTurn([[active, best.distances.less(Number.POSITIVE_INFINITY)]]);
      while ((await active.any().data())[0]) {
        const before = tensor(Float32Array.from(await far().data()));
        const order = await drawn(passes++).uniform([size]).argsort(0).data();
        const values = await current.data();
        const differ = new Set<number>();
        values.forEach((value: number, k: number) => {
          if (value !== pixels[k]) differ.add(k % size);
        });
        const visits = Array.from(order).filter((place) => differ.has(place));
        if (visits.length === 0) return;
        const each = 1 + halvings;
        const total = visits.length * each;
        const settings = [(k: number) => visits[Math.floor(k / each)] ?? 0, (k: number) => k % each];
        const tables = settings.map((of) => Float32Array.from({ length: total }, (_, k) => of(k)));
        // How many passes there are nobody knows.
        const ended = (begun + 1) / 2;
        await rounds.run(total, tables, [begun, ended]);
        begun = ended;
        await assignInTurn([[active, active.and(far().less(before.mul(progress)))]]);
      }
    };
    await pass(0, L0, 1);
    if (l2BinarySearch) await pass(HALVINGS, L2, PROGRESS);
  }
}
