// SpectralConv1d: a convolution of sequences whose kernel matrix is orthogonal.

import { among, type Options } from "../../options.js";
import { type ConvolutionNorm, NORM } from "../affine/convolution.js";
import { CONVOLUTION_1D, Convolution1d } from "../affine/convolution1d.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { SPECTRAL, Spectral, type SpectralOptions } from "../parametrizations/spectral.js";
import { Conv1d, type Conv1dOptions } from "./conv1d.js";

const definition = affine({
  type: "SpectralConv1d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION_1D, ...NORM, ...BIAS, ...SPECTRAL },
  parts: (options) => ({ map: new Convolution1d(options), parametrization: new Spectral(options) }),
});

/** Options of {@link SpectralConv1d}. */
export interface SpectralConv1dOptions extends Conv1dOptions, SpectralOptions {
  /** What makes it 1-Lipschitz, by default "default"; "exact" needs `inputSize`. */
  norm?: ConvolutionNorm;
}

/**
 * A convolution of sequences NCL that is kCoefLip-Lipschitz: the kernel matrix `[out, in * k]` is orthogonalized, then scaled by the
 * convolution factor, the smaller of torchlip's coefficient, 1 / ceil(k / s), and overlap^-1/2. With `norm: "overlap"` it is
 * overlap^-1/2, which is about the root of that; with `norm: "exact"` the kernel is divided by the norm of the convolution of sequences of
 * `inputSize` instead.
 */
export class SpectralConv1d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: SpectralConv1dOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Conv1d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION_1D, ...BIAS }, this.options);
    return this.exported((values) => new Conv1d(inChannels, outChannels, options, values));
  }
}
