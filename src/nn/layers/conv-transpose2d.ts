// ConvTranspose2d: a transposed convolution, PyTorch's in names, shapes and initial values.

import { among, type Options } from "../../options.js";
import type { Pair } from "../../tensor/shape.js";
import { TRANSPOSED_CONVOLUTION, TransposedConvolution } from "../affine/transposed.js";
import { AffineLayer, type AffineValues, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { INITIALIZER, type Initializer } from "../initializer.js";
import { ordinary } from "../parametrizations/ordinary.js";

const definition = affine({
  type: "ConvTranspose2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...TRANSPOSED_CONVOLUTION, ...BIAS, ...INITIALIZER },
  parts: (options) => ({ map: new TransposedConvolution(options), parametrization: ordinary }),
});

/** Options of transposed convolution layers. */
export interface ConvTranspose2dOptions {
  kernelSize: Pair;
  stride?: Pair;
  /** Pixels that are left out at each border of the result. */
  padding?: Pair;
  /** Pixels more at the bottom and at the right; below the stride. */
  outputPadding?: Pair;
  dilation?: Pair;
  groups?: number;
  bias?: boolean;
  /** By default uniform in ±1/sqrt(fan in), as in PyTorch. */
  initializer?: Initializer | undefined;
  /** The only size of images, rows and columns; left out, every size is allowed. */
  inputSize?: Pair;
}

/** The adjoint of a 2-D convolution, of images NCHW; weight `[in, out / groups, kh, kw]`. */
export class ConvTranspose2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: ConvTranspose2dOptions,
    values?: AffineValues,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all), values);
  }

  vanillaExport(): ConvTranspose2d {
    const { inChannels, outChannels, ...options } = among({ ...TRANSPOSED_CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new ConvTranspose2d(inChannels, outChannels, options, values));
  }
}
