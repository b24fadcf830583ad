// SpectralConv2d: a convolution whose kernel matrix is orthogonal.

import { among, type Options } from "../../options.js";
import { CONVOLUTION, Convolution, type ConvolutionNorm, NORM } from "../affine/convolution.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { SPECTRAL, Spectral, type SpectralOptions } from "../parametrizations/spectral.js";
import { Conv2d, type Conv2dOptions } from "./conv2d.js";

const definition = affine({
  type: "SpectralConv2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION, ...NORM, ...BIAS, ...SPECTRAL },
  parts: (options) => ({ map: new Convolution(options), parametrization: new Spectral(options) }),
});

/** Options of {@link SpectralConv2d}. */
export interface SpectralConv2dOptions extends Conv2dOptions, SpectralOptions {
  /** What makes it 1-Lipschitz, by default "default"; "exact" needs `inputSize`. */
  norm?: ConvolutionNorm;
}

/**
 * A convolution that is kCoefLip-Lipschitz: the kernel matrix `[out, in * kh * kw]` is orthogonalized, which the convolution by it is
 * not (`OrthogonalConv2d` is), then scaled by the convolution factor, the smaller of torchlip's coefficient and overlap^-1/2. With `norm: "overlap"` it is overlap^-1/2; with `norm:
 * "exact"` the kernel is divided by the norm of the convolution of images of `inputSize` instead, so that the layer's constant is
 * within [1 - 1e-3, 1] kCoefLip, for images of more than 262,144 numbers a little less. That norm is found by products with vectors, which may take a smaller
 * singular value for it: `lipschitzBound()` and certificates are proved of the weight that comes out.
 */
export class SpectralConv2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: SpectralConv2dOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Conv2d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new Conv2d(inChannels, outChannels, options, values));
  }
}
