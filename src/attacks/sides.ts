// Sides of images, and their pixels by row and column.
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
