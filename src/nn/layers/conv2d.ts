// Conv2d: a convolution, PyTorch's in names, shapes and initial values.

import { among, type Options } from "../../options.js";
import type { ConvolutionOptions } from "../../tensor/convolution.js";
import type { Pair } from "../../tensor/shape.js";
import { CONVOLUTION, Convolution, type PaddingMode } from "../affine/convolution.js";
import { AffineLayer, type AffineValues, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { INITIALIZER, type Initializer } from "../initializer.js";
import { ordinary } from "../parametrizations/ordinary.js";

const definition = affine({
  type: "Conv2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION, ...BIAS, ...INITIALIZER },
  parts: (options) => ({ map: new Convolution(options), parametrization: ordinary }),
});

/** Options of 2-D convolution layers. */
export interface Conv2dOptions extends ConvolutionOptions {
  kernelSize: Pair;
  bias?: boolean;
  /** By default uniform in ±1/sqrt(fan in), as in PyTorch. */
  initializer?: Initializer | undefined;
  paddingMode?: PaddingMode;
  /** Image size [height, width], if it is always the same: bounds then count the windows of that size alone, and others are refused. */
  inputSize?: readonly [number, number] | undefined;
}

/** 2-D cross-correlation of images NCHW; weight `[out, in / groups, kh, kw]`. */
export class Conv2d extends AffineLayer<Options<typeof definition.schema>> {
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
