// AvgPool2d: averages of windows, as PyTorch's.
import { networkLipschitzUpperBound } from "../../native.js";
import { flag, type Options, optional, whole } from "../../options.js";
import { tensor } from "../../tensor/create.js";
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { Module } from "../module.js";
import { type Proof, type Proving, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";
import { sizeOfImages, WINDOWS, type WindowOptions, Windows } from "../windows.js";

/** Options of {@link AvgPool2d}. */
export interface AvgPoolOptions extends WindowOptions {
  /** Whether the pixels of the padding count; what a window reads beyond them never does. By default they do. */
  countIncludePad?: boolean;
  /** What the sum of each window is divided by; by default the pixels that count. */
  divisorOverride?: number | undefined;
}

const definition = {
  type: "AvgPool2d",
  positional: [],
  schema: { ...WINDOWS, countIncludePad: flag(true), divisorOverride: optional(whole(1)) },
} satisfies Definition;

/** The average of each window of each channel, NCHW. */
export class AvgPool2d extends Module implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly #windows: Windows;
  readonly #countIncludePad: boolean;
  /** What every window is divided by, if that is one number for images of every size. */
  readonly #divisor: number | undefined;

  constructor(options: AvgPoolOptions) {
    super();
    const all = optionsOf(definition, [], options);
    const windows = new Windows(all);
    this.#windows = windows;
    this.#countIncludePad = all.countIncludePad;
    const whole = ([0, 1] as const).every((axis) => windows.fewest(axis, all.countIncludePad) === windows.kernel[axis]);
    this.#divisor = all.divisorOverride ?? (whole ? windows.size : undefined);
    this.options = Object.freeze({ ...all, stride: windows.stride });
  }

  forward(x: Tensor): Tensor {
    const { kernel, stride } = this.#windows;
    const sums = Tensor.make("window_sum2d", { kernel, stride }, [this.#windows.padded(x)]);
    return sums.div(this.#divisor ?? this.#divisors(x));
  }

  /**
   * Where all windows have one divisor, the norm of the sums over it. Else along each axis sqrt(overlap / m), m being the fewest pixels that
   * count in a window: the squared norm of a matrix is at most its largest sum of a row, 1, times its largest sum of a column.
   */
  override lipschitzBound(): number {
    const windows = this.#windows;
    const fewest = windows.fewest(0, this.#countIncludePad) * windows.fewest(1, this.#countIncludePad);
    const divisor = this.#divisor;
    const bound =
      divisor === undefined ? Math.sqrt(windows.overlap / fewest) : Math.sqrt(windows.squaredNorm) / divisor;
    // Two roundings to nearest, of a quotient and of a root.
    const factors = [bound, 1 + Number.EPSILON];
    return networkLipschitzUpperBound(
      factors.map((lipschitz, from) => ({ kind: "layer", from, layer: { lipschitz } })),
    );
  }

  /** As {@link ScaledAvgPool2d}, with a quotient in the place of the scale. */
  override rounding(): Rounding {
    const { size } = this.#windows;
    return { roundings: size, offset: 0, peak: Math.ceil(Math.sqrt(size)) };
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }

  /** The pixels that count in each window, `[1, 1, rows, columns]`. */
  #divisors(x: Tensor): Tensor {
    const [height, width] = sizeOfImages(x);
    const rows = this.#windows.counts(0, height, this.#countIncludePad);
    const columns = this.#windows.counts(1, width, this.#countIncludePad);
    return tensor(rows, [rows.length, 1])
      .mul(tensor(columns, [1, columns.length]))
      .reshape([1, 1, rows.length, -1]);
  }
}
