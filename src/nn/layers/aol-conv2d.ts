// AOLConv2d: a convolution with an almost orthogonal kernel (Prach and Lampert 2022).

import { TslipError } from "../../errors.js";
import { among, coefficient, type Options } from "../../options.js";
import { showShape, sizeOf } from "../../tensor/shape.js";
import { CONVOLUTION } from "../affine/convolution.js";
import { UnboundedConvolution } from "../affine/unbounded.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { AlmostOrthogonal } from "../parametrizations/almost-orthogonal.js";
import { Conv2d, type Conv2dOptions } from "./conv2d.js";

const definition = affine({
  type: "AOLConv2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION, ...BIAS, kCoefLip: coefficient },
  parts: (options) => {
    const { stride, dilation } = options;
    if (sizeOf(stride) > 1 && sizeOf(dilation) > 1) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `an AOLConv2d takes a stride or a dilation; given stride ${showShape(stride)} and dilation ${showShape(dilation)}; leave one ` +
          "of them out",
      );
    }
    return { map: new UnboundedConvolution(options), parametrization: new AlmostOrthogonal(options) };
  },
});

/** Options of {@link AOLConv2d}. */
export interface AOLConv2dOptions extends Omit<Conv2dOptions, "initializer"> {
  kCoefLip?: number | undefined;
}

/**
 * A convolution that is kCoefLip-Lipschitz: each input channel of the kernel is divided by the root of its correlations with all
 * others, at all distances. Of repeated images (`paddingMode` "circular") the sides are multiples of the stride.
 */
export class AOLConv2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: AOLConv2dOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Conv2d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new Conv2d(inChannels, outChannels, options, values));
  }
}
