// Singular values of a matrix in float64, all of them: what is left of an orthogonal map at the borders of images.

/** Rotations end where what is off the diagonal is below this part of it. */
const NEGLIGIBLE = 1e-15;
/** Jacobi's method squares what is off the diagonal with each sweep; it needs some ten. */
const SWEEPS = 60;

/**
 * The singular values of a matrix `[rows, columns]`, as many as the smaller side has, descending: roots of the eigenvalues of its Gram
 * matrix by Jacobi's method (Golub and Van Loan, Matrix Computations, 2013, 8.5), so that those below some 1e-8 of the largest have
 * no digits.
 */
export function singularValues(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const [order, length] = rows <= columns ? [rows, columns] : [columns, rows];
  const at = (i: number, k: number): number => matrix[rows <= columns ? i * columns + k : k * columns + i] ?? 0;
  const g = Array.from({ length: order }, (_, i) => {
    const row = Float64Array.from({ length }, (_, k) => at(i, k));
    return Float64Array.from({ length: order }, (_, j) => row.reduce((sum, x, k) => sum + x * at(j, k), 0));
  });
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    let rotated = false;
    for (let i = 0; i < order; i++) for (let j = i + 1; j < order; j++) rotated = rotate(g, i, j) || rotated;
    if (!rotated) break;
  }
  return Float64Array.from(g, (row, i) => Math.sqrt(Math.max(0, row[i] ?? 0)))
    .sort()
    .reverse();
}

/** Makes entry i, j of a symmetric matrix 0 by a rotation; false where it is negligible. */
function rotate(g: readonly Float64Array[], i: number, j: number): boolean {
  const [a, b] = [g[i], g[j]];
  if (a === undefined || b === undefined) return false;
  const [aii = 0, aij = 0, bjj = 0] = [a[i], a[j], b[j]];
  if (Math.abs(aij) <= NEGLIGIBLE * Math.sqrt(Math.abs(aii * bjj))) return false;
  const theta = (bjj - aii) / (2 * aij);
  const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(1, theta));
  const c = 1 / Math.hypot(1, t);
  const s = c * t;
  for (let k = 0; k < g.length; k++) {
    const [x = 0, y = 0] = [a[k], b[k]];
    a[k] = c * x - s * y;
    b[k] = s * x + c * y;
  }
  for (const row of g) {
    const [x = 0, y = 0] = [row[i], row[j]];
    row[i] = c * x - s * y;
    row[j] = s * x + c * y;
  }
  return true;
}
