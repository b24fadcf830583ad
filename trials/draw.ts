// Numbers that are drawn: the same of a seed on every machine, and numbers, weights and images that are hard for float32.

/** A sequence of random numbers (Steele et al. 2014, SplitMix, with 32 bits). */
export class Draw {
  #state: number;

  constructor(...seeds: readonly number[]) {
    this.#state = 0;
    // Each seed starts from what the ones before have made.
    for (const seed of seeds) this.#state = (mixed(this.#state ^ (seed >>> 0)) + Math.floor(seed / 2 ** 32)) >>> 0;
  }

  /** At least 0, below 1. */
  uniform(): number {
    return this.#next() / 2 ** 32;
  }

  /** A whole number from `least` to `most`. */
  whole(least: number, most: number): number {
    return least + Math.floor(this.uniform() * (most - least + 1));
  }

  chance(share: number): boolean {
    return this.uniform() < share;
  }

  /** One of some. */
  one<T>(of: readonly T[]): T {
    return of[this.whole(0, of.length - 1)] as T;
  }

  /** Of the normal distribution (Box and Muller 1958). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A power of ten with an exponent between these. */
  power(least: number, most: number): number {
    return 10 ** (least + (most - least) * this.uniform());
  }

  normals(count: number): Float64Array {
    return Float64Array.from({ length: count }, () => this.normal());
  }

  #next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    return mixed(this.#state);
  }
}

/** All bits of a number mixed (the last steps of MurmurHash3). */
function mixed(x: number): number {
  let z = x;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}

/** Moves a float32 by so many units in its last place. */
export function moved(value: number, units: number): number {
  BITS.setFloat32(0, value);
  const bits = BITS.getInt32(0);
  // In the order of the numbers themselves; -0 and 0 are one.
  const at = (bits < 0 ? -(bits & 0x7fffffff) : bits) + units;
  BITS.setInt32(0, at < 0 ? -at | 0x80000000 : at);
  const next = BITS.getFloat32(0);
  return Number.isFinite(next) ? next : value;
}

const BITS = new DataView(new ArrayBuffer(4));

/** Rows of a weight. */
type Matrix = Float64Array[];

/** Ways of drawing the rows of a weight, each entry about as large as it makes results of the size of what goes in. */
const ROWS: readonly ((draw: Draw, rows: number, columns: number) => Matrix)[] = [
  ordinary,
  // Isometries as far as there are columns, of whose bounds a direction has all.
  orthonormal,
  orthonormal,
  signs,
  signs,
  // Each second row against the one before.
  (draw, rows, columns) => inPairs(ordinary(draw, rows, columns), (value) => -value),
  // Ties: each second row is the one before, or as good as.
  (draw, rows, columns) => inPairs(ordinary(draw, rows, columns), (value) => value),
  (draw, rows, columns) => inPairs(ordinary(draw, rows, columns), (value) => moved(value, draw.whole(-2, 2))),
  // Terms that cancel each other up to their last digits.
  (draw, rows, columns) => {
    const large = draw.power(0, 6);
    return matrix(rows, columns, (_, j) => moved(Math.fround(j % 2 === 0 ? large : -large), draw.whole(-3, 3)));
  },
  // Sizes far apart.
  (draw, rows, columns) => matrix(rows, columns, () => draw.normal() * draw.power(-6, 2)),
  // Many zeros.
  (draw, rows, columns) => matrix(rows, columns, () => (draw.chance(0.6) ? 0 : draw.normal())),
];

function ordinary(draw: Draw, rows: number, columns: number): Matrix {
  return matrix(rows, columns, () => draw.normal() / Math.sqrt(columns));
}

/** Rows made orthogonal to those before, as long as there are fewer than columns, and of length 1 (Gram and Schmidt). */
function orthonormal(draw: Draw, rows: number, columns: number): Matrix {
  const done: Matrix = [];
  for (let i = 0; i < rows; i++) {
    const row = draw.normals(columns);
    for (const other of done.slice(i - (i % columns))) {
      const along = row.reduce((sum, value, j) => sum + value * (other[j] ?? 0), 0);
      row.forEach((value, j) => {
        row[j] = value - along * (other[j] ?? 0);
      });
    }
    const length = Math.hypot(...row);
    done.push(row.map((value) => value / length));
  }
  return done.map((row) => row.map(Math.fround));
}

/** Entries 1 and -1 alone, each in a column of its own. */
function signs(draw: Draw, rows: number, columns: number): Matrix {
  const order = Array.from({ length: columns }, (_, j) => ({ j, at: draw.uniform() })).sort((a, b) => a.at - b.at);
  return matrix(rows, columns, (i, j) => (order[i % columns]?.j === j ? draw.one([1, -1]) : 0));
}

const matrix = (rows: number, columns: number, entry: (i: number, j: number) => number): Matrix =>
  Array.from({ length: rows }, (_, i) => Float64Array.from({ length: columns }, (_, j) => Math.fround(entry(i, j))));

const inPairs = (rows: Matrix, other: (value: number) => number): Matrix =>
  rows.map((row, i) => (i % 2 === 1 ? (rows[i - 1] ?? row).map(other) : row));

/** Weights of so many rows, row-major, of about the size of `scale`. */
export function weights(draw: Draw, rows: number, columns: number, scale = 1): Float32Array {
  const all = draw.one(ROWS)(draw, rows, columns);
  return Float32Array.from(all.flatMap((row) => Array.from(row, (value) => value * scale)));
}

/** Numbers to be added to what is of the size of `scale`: none, of that size, or far larger, all alike or each by itself. */
export function offsets(draw: Draw, count: number, scale: number): Float32Array {
  const size = scale * draw.one([0, 1, 1, draw.power(0, 7)]);
  const common = draw.normal();
  const alike = draw.chance(0.3);
  return Float32Array.from({ length: count }, () => size * (alike ? common : draw.normal()));
}

/** So many samples of about the size of `scale`: far from each other, or about one. */
export function samples(draw: Draw, count: number, size: number, scale: number): Float32Array {
  const [about, near, zeros] = [draw.normals(size), draw.chance(0.3), draw.chance(0.1) ? 0.5 : 0];
  const spread = draw.power(-6, -1);
  const entry = (j: number): number =>
    draw.chance(zeros) ? 0 : near ? (about[j] ?? 0) * (1 + spread * draw.normal()) : draw.normal();
  return Float32Array.from({ length: count * size }, (_, k) => scale * entry(k % size));
}
