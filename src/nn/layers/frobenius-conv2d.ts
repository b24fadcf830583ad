// FrobeniusConv2d: a convolution whose kernel has Frobenius norm 1.

import { among, type Options } from "../../options.js";
import { CONVOLUTION, Convolution } from "../affine/convolution.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { FROBENIUS, Frobenius, type FrobeniusOptions } from "../parametrizations/frobenius.js";
import { Conv2d, type Conv2dOptions } from "./conv2d.js";

const definition = affine({
  type: "FrobeniusConv2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION, ...BIAS, ...FROBENIUS },
  parts: (options) => ({ map: new Convolution(options), parametrization: new Frobenius({ rowByRow: false }) }),
});

/** Options of {@link FrobeniusConv2d}. */
export interface FrobeniusConv2dOptions extends Conv2dOptions, FrobeniusOptions {}

/** A convolution that is kCoefLip-Lipschitz: the kernel is divided by its Frobenius norm, then scaled by the convolution factor. */
export class FrobeniusConv2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: FrobeniusConv2dOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Conv2d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new Conv2d(inChannels, outChannels, options, values));
  }
}
