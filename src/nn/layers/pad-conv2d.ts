// PadConv2d: torchlip's name of a convolution that takes every padding mode, as Conv2d here does.

import { among, type Options } from "../../options.js";
import { CONVOLUTION, Convolution } from "../affine/convolution.js";
import { AffineLayer, type AffineValues, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { INITIALIZER } from "../initializer.js";
import { ordinary } from "../parametrizations/ordinary.js";
import { Conv2d, type Conv2dOptions } from "./conv2d.js";

const definition = affine({
  type: "PadConv2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION, ...BIAS, ...INITIALIZER },
  parts: (options) => ({ map: new Convolution(options), parametrization: ordinary }),
});

/** 2-D cross-correlation of images NCHW, padded with zeros or circularly, by reflection, replication or symmetrically; exported as a `Conv2d`. */
export class PadConv2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: Conv2dOptions,
    values?: AffineValues,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all), values);
  }

  vanillaExport(): Conv2d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new Conv2d(inChannels, outChannels, options, values));
  }
}
