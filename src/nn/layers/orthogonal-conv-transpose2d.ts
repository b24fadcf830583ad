// OrthogonalConvTranspose2d: the adjoint of a convolution that keeps norms.

import { among, type Options } from "../../options.js";
import { TRANSPOSED_CONVOLUTION } from "../affine/transposed.js";
import { UnboundedTransposedConvolution } from "../affine/unbounded.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { BlockConvolution } from "../parametrizations/block-convolution.js";
import { ORTHOGONAL, type OrthogonalOptions } from "../parametrizations/orthonormal.js";
import { ConvTranspose2d, type ConvTranspose2dOptions } from "./conv-transpose2d.js";

const definition = affine({
  type: "OrthogonalConvTranspose2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...TRANSPOSED_CONVOLUTION, ...BIAS, ...ORTHOGONAL },
  parts: (options) => {
    const geometry = { ...options, rows: options.inChannels, columns: options.outChannels };
    return {
      map: new UnboundedTransposedConvolution(options),
      parametrization: new BlockConvolution(geometry, options),
    };
  },
});

/** Options of {@link OrthogonalConvTranspose2d}. */
export interface OrthogonalConvTranspose2dOptions
  extends Omit<ConvTranspose2dOptions, "initializer">,
    OrthogonalOptions {}

/**
 * The adjoint of an orthogonal convolution from `out` to `in` channels, plus a bias: without padding it keeps the norm where
 * in <= out s², s being the stride, up to the factor `kCoefLip`. kernelSize is at least the stride.
 */
export class OrthogonalConvTranspose2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: OrthogonalConvTranspose2dOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): ConvTranspose2d {
    const { inChannels, outChannels, ...options } = among({ ...TRANSPOSED_CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new ConvTranspose2d(inChannels, outChannels, options, values));
  }
}
