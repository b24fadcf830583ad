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

/** Rectangular windows of one size, and their geometry over images of every size. */
export class Windows {
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly ceilMode: boolean;

  /** Throws `INVALID_ARGUMENT` where the padding is more than half of the kernel: a window might read padding alone. */
  constructor({ kernelSize, stride, padding, ceilMode }: Options<typeof WINDOWS>) {
    this.kernel = kernelSize;
    this.stride = stride ?? kernelSize;
    this.padding = padding;
    this.ceilMode = ceilMode;
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
    const [rows, columns] = AXES.map((axis) => Math.ceil(this.kernel[axis] / this.stride[axis])) as [number, number];
    return rows * columns;
  }

  /**
   * At least the square of the norm of the sums over all windows, as a linear map, and its supremum over all sizes of image. That
   * of the map S is the norm of S Sᵀ, whose entries are not negative: the largest sum of a row is one bound, and it is that of a window
   * amid an image, over its pixels the number of windows that read them.
   */
  get squaredNorm(): number {
    const [rows, columns] = AXES.map((axis) => readings(this.kernel[axis], this.stride[axis])) as [number, number];
    return rows * columns;
  }

  /**
   * The fewest pixels along an axis that a window reads, over all sizes of image; those of the padding count with `padded`. A window
   * that reaches beyond the padded image does so by less than a stride, and begins in the image, in front of as much padding.
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

  /** Pixels along an axis that each of the windows over `extent` reads; those of the padding count with `padded`. */
  counts(axis: 0 | 1, extent: number, padded: boolean): number[] {
    const [kernel, stride, padding] = [this.kernel[axis], this.stride[axis], this.padding[axis]];
    const border = padded ? padding : 0;
    const { count } = this.#along(axis, extent, [extent]);
    return Array.from({ length: count }, (_, i) => {
      const start = i * stride - padding;
      return Math.min(start + kernel, extent + border) - Math.max(start, -border);
    });
  }

  #along(axis: 0 | 1, extent: number, shape: Shape): Span {
    const [kernel, stride, padding] = [this.kernel[axis], this.stride[axis], this.padding[axis]];
    const room = extent + 2 * padding - kernel;
    const last = this.ceilMode ? Math.ceil(room / stride) : Math.floor(room / stride);
    // A window that would begin behind the image is none.
    const count = last * stride >= extent + padding ? last : last + 1;
    if (count < 1 || extent === 0) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `a window of ${showShape(this.kernel)} does not fit an image of shape ${showShape(shape)}` +
          (padding === 0 ? "" : ` with padding ${showShape(this.padding)}`),
        { shapes: [shape] },
      );
    }
    const end = (count - 1) * stride + kernel;
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
function readings(kernel: number, stride: number): number {
  // Windows that are j strides apart share kernel - j stride pixels; those to both sides.
  const neighbours = Math.ceil(kernel / stride) - 1;
  return kernel + 2 * neighbours * kernel - neighbours * (neighbours + 1) * stride;
}
