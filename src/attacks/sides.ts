// Sides of images, their pixels by row and column, and what is linear along a side.
import { arange, type Tensor } from "../tensor/index.js";

/** Channels and sides of images, whatever their shape: [n, width] and [n, channels, width] are one pixel high. */
export interface Sides {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

export function sidesOf(shape: readonly number[]): Sides {
  const sample = shape.slice(1);
  const width = sample.at(-1) ?? 1;
  const channels = sample.length > 1 ? (sample[0] ?? 1) : 1;
  return { channels, height: sample.slice(1, -1).reduce((product, extent) => product * extent, 1), width };
}

/** Row and column of each pixel, `[height, 1]` and `[1, width]`. */
export const grid = ({ height, width }: Sides): [Tensor, Tensor] => [
  arange(height).cast("f32").reshape([height, 1]),
  arange(width).cast("f32").reshape([1, width]),
];

/** A matrix `[to, from]` applied along an axis of images of that length. */
export function alongAxis(images: Tensor, axis: number, matrix: Tensor): Tensor {
  const last = images.rank - 1;
  if (axis === last) return images.matmul(matrix, { transposeB: true });
  return alongAxis(images.transpose(axis, last), last, matrix).transpose(axis, last);
}
