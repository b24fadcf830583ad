// MaxPool2d: the largest of each window, as PyTorch's.
import type { Options } from "../../options.js";
import { stack } from "../../tensor/composite.js";
import type { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { Module } from "../module.js";
import { type Proof, type Proving, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";
import { WINDOWS, type WindowOptions, Windows } from "../windows.js";

const definition = { type: "MaxPool2d", positional: [], schema: WINDOWS } satisfies Definition;

/**
 * The largest pixel of each window of each channel, NCHW; NaN where one is. Padding is never the largest: it repeats pixels of the
 * border, which windows that reach beyond it read themselves. The gradient goes to the first of the largest, row by row.
 */
export class MaxPool2d extends Module implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly #windows: Windows;

  constructor(options: WindowOptions) {
    super();
    const all = optionsOf(definition, [], options);
    this.#windows = new Windows(all);
    this.options = Object.freeze({ ...all, stride: this.#windows.stride });
  }

  forward(x: Tensor): Tensor {
    const { kernel, stride } = this.#windows;
    const [rows, columns] = this.#windows.over(x);
    // The first of a row, then the first row of those.
    const along = largest(this.#windows.padded(x, "replicate"), 3, columns.count, kernel[1], stride[1]);
    return largest(along, 2, rows.count, kernel[0], stride[0]);
  }

  /**
   * The root of the most windows that share a pixel, reached where one pixel is the largest of all of these: a window changes by no more
   * than its largest change of a pixel.
   */
  override lipschitzBound(): number {
    const { overlap } = this.#windows;
    const root = Math.sqrt(overlap);
    return root * root === overlap && Number.isInteger(root) ? root : root * (1 + Number.EPSILON);
  }

  /** Chooses numbers, of which padding makes copies. */
  override rounding(): Rounding {
    return { roundings: 0, offset: 0, copies: this.#windows.size };
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }
}

/** The largest of `kernel` entries along an axis, from every `stride`-th on, for `count` windows. */
function largest(x: Tensor, axis: number, count: number, kernel: number, stride: number): Tensor {
  const { shape } = x;
  const from = (start: number, length: number, step = 1): Tensor =>
    x.slice(
      shape.map((_, i) => (i === axis ? start : 0)),
      shape.map((extent, i) => (i === axis ? start + (length - 1) * step + 1 : extent)),
      shape.map((_, i) => (i === axis ? step : 1)),
    );
  if (kernel === 1) return from(0, count, stride);
  if (kernel === stride || count === 1) {
    const windows = from(0, count * kernel).reshape([...shape.slice(0, axis), count, kernel, ...shape.slice(axis + 1)]);
    return windows.max(axis + 1);
  }
  const taps = Array.from({ length: kernel }, (_, tap) => from(tap, count, stride));
  return stack(taps, axis).max(axis);
}
