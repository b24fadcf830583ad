// Windows of adaptive pooling: as many as are asked for, of the sizes that the image makes of them, by PyTorch's rule.
import { TslipError } from "../errors.js";
import { pair } from "../options.js";
import type { Pair, Shape } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { NOWHERE, sideBySide, sizeOfImages } from "./windows.js";

/** Options of adaptive pooling. */
export interface AdaptiveOptions {
  /** Rows and columns of the result. */
  outputSize: Pair;
  kCoefLip?: number | undefined;
}

export const OUTPUT_SIZE = { outputSize: pair(1) };

/** Pixels of a window along an axis. */
interface Stretch {
  readonly start: number;
  readonly length: number;
}

/** Window i of `count` over `extent` pixels: from floor(i extent / count) up to before ceil((i + 1) extent / count). */
export function stretches(extent: number, count: number): Stretch[] {
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * extent) / count);
    return { start, length: Math.ceil(((i + 1) * extent) / count) - start };
  });
}

/** Most windows that read one pixel. */
export function overlapOf(windows: readonly Stretch[]): number {
  return mostReadings(windows, () => 1);
}

/** At least the largest sum of 1 / length over the windows that read a pixel, up to rounding of these numbers and not of their sums. */
export function shareOf(windows: readonly Stretch[]): number {
  const added = overlapOf(windows) - 1;
  return mostReadings(windows, ({ length }) => 1 / length) * (1 + added * Number.EPSILON);
}

/** The largest sum over the windows that read a pixel, of what each of them counts for. */
function mostReadings(windows: readonly Stretch[], weight: (window: Stretch) => number): number {
  const readings = new Float64Array(windows.reduce((end, { start, length }) => Math.max(end, start + length), 0));
  for (const window of windows) {
    for (let i = 0; i < window.length; i++) (readings[window.start + i] as number) += weight(window);
  }
  return readings.reduce((most, sum) => Math.max(most, sum), 0);
}

/** What an adaptive layer pools windows by, along one axis at a time: over `kernel`, which is 1 along the other one. */
export type PoolAlong = (x: Tensor, kernel: readonly [number, number], stride: readonly [number, number]) => Tensor;

/** Adaptive windows of a layer. */
export class AdaptiveWindows {
  readonly #outputSize: readonly [number, number];

  constructor(outputSize: readonly [number, number]) {
    this.#outputSize = outputSize;
  }

  /** Windows along the rows and along the columns of images. Throws `SHAPE_MISMATCH` for what is no batch of them, or has no pixels. */
  over(shape: Shape): readonly [Stretch[], Stretch[]] {
    const [height, width] = sizeOfImages(shape);
    if (height === 0 || width === 0) {
      throw new TslipError("SHAPE_MISMATCH", "adaptive pooling needs images of at least one pixel; these have none", {
        shapes: [shape],
      });
    }
    return [stretches(height, this.#outputSize[0]), stretches(width, this.#outputSize[1])];
  }

  /** Pools along the columns, then what that gives along the rows. */
  pooled(x: Tensor, along: PoolAlong): Tensor {
    const [rows, columns] = this.over(x.shape);
    return poolAxis(poolAxis(x, 3, columns, along), 2, rows, along);
  }

  /**
   * The most pixels along the rows and along the columns of a window over a sample `[channels, rows, columns]`. Throws `UNSUPPORTED` where its
   * shape is not given: how a sum rounds depends on its terms, and there is no end of images.
   */
  longest(sample: Shape | undefined): readonly [number, number] {
    if (sample !== undefined) {
      const [rows, columns] = this.over([1, ...sample]);
      return [longestOf(rows), longestOf(columns)];
    }
    throw new TslipError(
      "UNSUPPORTED",
      "how adaptive pooling rounds depends on the size of the images; give rounding() the shape of a sample, [channels, rows, columns], as " +
        "certify does",
    );
  }
}

const longestOf = (windows: readonly Stretch[]): number => Math.max(...windows.map(({ length }) => length));

/** Pools along one axis of images. */
function poolAxis(x: Tensor, axis: 2 | 3, windows: readonly Stretch[], along: PoolAlong): Tensor {
  const both = (n: number): [number, number] => (axis === 2 ? [n, 1] : [1, n]);
  const [first = { start: 0, length: 1 }, second] = windows;
  const step = second === undefined ? first.length : second.start;
  const regular = windows.every(({ start, length }, i) => start === i * step && length === first.length);
  if (regular && step > 0) return along(x, both(first.length), both(step));
  // Side by side, each filled up with zeros to the longest, windows are read by one op, and their gradient is one more: parts that are cut
  // out one by one have each a gradient of the size of the image.
  const longest = longestOf(windows);
  const pixels = windows.map(({ start, length }) =>
    Array.from({ length: longest }, (_, i) => (i < length ? start + i : NOWHERE)),
  );
  return along(sideBySide(x, axis, pixels), both(longest), both(longest));
}
