// The spatial attack (Engstrom et al. 2019): images turned and moved.
import { flag, notNegative, type Options, readOptions, type Schema, whole } from "../options.js";
import { type State, scalar, state, type Tensor } from "../tensor/index.js";
import { distance } from "./distance.js";
import type { Norm } from "./norm.js";
import { QUERY_OPTIONS, type Queries, QueryAttack, type QueryOptions } from "./queries.js";
import { grid, type Sides, sidesOf } from "./sides.js";

/** Options of {@link SpatialAttack}. */
export interface SpatialOptions extends QueryOptions {
  /** Norm by which what is found is measured, by default L2. */
  distance?: Norm;
  /** Pixels by which images are moved at most, along each side; by default 3. */
  maxTranslation?: number;
  /** Degrees by which they are turned at most, by default 30. */
  maxRotation?: number;
  /** Translations of a grid along each side, from one end to the other; by default 5. A single one is none. */
  numTranslations?: number;
  /** Rotations of a grid, by default 5. */
  numRotations?: number;
  /** Whether all of a grid are tried, as by default; else as many are drawn. */
  gridSearch?: boolean;
  /** How many are drawn without a grid, by default 100. */
  randomSteps?: number;
}

const OPTIONS = {
  ...QUERY_OPTIONS,
  distance,
  maxTranslation: notNegative(3),
  maxRotation: notNegative(30),
  numTranslations: whole(1, 5),
  numRotations: whole(1, 5),
  gridSearch: flag(true),
  randomSteps: whole(1, 100),
} satisfies Schema<keyof SpatialOptions>;

/** A rotation in degrees, and pixels along a row and a column. */
type Move = readonly [rotation: number, along: number, down: number];

/** So many numbers from -most to most, at equal distances. */
const spaced = (count: number, most: number): number[] =>
  Array.from({ length: count }, (_, k) => (count === 1 ? 0 : most * ((2 * k) / (count - 1) - 1)));

/**
 * Turns and moves images until they are adversarial (Engstrom et al. 2019): each pixel is what lies there between the four nearest ones
 * of the image, and 0 outside of it, or what is nearest to 0 within the bounds.
 */
export class SpatialAttack extends QueryAttack {
  readonly norm: Norm;
  readonly options: Options<typeof OPTIONS>;

  constructor(options: SpatialOptions = {}) {
    super();
    this.options = readOptions("SpatialAttack", OPTIONS, options);
    this.norm = this.options.distance;
  }

  protected override async query(queries: Queries): Promise<void> {
    const { task, best } = queries.search;
    const { shape } = task.images;
    const image = sidesOf(shape);
    const settings = ["cosine", "sine", "pixels along", "pixels down"].map((name) => state(scalar(0), { name }));
    const rounds = queries.rounds({
      settings,
      ask: () => {
        const rows = best.originals.reshape([-1, image.height * image.width]);
        const moved = sampled(rows, image, settings as [State, State, State, State]);
        return { images: moved.reshape(shape).clip(...task.bounds), of: best.found.not() };
      },
    });
    const moves = await this.#moves(queries);
    if (moves.length === 0) return;
    const radians = moves.map(([rotation]) => (rotation * Math.PI) / 180);
    const tables = [radians.map(Math.cos), radians.map(Math.sin), moves.map(([, along]) => along)];
    await rounds.run(moves.length, [...tables, moves.map(([, , down]) => down)], [0, 1]);
  }

  /** What is tried, one after the other. */
  async #moves(queries: Queries): Promise<Move[]> {
    const { maxTranslation, maxRotation, numTranslations, numRotations, gridSearch, randomSteps } = this.options;
    if (!gridSearch) {
      const drawn = await queries.draws()(0).uniform([randomSteps, 3]).mul(2).sub(1).data();
      const at = (k: number, most: number): number => (drawn[k] ?? 0) * most;
      return Array.from({ length: randomSteps }, (_, k) => [
        at(3 * k, maxRotation),
        at(3 * k + 1, maxTranslation),
        at(3 * k + 2, maxTranslation),
      ]);
    }
    const steps = spaced(numTranslations, maxTranslation);
    const all = spaced(numRotations, maxRotation).flatMap((rotation) =>
      steps.flatMap((along) => steps.map((down): Move => [rotation, along, down])),
    );
    // The image itself is known.
    return all.filter((move) => move.some((each) => each !== 0));
  }
}

/** Planes `[n, pixels]` turned about their middle and moved, by what lies between the four nearest pixels. */
function sampled(
  planes: Tensor,
  image: Sides,
  [cosine, sine, along, down]: readonly [State, State, State, State],
): Tensor {
  const { height, width } = image;
  const [row, column] = grid(image);
  const [middleRow, middleColumn] = [(height - 1) / 2, (width - 1) / 2];
  const [y, x] = [row.sub(middleRow), column.sub(middleColumn)];
  const sourceColumn = x.mul(cosine).sub(y.mul(sine)).add(along).add(middleColumn);
  const sourceRow = x.mul(sine).add(y.mul(cosine)).add(down).add(middleRow);
  const [left, top] = [sourceColumn.floor(), sourceRow.floor()];
  const [right, below] = [sourceColumn.sub(left), sourceRow.sub(top)];
  const corner = (r: 0 | 1, c: 0 | 1): Tensor => {
    const [at, beside] = [top.add(r), left.add(c)];
    const isInside = at.greaterEqual(0).and(at.less(height)).and(beside.greaterEqual(0)).and(beside.less(width));
    const weight = (r === 1 ? below : below.neg().add(1)).mul(c === 1 ? right : right.neg().add(1));
    const index = isInside.where(at.mul(width).add(beside), -1).cast("i32").flatten();
    return planes.gather(index, 1).mul(weight.flatten());
  };
  return corner(0, 0).add(corner(0, 1)).add(corner(1, 0)).add(corner(1, 1));
}
