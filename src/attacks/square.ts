// The square attack (Andriushchenko et al. 2020): random squares, kept where they lower the lead of the label.
import { number, type Options, type Schema, whole } from "../options.js";
import type { Draws } from "../tensor/generator.js";
import { assign, type State, scalar, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { readDescent } from "./ascent.js";
import { L2, Linf, type Norm, perSample, SMALLEST } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";
import { SearchRadius } from "./search-radius.js";
import { grid, type Sides, sidesOf } from "./sides.js";

/** Options of {@link L2SquareAttack} and {@link LinfSquareAttack}. */
export interface SquareOptions extends QueryOptions {
  /** Squares that are tried for a radius at most, by default 5000; an image rests once it is adversarial. */
  steps?: number;
  /** Share of the pixels that the first squares cover, by default 0.8; it is halved nine times on the way. */
  pInit?: number;
  /** Radii that are tried for an image where `run` is given no epsilons, by default 16. */
  binarySearchSteps?: number;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  steps: whole(1, 5000),
  pInit: number("above 0 and at most 1", (value) => value > 0 && value <= 1, 0.8),
  binarySearchSteps: whole(1, 16),
} satisfies Schema<keyof SquareOptions>;

/** Of 10,000 steps those at which the share of pixels is halved. */
const HALVED_AT = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];
/** Tiles of the first perturbation in L2 norm, along each side. */
const TILES = 5;

/** Sides of a square, and where it begins; 0-d. */
interface Square {
  readonly rows: Tensor;
  readonly columns: Tensor;
  readonly top: Tensor;
  readonly left: Tensor;
}

/** What a step of a search knows, as it is recorded; images are `[n, channels, height, width]`. */
interface Moment extends Sides {
  readonly draws: Draws;
  /** The perturbations so far, and the radii beside them. */
  readonly delta: Tensor;
  readonly radii: Tensor;
  /** A random place for a square of the sides at hand. */
  square(): Square;
}

/** What the attacks share: squares within a radius until the image is adversarial. */
abstract class SquareAttack extends QueryAttack {
  protected override readonly within = true;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: SquareOptions = {}) {
    super();
    this.options = readDescent(new.target.name, OPTIONS, options);
  }

  /** Sides of a square with such a share of the pixels. */
  protected abstract sides(share: number, image: Sides): readonly [rows: number, columns: number];
  /** The first perturbation. */
  protected abstract first(moment: Moment): Tensor;
  /** A perturbation that differs in a square. */
  protected abstract next(moment: Moment): Tensor;

  protected override async query(queries: Queries): Promise<void> {
    const { steps, pInit, binarySearchSteps } = this.options;
    const { search } = queries;
    const { task, best, criterion, radii } = search;
    const { images, count, bounds } = task;
    const batched = true;
    const image = sidesOf(images.shape);
    const planes = [count, image.channels, image.height, image.width];
    const radius = new SearchRadius(search, this.norm, binarySearchSteps);
    const delta = state(zeros(planes), { batched, name: "perturbation" });
    const lead = state(zeros([count]), { batched, name: "lead of the label" });
    const place = state(scalar(0), { name: "step within a radius" });
    const rows = state(scalar(1), { name: "rows of the square" });
    const columns = state(scalar(1), { name: "columns of the square" });
    const rounds = queries.rounds({
      settings: [place, rows, columns],
      scores: true,
      ask: (draws) => {
        const square = (): Square => ({
          rows,
          columns,
          top: somewhere(draws, image.height, rows),
          left: somewhere(draws, image.width, columns),
        });
        const moment = { ...image, draws, delta, radii: perSample(radius.value, delta), square };
        const moved = place.equal(0).where(this.first(moment), this.next(moment));
        return { images: best.originals.add(moved.reshape(images.shape)).clip(...bounds), of: best.found.not() };
      },
      learn: ({ images: moved, logits, asked }) => {
        const leads = criterion.lead(logits);
        const better = asked.and(place.equal(0).or(leads.less(lead)));
        const offset = moved.sub(best.originals).reshape(planes);
        assign(delta, perSample(better, delta).where(offset, delta));
        assign(lead, better.where(leads, lead));
        radius.next(place.equal(steps - 1));
      },
      pauses: radii === undefined,
    });
    const total = steps * radius.tries;
    const sides = Array.from({ length: steps }, (_, k) => this.sides(shareAt(k, steps, pInit), image));
    const settings = [(k: number) => k, (k: number) => sides[k]?.[0] ?? 1, (k: number) => sides[k]?.[1] ?? 1];
    const tables = settings.map((of) => Float32Array.from({ length: total }, (_, k) => of(k % steps)));
    await rounds.run(total, tables, [0, 1]);
  }
}

