// Windows of pooling over images NCHW: which pixels each of them reads, by PyTorch's rule, and how often a pixel is read.
import { TslipError } from "../errors.js";
import { flag, type Options, optional, pair } from "../options.js";
import { tensor } from "../tensor/create.js";
import { type Pair, type Shape, showShape } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";

/** Options of pooling over windows of one size. */
export interface WindowOptions {
  kernelSize: Pair;
  /** Pixels between windows; by default the kernel size. */
  stride?: Pair | undefined;
  /** Pixels that are added at each border, at most half of the kernel; by default 0. */
  padding?: Pair | undefined;
  /** Whether there are windows that reach beyond the padded image, as long as they begin in the image or before it. By default not. */
  ceilMode?: boolean | undefined;
}

export const WINDOWS = {
  kernelSize: pair(1),
  stride: optional(pair(1)),
  padding: pair(0, 0),
  ceilMode: flag(false),
};

/** Both axes of images. */
const AXES = [0, 1] as const;

/** Windows along one axis of an image: how many, and the pixels that are added so that each is whole. */
interface Span {
  readonly count: number;
  readonly before: number;
  readonly after: number;
}

/** Rectangular windows of one size, whose pixels may be some way apart, and their geometry over images of every size. */
export class Windows {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly ceilMode: boolean;
  readonly dilation: readonly [number, number];

