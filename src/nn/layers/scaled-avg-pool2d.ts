// ScaledAvgPool2d: averages of windows, scaled to keep a Lipschitz constant.
import { TslipError } from "../../errors.js";
import { coefficient, flag, type Options, optional, whole } from "../../options.js";
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { boundOfNormalized, normalized } from "../lipschitz.js";
import { KeepingLayer } from "../scaled.js";
import { WINDOWS, type WindowOptions, Windows } from "../windows.js";

/** Options of {@link ScaledAvgPool2d}. */
export interface ScaledAvgPoolOptions extends WindowOptions {
  /** As in PyTorch; the pixels of the padding count, so that `false` is for windows without padding. By default true. */
  countIncludePad?: boolean;
  /** As in PyTorch: what the sum of a window is divided by. The scale takes it back, so that the result is the same for all. */
  divisorOverride?: number | undefined;
  kCoefLip?: number | undefined;
}

const definition = {
  type: "ScaledAvgPool2d",
  positional: [],
  schema: { ...WINDOWS, countIncludePad: flag(true), divisorOverride: optional(whole(1)), kCoefLip: coefficient },
} satisfies Definition;

/**
 * The sum over each window of each channel, NCHW, with zeros around the image, over the norm of all these sums as a linear map:
 * for windows that do not overlap the average times the root of a window's pixels. A window that is cut off by the border of the image has
 * the scale of the others, with which it is `kCoefLip`-Lipschitz too, as it would not be with an average over what is left of it.
 */
export class ScaledAvgPool2d extends KeepingLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  constructor(options: ScaledAvgPoolOptions) {
    const all = optionsOf(definition, [], options);
    const windows = new Windows(all);
    const { kernel, stride, squaredNorm, size } = windows;
    super(all.kCoefLip, {
      compute: (x, k) =>
        normalized(Tensor.make("window_sum2d", { kernel, stride }, [windows.padded(x)]), k, squaredNorm),
      // The norm of the sums, times their scale.
      lipschitz: (k) => boundOfNormalized(k, squaredNorm),
      // The additions of a window and the scale: no weight is negative, so that each result may have an order of its own. A sum of n
      // pixels is at most sqrt(n) times as large as their norm.
      rounding: () => ({ roundings: size, offset: 0, peak: Math.ceil(Math.sqrt(size)) }),
    });
    this.options = Object.freeze({ ...all, stride });
    if (all.countIncludePad || all.padding.every((n) => n === 0)) return;
    throw new TslipError(
      "INVALID_ARGUMENT",
      "ScaledAvgPool2d counts the pixels of its padding: all windows have one scale, or those at the border would weigh more; leave " +
        "countIncludePad out, or use AvgPool2d",
    );
  }

  vanillaExport(): ScaledAvgPool2d {
    return new ScaledAvgPool2d({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