/** The share of the pixels that a step's squares cover. */
function shareAt(step: number, steps: number, first: number): number {
  const scaled = Math.floor((step / steps) * 10_000);
  return first / 2 ** HALVED_AT.filter((at) => scaled > at).length;
}

/** Where a side of so many pixels begins, anywhere along one of `extent`. */
function somewhere(draws: Draws, extent: number, side: State): Tensor {
  const places = side.neg().add(extent + 1);
  return draws.uniform([]).mul(places).floor().minimum(places.sub(1));
}

/** Which pixels are in a square, `[height, width]`. */
function inside(image: Sides, { rows, columns, top, left }: Square): Tensor {
  const [row, column] = grid(image);
  const within = (at: Tensor, from: Tensor, extent: Tensor): Tensor =>
    at.greaterEqual(from).and(at.less(from.add(extent)));
  return within(row, top, rows).and(within(column, left, columns));
}

/** -1 or 1, at random. */
const signs = (draws: Draws, shape: readonly number[]): Tensor => draws.uniform(shape).less(0.5).where(-1, 1);

/**
 * The square attack (Andriushchenko et al. 2020) in L∞ norm: from stripes of the radius, squares in which each channel goes to a random end
 * of it; scores alone say which are kept.
 */
export class LinfSquareAttack extends SquareAttack {
  readonly norm: Norm = Linf;

  protected override sides(share: number, { height, width }: Sides): readonly [number, number] {
    if (height === 1) return [1, clamp(share * width, 1, width - 1)];
    const side = clamp(Math.sqrt(share * height * width), 1, Math.min(height, width) - 1);
    return [side, side];
  }

  protected override first({ draws, radii, delta, channels, width }: Moment): Tensor {
    return signs(draws, [1, channels, 1, width]).mul(radii).broadcastTo(delta.shape);
  }

  protected override next(moment: Moment): Tensor {
    const { draws, radii, delta, channels } = moment;
    const ends = signs(draws, [1, channels, 1, 1]).mul(radii);
    return inside(moment, moment.square()).where(ends, delta);
  }
}

/**
 * {@link LinfSquareAttack} in L2 norm: squares in which a bump is added, and the norm that another square gives up for it (Algorithm 3 of
 * the paper).
 */
export class L2SquareAttack extends SquareAttack {
  readonly norm: Norm = L2;

  /** Odd, and 3 at least where there is room. */
  protected override sides(share: number, { height, width }: Sides): readonly [number, number] {
    const odd = (side: number, most: number): number => Math.min(Math.round(Math.max(side, 3) / 2 - 0.5) * 2 + 1, most);
    if (height === 1) return [1, odd(share * width, width)];
    const side = odd(Math.sqrt(share * height * width), Math.min(height, width));
    return [side, side];
  }

