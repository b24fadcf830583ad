// SpectralConvTranspose2d: a transposed convolution whose kernel matrix is orthogonal.

import { among, type Options } from "../../options.js";
import { type ConvolutionNorm, NORM } from "../affine/convolution.js";
import { TRANSPOSED_CONVOLUTION, TransposedConvolution } from "../affine/transposed.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { SPECTRAL, Spectral, type SpectralOptions } from "../parametrizations/spectral.js";
import { ConvTranspose2d, type ConvTranspose2dOptions } from "./conv-transpose2d.js";

const definition = affine({
  type: "SpectralConvTranspose2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...TRANSPOSED_CONVOLUTION, ...NORM, ...BIAS, ...SPECTRAL },
  parts: (options) => ({ map: new TransposedConvolution(options), parametrization: new Spectral(options) }),
});

/** Options of {@link SpectralConvTranspose2d}. */
export interface SpectralConvTranspose2dOptions extends ConvTranspose2dOptions, SpectralOptions {
  /** What makes it 1-Lipschitz, by default "default"; "exact" needs `inputSize`. */
  norm?: ConvolutionNorm;
}

/** A transposed convolution that is kCoefLip-Lipschitz, by the matrix `[in, out * kh * kw]` of its kernel. */
export class SpectralConvTranspose2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: SpectralConvTranspose2dOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): ConvTranspose2d {
    const { inChannels, outChannels, ...options } = among({ ...TRANSPOSED_CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new ConvTranspose2d(inChannels, outChannels, options, values));
  }
}
