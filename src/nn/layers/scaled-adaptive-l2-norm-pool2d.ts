// ScaledAdaptiveL2NormPool2d: norms of as many windows as are asked for, scaled to keep a Lipschitz constant.
import { coefficient, type Options } from "../../options.js";
import { Tensor } from "../../tensor/tensor.js";
import { type AdaptiveOptions, AdaptiveWindows, OUTPUT_SIZE, overlapOf } from "../adaptive.js";
import { type Definition, optionsOf } from "../definition.js";
import { boundOfNormalized, normalized } from "../lipschitz.js";
import { KeepingLayer } from "../scaled.js";

const definition = {
  type: "ScaledAdaptiveL2NormPool2d",
  positional: [],
  schema: { ...OUTPUT_SIZE, kCoefLip: coefficient },
} satisfies Definition;

/** The norm of a window is that of the norms of its rows. */
function norms(x: Tensor, windows: AdaptiveWindows, kCoefLip: number): Tensor {
  const pooled = windows.pooled(x, (part, kernel, stride) => Tensor.make("l2_norm_pool2d", { kernel, stride }, [part]));
  const [rows, columns] = windows.over(x.shape);
  return normalized(pooled, kCoefLip, overlapOf(rows) * overlapOf(columns));
}

/**
 * The L2 norm of each window of PyTorch's adaptive pooling, NCHW, over the root of the most windows that share a pixel, which is 1 where the
 * output divides the image. The gradient is 0 at an all-zero window.
 */
export class ScaledAdaptiveL2NormPool2d extends KeepingLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  constructor(options: AdaptiveOptions) {
    const all = optionsOf(definition, [], options);
    const windows = new AdaptiveWindows(all.outputSize);
    super(all.kCoefLip, {
      compute: (x, k) => norms(x, windows, k),
      // sqrt(overlap) of the norms, times their scale, whatever the size of the images.
      lipschitz: (k) => boundOfNormalized(k),
      // As ScaledL2NormPool2d, for the norms along one axis and for those along the other.
      rounding: (_, sample) => {
        const [rows, columns] = windows.longest(sample);
        return { roundings: 2 * (rows + columns) + 8, offset: 0, peak: 1 };
      },
    });
    this.options = all;
  }

  vanillaExport(): ScaledAdaptiveL2NormPool2d {
    return new ScaledAdaptiveL2NormPool2d({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
