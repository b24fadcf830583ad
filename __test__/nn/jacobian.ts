// Matrices of layers in float64, and what tests ask of them.
import type { Module, Tensor } from "tslip";
import { grad, tensor } from "tslip";
import { Program } from "../../src/tensor/compile.js";
import { bytesOf } from "../../src/tensor/dtype.js";

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** A matrix `[rows, columns]`. */
export interface Matrix {
  readonly data: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

/** The results of a layer for the rows of `x` in float64, by the plain definitions of its ops, `[samples, results]`. */
export function exactly(layer: Module, x: Tensor): Float64Array {
  const { shape, dtype } = x;
  // What nobody has read yet is not there.
  for (const [, state] of layer.namedStates()) state.dataSync();
  const program = layer.evaluating(() =>
    Program.record((input: Tensor) => layer.forward(input), [{ shape, dtype, batched: true }]),
  );
  return program.exact([bytesOf(x.dataSync())])[0] ?? new Float64Array();
}

/** The matrix `[inputs, results]` of an affine layer for samples of a shape, in float64: its results for unit vectors, less that of 0. */
export function matrixOf(layer: Module, sample: readonly number[]): Matrix {
  const inputs = size(sample);
  const units = new Float32Array((inputs + 1) * inputs);
  for (let i = 0; i < inputs; i++) units[i * inputs + i] = 1;
  const results = exactly(layer, tensor(units, [inputs + 1, ...sample]));
  const columns = results.length / (inputs + 1);
  const zero = results.subarray(inputs * columns);
  return {
    data: results.slice(0, inputs * columns).map((y, i) => y - (zero[i % columns] ?? 0)),
    rows: inputs,
    columns,
  };
}

/** The transposed Jacobian of a layer at a point, by its gradients. */
export function jacobianAt(layer: Module, point: Tensor): Matrix {
  const y = layer.forward(point).flatten();
  const rows: number[] = [];
  for (let i = 0; i < y.size; i++) rows.push(...grad(y.slice([i], [i + 1]).sum(), [point])[0].dataSync());
  return { data: Float64Array.from(rows), rows: y.size, columns: point.size };
}

/** The Gram matrix of the smaller side. */
function gram({ data, rows, columns }: Matrix): { g: Float64Array; order: number } {
  const byRows = rows <= columns;
  const [order, length] = byRows ? [rows, columns] : [columns, rows];
  const at = (i: number, k: number): number => data[byRows ? i * columns + k : k * columns + i] ?? 0;
  const g = new Float64Array(order * order);
  for (let i = 0; i < order; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < length; k++) sum += at(i, k) * at(j, k);
      g[i * order + j] = sum;
      g[j * order + i] = sum;
    }
  }
  return { g, order };
}

/** At least the largest distance of a singular value, squared, from `squared`: the Frobenius norm of that of the Gram matrix. */
export function distanceFromIsometry(matrix: Matrix, squared = 1): number {
  const { g, order } = gram(matrix);
  return Math.hypot(...g.map((value, i) => value - (i % (order + 1) === 0 ? squared : 0)));
}
