// OrthogonalConv2d: a convolution that keeps the norm of images, with a stride as well.

import { TslipError } from "../../errors.js";
import { singularValues } from "../../native.js";
import { among, type Options } from "../../options.js";
import { eye, zeros } from "../../tensor/create.js";
import { bytesOf } from "../../tensor/dtype.js";
import { pairOf, showShape } from "../../tensor/shape.js";
import { CONVOLUTION } from "../affine/convolution.js";
import { UnboundedConvolution } from "../affine/unbounded.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { BlockConvolution } from "../parametrizations/block-convolution.js";
import { ORTHOGONAL, type OrthogonalOptions } from "../parametrizations/orthonormal.js";
import { Conv2d, type Conv2dOptions } from "./conv2d.js";

/** Of a convolution written out as a matrix, and of the identity of as many rows. */
const MOST_ENTRIES = 2 ** 30;

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
   * ones: its singular values take time as the third power of its rows. Throws `INVALID_ARGUMENT` where it would have more than 2^30 entries.
   */
  async singularValues(size: readonly [number, number]): Promise<Float64Array> {
    const [height, width] = pairOf("size", size, 1);
    const [channels, weight] = [this.inChannels, this.effectiveWeight()];
    const one = zeros([1, channels, height, width]);
    const [inputs, results] = [one.size, this.map.apply(one, weight, undefined).size];
    // The identity, through which it is written out, has a place in memory too.
    if (inputs * Math.max(inputs, results) > MOST_ENTRIES) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `singularValues(${showShape([height, width])}) of ${channels} channels writes out a matrix of ${inputs} x ${results}, and at most ` +
          "2^30 entries, 4 GiB, are; give a smaller size of image",
      );
    }
    const units = eye(inputs).reshape([inputs, channels, height, width]);
    const values = await this.map.apply(units, weight, undefined).data();
    return await singularValues(bytesOf(values), [inputs, results]);
  }

  vanillaExport(): Conv2d {
    const { inChannels, outChannels, ...options } = among({ ...CONVOLUTION, ...BIAS }, this.options);
    return this.exported((values) => new Conv2d(inChannels, outChannels, options, values));
  }
}
