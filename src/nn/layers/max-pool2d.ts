// MaxPool2d: the largest of each window, as PyTorch's.
import type { Options } from "../../options.js";
import { Tensor } from "../../tensor/tensor.js";
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
    const padded = this.#windows.padded(x, "replicate");
    const places = Tensor.make("window_argmax2d", { kernel, stride }, [padded]);
    return Tensor.make("window_take2d", { kernel, stride }, [padded, places]);
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
