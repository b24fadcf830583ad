// Affine layers as dense matrices in float64, in plain loops that share nothing with the engine.
import type { PaddingMode } from "tslip";

/** One axis of a convolution. */
export interface AxisGeometry {
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  /** Numbers before and after. */
  readonly padding: readonly [number, number];
  readonly mode: PaddingMode;
}

/** The number of the image that stands at a place of the padded axis, `at` counted from the image; nothing for a zero. */
function shown(at: number, { size, mode }: AxisGeometry): number | undefined {
  if (at >= 0 && at < size) return at;
  if (mode === "zeros") return undefined;
  if (mode === "circular") return (at + size) % size;
  if (mode === "replicate") return at < 0 ? 0 : size - 1;
  if (mode === "reflect") return at < 0 ? -at : 2 * (size - 1) - at;
  return at < 0 ? -1 - at : 2 * size - 1 - at;
}

/** How many windows there are. */
export function windows({ size, kernel, stride, dilation, padding }: AxisGeometry): number {
  return Math.floor((size + padding[0] + padding[1] - dilation * (kernel - 1) - 1) / stride) + 1;
}

export interface Matrix {
  readonly data: Float64Array;
  readonly rows: number;
  readonly columns: number;
}

/** The convolution of two axes by weights `[out, in / groups, kh, kw]`: `[out * oh * ow, in * h * w]`. */
export function convolutionMatrix(
  weight: ArrayLike<number>,
  [out, perGroup]: readonly [number, number],
  groups: number,
  [vertical, horizontal]: readonly [AxisGeometry, AxisGeometry],
): Matrix {
  const [oh, ow] = [windows(vertical), windows(horizontal)];
  const [h, w] = [vertical.size, horizontal.size];
  const [rows, columns] = [out * oh * ow, perGroup * groups * h * w];
  const data = new Float64Array(rows * columns);
  const [kh, kw] = [vertical.kernel, horizontal.kernel];
  for (let o = 0; o < out; o++) {
    const first = Math.floor(o / (out / groups)) * perGroup;
    for (let i = 0; i < perGroup; i++) {
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          const tap = weight[((o * perGroup + i) * kh + ky) * kw + kx] as number;
          for (let y = 0; y < oh; y++) {
            const iy = shown(y * vertical.stride + ky * vertical.dilation - vertical.padding[0], vertical);
            for (let x = 0; x < ow && iy !== undefined; x++) {
              const ix = shown(x * horizontal.stride + kx * horizontal.dilation - horizontal.padding[0], horizontal);
              if (ix === undefined) continue;
              const at = ((o * oh + y) * ow + x) * columns + ((first + i) * h + iy) * w + ix;
              data[at] = (data[at] as number) + tap;
            }
          }
        }
      }
    }
  }
  return { data, rows, columns };
}

/** An axis that a sequence does not have. */
export const ONE_ROW: AxisGeometry = { size: 1, kernel: 1, stride: 1, dilation: 1, padding: [0, 0], mode: "zeros" };

/** Kernels by which constants that are averages or estimates are found out; `shape` is `[out, in / groups, ...taps]`. */
export const KERNELS: Readonly<Record<string, (shape: readonly number[]) => Float32Array>> = {
  "all ones": (shape) => filled(shape, () => 1),
  "of rank one": (shape) => filled(shape, (at) => at.reduce((product, n) => product * (1 + 0.5 * n), 1)),
  "a checkerboard": (shape) => filled(shape, (at) => (at.reduce((sum, n) => sum + n, 0) % 2 === 0 ? 1 : -1)),
  "heavy at its border": (shape) =>
    filled(shape, (at) => (at.slice(2).some((n, axis) => n === 0 || n === (shape[axis + 2] ?? 1) - 1) ? 10 : 0.1)),
  zero: (shape) => filled(shape, () => 0),
  tiny: (shape) => filled(shape, (_, i) => 1e-20 * Math.sin(1 + i * i)),
  huge: (shape) => filled(shape, (_, i) => 1e20 * Math.sin(1 + i * i)),
  "of all sizes": (shape) => filled(shape, (_, i) => Math.sin(3 + i * i) * 10 ** ((i % 9) - 4)),
  random: (shape) => filled(shape, (_, i) => Math.sin(12.9898 * (i + 1) + 7 * i * i)),
};

function filled(shape: readonly number[], value: (at: readonly number[], i: number) => number): Float32Array {
  const size = shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: size }, (_, i) => {
    let rest = i;
    const at = shape.toReversed().map((extent) => {
      const n = rest % extent;
      rest = Math.floor(rest / extent);
      return n;
    });
    return value(at.reverse(), i);
  });
}
