// Extreme singular values of a matrix in float64: its Gram matrix made tridiagonal, and bisection (Golub and Van Loan, 8.3 and 8.4).

/** The largest and the smallest of the min(rows, columns) singular values of a row-major matrix. */
export function extremeSingularValues(
  values: ArrayLike<number>,
  rows: number,
): { readonly largest: number; readonly smallest: number } {
  const columns = rows === 0 ? 0 : values.length / rows;
  if (values.length === 0) return { largest: 0, smallest: 0 };
  const { diagonal, beside } = tridiagonal(gram(values, rows, columns));
  const [least, most] = range(diagonal, beside);
  const root = (eigenvalue: number): number => Math.sqrt(Math.max(0, eigenvalue));
  return {
    largest: root(bisect(least, most, (x) => below(diagonal, beside, x) >= diagonal.length)),
    smallest: root(bisect(least, most, (x) => below(diagonal, beside, x) >= 1)),
  };
}

/** The products of all pairs of rows, or of columns where those are fewer. */
function gram(values: ArrayLike<number>, rows: number, columns: number): Float64Array[] {
  const byRows = rows <= columns;
  const [size, length] = byRows ? [rows, columns] : [columns, rows];
  const [stride, step] = byRows ? [columns, 1] : [1, columns];
  const lines = Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length }, (_, k) => values[i * stride + k * step] ?? 0),
  );
  const products = lines.map(() => new Float64Array(size));
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      const product = dot(lines[i] as Float64Array, lines[j] as Float64Array);
      (products[i] as Float64Array)[j] = product;
      (products[j] as Float64Array)[i] = product;
    }
  }
  return products;
}

/** The tridiagonal matrix to which Householder reflections bring a symmetric one, which is overwritten. */
function tridiagonal(a: Float64Array[]): { diagonal: Float64Array; beside: Float64Array } {
  const n = a.length;
  const beside = new Float64Array(Math.max(0, n - 1));
  for (let k = 0; k < n - 1; k++) {
    const v = Float64Array.from({ length: n }, (_, i) => (i > k ? ((a[i] as Float64Array)[k] as number) : 0));
    const norm = Math.sqrt(dot(v, v));
    const head = v[k + 1] as number;
    const target = head > 0 ? -norm : norm;
    beside[k] = target;
    v[k + 1] = head - target;
    const squared = dot(v, v);
    if (squared === 0) continue;
    const p = Float64Array.from(a, (row) => (2 * dot(row, v)) / squared);
    const share = dot(v, p) / squared;
    const w = p.map((value, i) => value - share * (v[i] as number));
    a.forEach((row, i) => {
      const [vi, wi] = [v[i] as number, w[i] as number];
      for (let j = 0; j < n; j++) row[j] = (row[j] as number) - vi * (w[j] as number) - wi * (v[j] as number);
    });
  }
  return { diagonal: Float64Array.from(a, (row, i) => row[i] as number), beside };
}

/** Where all eigenvalues lie, by Gershgorin's circles. */
function range(diagonal: Float64Array, beside: Float64Array): [number, number] {
  const radii = diagonal.map((_, i) => Math.abs(beside[i - 1] ?? 0) + Math.abs(beside[i] ?? 0));
  const ends = diagonal.map((value, i) => value + (radii[i] as number));
  return [Math.min(...diagonal.map((value, i) => value - (radii[i] as number))), Math.max(...ends)];
}

/** How many eigenvalues lie below x, by Sturm's sequence. */
function below(diagonal: Float64Array, beside: Float64Array, x: number): number {
  let [count, q] = [0, 1];
  diagonal.forEach((value, i) => {
    const e = beside[i - 1] ?? 0;
    q = value - x - (e === 0 ? 0 : (e * e) / q);
    // A pivot of 0 is as good as a small negative one.
    if (q === 0) q = -Number.MIN_VALUE;
    if (q < 0) count++;
  });
  return count;
}

/** Where a condition begins to hold, to the last bits. */
function bisect(from: number, to: number, holds: (x: number) => boolean): number {
  let [low, high] = [from, to];
  for (;;) {
    const middle = low + (high - low) / 2;
    if (!(middle > low && middle < high)) return high;
    if (holds(middle)) high = middle;
    else low = middle;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}