  /** Throws `INVALID_ARGUMENT` where the padding is more than half of the kernel: a window might read padding alone. */
  constructor({
    kernelSize,
    stride,
    padding,
    ceilMode,
    dilation = [1, 1],
  }: Options<typeof WINDOWS> & { readonly dilation?: readonly [number, number] }) {
    this.kernel = kernelSize;
    this.stride = stride ?? kernelSize;
    this.padding = padding;
    this.ceilMode = ceilMode;
    this.dilation = dilation;
    Object.freeze(this);
    if (AXES.every((axis) => 2 * padding[axis] <= kernelSize[axis])) return;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `padding ${showShape(padding)} must be at most half of kernelSize ${showShape(kernelSize)}; pad the images themselves for more`,
    );
  }

  /** Pixels of a window. */
  get size(): number {
    return this.kernel[0] * this.kernel[1];
  }

  /** Most windows that read one pixel: of k taps, those whose distance is a multiple of the stride. */
  get overlap(): number {
    const [rows, columns] = AXES.map((axis) => Math.ceil(this.kernel[axis] / this.#period(axis))) as [number, number];
    return rows * columns;
  }

  /**
   * At least the square of the norm of the sums over all windows, as a linear map, and its supremum over all sizes of image. That
   * of the map S is the norm of S Sᵀ, whose entries are not negative: the largest sum of a row is one bound, and it is that of a window
   * amid an image, over its pixels the number of windows that read them.
   */
  get squaredNorm(): number {
    const [rows, columns] = AXES.map((axis) => readings(this.kernel[axis], this.#period(axis))) as [number, number];
    return rows * columns;
  }

  /**
   * The fewest pixels along an axis that a window without dilation reads, over all sizes of image; those of the padding count with
   * `padded`. A window that reaches beyond the padded image does so by less than a stride, and begins in the image, in front of as much padding.
   */
  fewest(axis: 0 | 1, padded: boolean): number {
    const [kernel, padding] = [this.kernel[axis], this.padding[axis]];
    const beyond = this.ceilMode ? this.stride[axis] - 1 : 0;
    if (padded) return Math.min(kernel, Math.max(1 + padding, kernel - beyond));
    return Math.max(1, kernel - 2 * padding - beyond);
  }

  /**
   * Images with pixels around them, so that all windows lie within and the first begins at a corner: zeros, or the pixels of the border.
   * Throws `SHAPE_MISMATCH` for what is no batch of images, or too small for a window.
   */
  padded(x: Tensor, mode: "constant" | "replicate" = "constant"): Tensor {
    const [rows, columns] = this.over(x);
    const [before, after] = [
      [0, 0, rows.before, columns.before],
      [0, 0, rows.after, columns.after],
    ];
    return [...before, ...after].every((n) => n === 0) ? x : x.pad(before, after, { mode });
  }

  /** Windows along the rows and along the columns of images. */
  over(x: Tensor): readonly [Span, Span] {
    const [height, width] = sizeOfImages(x.shape);
    return [this.#along(0, height, x.shape), this.#along(1, width, x.shape)];
  }

  /** Pixels along an axis that each of the windows over `extent`, without dilation, reads; those of the padding count with `padded`. */
  counts(axis: 0 | 1, extent: number, padded: boolean): number[] {
    const [kernel, stride, padding] = [this.kernel[axis], this.stride[axis], this.padding[axis]];
    const border = padded ? padding : 0;
    const { count } = this.#along(axis, extent, [extent]);
    return Array.from({ length: count }, (_, i) => {
      const start = i * stride - padding;
      return Math.min(start + kernel, extent + border) - Math.max(start, -border);
    });
  }

  /**
   * Along the rows and along the columns of images, the pixels that each window reads; in the place of one in the padding stands
   * the nearest in the image that the window reads too. Throws `SHAPE_MISMATCH` as `padded` does, and where a window reads padding alone.
   */
  pixels(x: Tensor): readonly [number[][], number[][]] {
    const [rows, columns] = this.over(x);
    const [height, width] = sizeOfImages(x.shape);
    return [this.#pixelsAlong(0, rows.count, height, x.shape), this.#pixelsAlong(1, columns.count, width, x.shape)];
  }

  #pixelsAlong(axis: 0 | 1, count: number, extent: number, shape: Shape): number[][] {
    const [kernel, stride, padding, dilation] = [
      this.kernel[axis],
      this.stride[axis],
      this.padding[axis],
      this.dilation[axis],
    ];
    return Array.from({ length: count }, (_, i) => {
      const taps = Array.from({ length: kernel }, (_, j) => i * stride - padding + j * dilation);
      const inside = taps.filter((at) => at >= 0 && at < extent);
      const [first, last] = [inside[0], inside.at(-1)];
      if (first === undefined || last === undefined) throw this.#unfit("reads no pixel of", shape);
      return taps.map((at) => Math.min(Math.max(at, first), last));
    });
  }

  /** Windows share a pixel where their taps for it are a multiple of so many apart: the fewest whose distance in pixels is one of the stride. */
  #period(axis: 0 | 1): number {
    return this.stride[axis] / commonDivisor(this.stride[axis], this.dilation[axis]);
  }

  #unfit(does: string, shape: Shape): TslipError {
    const plain = (values: readonly number[], usual: number): boolean => values.every((n) => n === usual);
    const also = [
      plain(this.dilation, 1) ? "" : ` with dilation ${showShape(this.dilation)}`,
      plain(this.padding, 0) ? "" : ` with padding ${showShape(this.padding)}`,
    ];
    return new TslipError(
      "SHAPE_MISMATCH",
      `a window of ${showShape(this.kernel)}${also[0]} ${does} an image of shape ${showShape(shape)}${also[1]}`,
      { shapes: [shape] },
    );
  }

  #along(axis: 0 | 1, extent: number, shape: Shape): Span {
    const [stride, padding] = [this.stride[axis], this.padding[axis]];
    const reach = (this.kernel[axis] - 1) * this.dilation[axis] + 1;
    const room = extent + 2 * padding - reach;
    const last = this.ceilMode ? Math.ceil(room / stride) : Math.floor(room / stride);
    // A window that would begin behind the image is none.
    const count = last * stride >= extent + padding ? last : last + 1;
    if (count < 1 || extent === 0) throw this.#unfit("does not fit", shape);
    const end = (count - 1) * stride + reach;
    return { count, before: padding, after: Math.max(0, end - padding - extent) };
  }
}

/** Rows and columns of images. Throws `SHAPE_MISMATCH` for the shape of what is no batch of them. */
export function sizeOfImages(shape: Shape): readonly [number, number] {
  const [, , height, width] = shape;
  if (shape.length === 4 && height !== undefined && width !== undefined) return [height, width];
  throw new TslipError(
    "SHAPE_MISMATCH",
    `this layer takes images [n, channels, height, width]; given ${showShape(shape)}` +
      (shape.length === 3 ? "; one image is a batch of one: unsqueeze(0)" : ""),
    { shapes: [shape] },
  );
}

/** No pixel of any image, which reads as 0. */
export const NOWHERE = -1;

/** The pixels along an axis of images that each window reads, window after window, so that windows of as many pixels do not overlap. */
export function sideBySide(x: Tensor, axis: 2 | 3, windows: readonly (readonly number[])[]): Tensor {
  const pixels = Int32Array.from(windows.flat());
  return x.gather(tensor(pixels, [pixels.length]), axis);
}

/** Over the pixels of a window amid an image, along one axis, how many windows read each, added up. */
function readings(kernel: number, period: number): number {
  // The j-th window to a side that shares pixels with it shares kernel - j period; those to both sides.
  const neighbours = Math.ceil(kernel / period) - 1;
  return kernel + 2 * neighbours * kernel - neighbours * (neighbours + 1) * period;
}

/** The greatest common divisor of two whole numbers of at least 1. */
function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