  /** Bumps of random signs on tiles. */
  protected override first({ draws, radii, delta, channels, height, width }: Moment): Tensor {
    const [tall, wide] = [height, width].map((side) => Math.max(1, Math.floor(side / TILES))) as [number, number];
    const [down, across] = [Math.floor(height / tall), Math.floor(width / wide)];
    const all = { channels, height: tall, width: wide };
    const whole = { rows: scalar(tall), columns: scalar(wide), top: scalar(0), left: scalar(0) };
    const tile = bump(all, whole, scalar(0));
    const tiles = signs(draws, [1, channels, down, 1, across, 1]).mul(tile.reshape([1, 1, 1, tall, 1, wide]));
    const planes = tiles.reshape([1, channels, down * tall, across * wide]);
    const [below, right] = [height - down * tall, width - across * wide];
    const padded = planes.pad([0, 0, 0, 0], [0, 0, below, right]);
    return L2.steepest(padded).mul(radii).broadcastTo(delta.shape);
  }

  protected override next(moment: Moment): Tensor {
    const { draws, radii, delta, channels } = moment;
    const [grown, given] = [moment.square(), moment.square()];
    const [here, there] = [inside(moment, grown), inside(moment, given)];
    const total = (x: Tensor): Tensor => x.square().sum([2, 3], { keepdims: true });
    const norms = (x: Tensor): Tensor => total(x).sqrt().maximum(SMALLEST);
    const turned = draws.uniform([]).less(0.5).cast("f32");
    const height = bump(moment, grown, turned).reshape([1, 1, moment.height, moment.width]);
    const old = here.where(delta, 0);
    const mixed = signs(draws, [1, channels, 1, 1])
      .mul(height.div(norms(height)))
      .add(old.div(norms(old)));
    const spare = radii
      .square()
      .sub(total(delta).sum([1], { keepdims: true }))
      .relu();
    const available = total(here.or(there).where(delta, 0)).add(spare.div(channels)).sqrt();
    const raised = mixed.div(norms(mixed)).mul(available);
    const moved = here.where(raised, there.where(0, delta));
    // What the bounds cut off before is made use of.
    return L2.project(L2.steepest(moved).mul(radii), radii.reshape([-1]));
  }
}

/** A whole number between others. */
const clamp = (value: number, least: number, most: number): number =>
  Math.max(least, Math.min(Math.round(value), Math.max(most, 1)));

/**
 * Two bumps of opposite signs side by side in a square, 0 elsewhere, `[height, width]`: at d pixels from the middle of a bump the sum of
 * 1 / k² for k from d + 1 to n + 1, where n is half its longer side. They are above one another where `turned` is 1.
 */
function bump(image: Sides, { rows, columns, top, left }: Square, turned: Tensor): Tensor {
  const [row, column] = grid(image);
  const square = { rows, columns, top, left };
  const [y, x] = [row.sub(top), column.sub(left)];
  const side = (along: Tensor, across: Tensor, long: Tensor, wide: Tensor): Tensor => {
    const half = long.mul(0.5).floor();
    const first = along.less(half);
    const length = first.where(half, long.sub(half));
    const at = along.sub(first.where(0, half));
    const middle = (extent: Tensor): Tensor => extent.mul(0.5).floor();
    const far = at
      .sub(middle(length))
      .abs()
      .maximum(across.sub(middle(wide)).abs());
    const reach = middle(length).maximum(middle(wide));
    return sumOfSquares(image, reach.add(1)).sub(sumOfSquares(image, far)).mul(first.where(1, -1));
  };
  const beside = side(x, y, columns, rows);
  const value = image.height === 1 ? beside : turned.greater(0).where(side(y, x, rows, columns), beside);
  return inside(image, square).where(value, 0);
}

/** The sum of 1 / k² for k from 1 to n. */
function sumOfSquares({ height, width }: Sides, n: Tensor): Tensor {
  const sums = new Float32Array(Math.max(height, width) + 3);
  for (let k = 1; k < sums.length; k++) sums[k] = (sums[k - 1] ?? 0) + 1 / k ** 2;
  return tensor(sums).gather(n.clip(0, sums.length - 1).cast("i32"), 0);
}
