// PadConv1d: torchlip's name of a convolution that takes every padding mode, as Conv1d here does.

import { among, type Options } from "../../options.js";
import { CONVOLUTION_1D, Convolution1d } from "../affine/convolution1d.js";
import { AffineLayer, type AffineValues, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { INITIALIZER } from "../initializer.js";
import { ordinary } from "../parametrizations/ordinary.js";
import { Conv1d, type Conv1dOptions } from "./conv1d.js";

const definition = affine({
  type: "PadConv1d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION_1D, ...BIAS, ...INITIALIZER },
  parts: (options) => ({ map: new Convolution1d(options), parametrization: ordinary }),
});

/** 1-D cross-correlation of sequences NCL, padded with zeros or circularly, by reflection, replication or symmetrically; exported as a `Conv1d`. */
export class PadConv1d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: Conv1dOptions,
    values?: AffineValues,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all), values);
  }

  vanillaExport(): Conv1d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION_1D, ...BIAS }, this.options);
    return this.exported((values) => new Conv1d(inChannels, outChannels, options, values));
  }
}
