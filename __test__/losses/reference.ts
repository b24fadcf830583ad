// Losses as plain loops in float64, and what tests compare with them.
import { compile, grad, type Loss, randn, type Tensor, TslipError, tensor } from "tslip";

/** Values `[samples][labels]`. */
export type Matrix = readonly (readonly number[])[];

/** Sums of a few hundred float32 terms of order 1: relative rounding stays well below this. */
export const FLOAT32_SUMS = 2e-5;
/** Differences of float64 sums over 2e-6 are good to about 1e-9; float32 gradients of order 1 to 1e-6. */
const DIFFERENCES = 1e-5;

/** Mean over labels that have both of (mean logit of the positive samples - mean logit of the negative ones). */
export function krLoop(logits: Matrix, positive: Matrix): number {
  const differences: number[] = [];
  for (let c = 0; c < (logits[0]?.length ?? 0); c++) {
    let [inside, outside, members, others] = [0, 0, 0, 0];
    logits.forEach((row, i) => {
      if ((positive[i]?.[c] ?? 0) > 0) {
        inside += row[c] ?? 0;
        members += 1;
      } else {
        outside += row[c] ?? 0;
        others += 1;
      }
    });
    if (members > 0 && others > 0) differences.push(inside / members - outside / others);
  }
  return differences.length === 0 ? 0 : differences.reduce((a, b) => a + b, 0) / differences.length;
}

/** Mean over all entries of relu(margin - s y), those of positive labels times `weight`. */
export function hingeLoop(logits: Matrix, positive: Matrix, margin: number, weight = 1): number {
  let [sum, count] = [0, 0];
  logits.forEach((row, i) => {
    row.forEach((y, c) => {
      const own = (positive[i]?.[c] ?? 0) > 0;
      sum += (own ? weight : 1) * Math.max(0, margin - (own ? y : -y));
      count += 1;
    });
  });
  return sum / count;
}

/** Normal numbers, and the same in rows. */
export function logitsOf(shape: readonly [number, number], seed: number): { x: Tensor; rows: number[][] } {
  const x = randn(shape, { seed });
  return { x, rows: rowsOf(Array.from(x.dataSync()), shape[1]) };
}

export function rowsOf(flat: readonly number[], columns: number): number[][] {
  return Array.from({ length: flat.length / columns }, (_, i) => flat.slice(i * columns, (i + 1) * columns));
}

/** Rows as a tensor of f32. */
export function tensorOf(rows: Matrix, shape: readonly number[] = [rows.length, rows[0]?.length ?? 0]): Tensor {
  return tensor(Float32Array.from(rows.flat()), shape);
}

/** Value and gradient by the logits, in one compiled call. */
export function valueAndGradient(loss: Loss, logits: Tensor, target: Tensor): { value: number; gradient: number[] } {
  const step = compile((x: Tensor, t: Tensor) => {
    const value = loss.forward(x, t);
    return { value, gradient: grad(value.sum(), [x])[0] };
  });
  const { value, gradient } = step.sync(logits, target);
  return { value: Array.from(value.dataSync()).reduce((a, b) => a + b, 0), gradient: Array.from(gradient.data()) };
}

/** How far a value is off, relative to 1 plus its size, and a gradient from central differences of the loop. */
export function compared(
  { value, gradient }: { value: number; gradient: readonly number[] },
  rows: Matrix,
  loop: (logits: Matrix) => number,
): { valueIsRight: boolean; gradientIsRight: boolean } {
  const expected = loop(rows);
  const step = 1e-6;
  const columns = rows[0]?.length ?? 0;
  const slopes = rows.flatMap((row, i) =>
    row.map((_, c) => {
      const moved = (by: number): number[][] => rows.map((r, k) => r.map((y, j) => (k === i && j === c ? y + by : y)));
      return (loop(moved(step)) - loop(moved(-step))) / (2 * step);
    }),
  );
  return {
    valueIsRight: Math.abs(value - expected) <= FLOAT32_SUMS * (1 + Math.abs(expected)),
    gradientIsRight:
      gradient.length === rows.length * columns &&
      slopes.every((slope, k) => Math.abs((gradient[k] ?? Number.NaN) - slope) < DIFFERENCES),
  };
}

/** Code and message of the TslipError that `run` throws. */
export function refusal(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return { code: error.code, message: error.message };
    throw error;
  }
  return { code: "nothing thrown", message: "" };
}
