// OrthogonalConv2d: a convolution that keeps the norm of images, with a stride as well.

import { singularValues } from "../../native.js";
import { among, type Options } from "../../options.js";
import { eye } from "../../tensor/create.js";
import { bytesOf } from "../../tensor/dtype.js";
import { pairOf } from "../../tensor/shape.js";
import { CONVOLUTION } from "../affine/convolution.js";
import { UnboundedConvolution } from "../affine/unbounded.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { BlockConvolution } from "../parametrizations/block-convolution.js";
import { ORTHOGONAL, type OrthogonalOptions } from "../parametrizations/orthonormal.js";
import { Conv2d, type Conv2dOptions } from "./conv2d.js";

const definition = affine({
  type: "OrthogonalConv2d",
  positional: ["inChannels", "outChannels"],
  schema: { ...CONVOLUTION, ...BIAS, ...ORTHOGONAL },
  parts: (options) => {
    const geometry = { ...options, rows: options.outChannels, columns: options.inChannels };
    return { map: new UnboundedConvolution(options), parametrization: new BlockConvolution(geometry, options) };
  },
});

/** Options of {@link OrthogonalConv2d}. */
export interface OrthogonalConv2dOptions extends Omit<Conv2dOptions, "initializer">, OrthogonalOptions {}

/**
 * A convolution of which all min(out, in s²) singular values are `kCoefLip`, s being the stride, where images
 * are repeated around themselves and each s-th pixel has a window: `paddingMode` "circular" and `padding` "same", or with a stride
 * (kernelSize - 1) / 2, rounded down. With zeros, or without padding, they are at most that, and some are smaller as borders are lost.
 * kernelSize is at least the stride; of repeated images the sides are multiples of the stride, which its export does not know unless it is
 * given `inputSize`: then both have the same bound. The weight starts orthogonal.
 */
export class OrthogonalConv2d extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: OrthogonalConv2dOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  /**
   * All singular values on images of [height, width], descending, in float64 from the weight of now: with zeros around them the last
   * says what is lost at borders. The convolution is written out as a matrix, with a row for each number of an image, which is for small
   * ones: its singular values take time as the third power of its rows.
   */
  async singularValues(size: readonly [number, number]): Promise<Float64Array> {
    const [height, width] = pairOf("size", size, 1);
    const inputs = this.inChannels * height * width;
    const units = eye(inputs).reshape([inputs, this.inChannels, height, width]);
    const results = await this.map.apply(units, this.effectiveWeight(), undefined).data();
    return await singularValues(bytesOf(results), [inputs, results.length / inputs]);
  }

  vanillaExport(): Conv2d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new Conv2d(inChannels, outChannels, options, values));
  }
}
