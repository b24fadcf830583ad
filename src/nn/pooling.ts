// Pooling that keeps a Lipschitz constant.
import { givenOptions } from "../errors.js";
import { composeLipschitzBounds } from "../native.js";
import { type Pair, pairOf } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { scaled } from "./activations.js";
import { LipschitzModule } from "./lipschitz.js";
import type { Architecture } from "./module.js";
import type { Rounding } from "./rounding.js";

/** Options of {@link ScaledL2NormPool2d}. */
export interface L2NormPoolOptions {
  kernelSize: Pair;
  /** Pixels between windows; by default the kernel size. */
  stride?: Pair;
  kCoefLip?: number;
}

/**
 * The L2 norm of each window of each channel, NCHW. 1-Lipschitz where windows do not overlap; where they do, divided
 * by the root of the most windows that share a pixel. The gradient is 0 at an all-zero window.
 */
export class ScaledL2NormPool2d extends LipschitzModule {
  readonly kernelSize: [number, number];
  readonly stride: [number, number];

  constructor(options: L2NormPoolOptions) {
    const { kernelSize: kernel } = givenOptions("ScaledL2NormPool2d", options, "{ kernelSize: 2 }");
    const kernelSize = pairOf("kernelSize", kernel, 1);
    const stride = pairOf("stride", options.stride ?? kernel, 1);
    super(options.kCoefLip);
    this.kernelSize = kernelSize;
    this.stride = stride;
  }

  /** Most windows that share one pixel. */
  get overlap(): number {
    const [kh, kw] = this.kernelSize;
    const [sh, sw] = this.stride;
    return Math.ceil(kh / sh) * Math.ceil(kw / sw);
  }

  forward(x: Tensor): Tensor {
    const { kernelSize: kernel, stride } = this;
    const norms = Tensor.make("l2_norm_pool2d", { kernel, stride }, [x]);
    return scaled(norms, this.kCoefLip / Math.sqrt(this.overlap));
  }

  /** sqrt(overlap) of the norms, times their scale: `kCoefLip`. */
  lipschitzBound(): number {
    return this.overlap === 1 ? this.kCoefLip : composeLipschitzBounds([this.kCoefLip, 1 + Number.EPSILON]);
  }

  /**
   * A square and an addition for each pixel of a window, the root and the scale; a few for squares that are flushed. A norm
   * is as large as the input may be before it is scaled.
   */
  override rounding(): Rounding {
    const [kh, kw] = this.kernelSize;
    return { roundings: 2 * kh * kw + 4, offset: 0, peak: 1 };
  }

  vanillaExport(): ScaledL2NormPool2d {
    const { kernelSize, stride, kCoefLip } = this;
    return new ScaledL2NormPool2d({ kernelSize, stride, kCoefLip });
  }

  override architecture(): Architecture {
    const { kernelSize, stride, givenCoefficient: kCoefLip } = this;
    return { type: "ScaledL2NormPool2d", kernelSize, stride, kCoefLip };
  }
}
