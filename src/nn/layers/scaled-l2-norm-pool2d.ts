// ScaledL2NormPool2d: pooling that keeps a Lipschitz constant.
import { coefficient, type Options } from "../../options.js";
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { boundOfNormalized, normalized, scaleOf } from "../lipschitz.js";
import { fixed, windowsOf } from "../pieces.js";
import { KeepingLayer } from "../scaled.js";
import { WINDOWS, type WindowOptions, Windows } from "../windows.js";

/** Options of {@link ScaledL2NormPool2d}. */
export interface L2NormPoolOptions extends WindowOptions {
  kCoefLip?: number | undefined;
}

const definition = {
  type: "ScaledL2NormPool2d",
  positional: [],
  schema: { ...WINDOWS, kCoefLip: coefficient },
} satisfies Definition;

/**
 * The L2 norm of each window of each channel, NCHW, with zeros around the image. 1-Lipschitz where windows do not overlap; where they
 * do, divided by the root of the most windows that share a pixel. A window that is cut off by the border of the image is the norm of
 * what is left of it. The gradient is 0 at an all-zero window.
 */
export class ScaledL2NormPool2d extends KeepingLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly #windows: Windows;

  constructor(options: L2NormPoolOptions) {
    const all = optionsOf(definition, [], options);
    const windows = new Windows(all);
    const { kernel, stride, overlap, size } = windows;
    super(all.kCoefLip, {
      compute: (x, k) => normalized(Tensor.make("l2_norm_pool2d", { kernel, stride }, [windows.padded(x)]), k, overlap),
      // sqrt(overlap) of the norms, times their scale.
      lipschitz: (k) => boundOfNormalized(k, overlap),
      // A square and an addition for each pixel of a window, the root and the scale; a few for squares that are flushed. A norm
      // is as large as the input may be before it is scaled.
      rounding: () => ({ roundings: 2 * size + 4, offset: 0, peak: 1 }),
      pieces: (k, sample) => {
        const within = overlap === 1 ? windowsOf(windows, sample) : undefined;
        return within && fixed({ kind: "norms", ...within, scale: scaleOf(k) });
      },
    });
    this.#windows = windows;
    this.options = Object.freeze({ ...all, stride });
  }

  get kernelSize(): readonly [number, number] {
    return this.#windows.kernel;
  }

  get stride(): readonly [number, number] {
    return this.#windows.stride;
  }

  /** Most windows that share one pixel. */
  get overlap(): number {
    return this.#windows.overlap;
  }

  vanillaExport(): ScaledL2NormPool2d {
    return new ScaledL2NormPool2d({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
