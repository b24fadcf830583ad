// InvertibleUpSampling: channels become pixels of blocks, the inverse of InvertibleDownSampling.
import { TslipError } from "../../errors.js";
import type { Options } from "../../options.js";
import { showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { ScaledLayer } from "../scaled.js";
import { sizeOfImages } from "../windows.js";
import { SAMPLING, type SamplingOptions } from "./invertible-down-sampling.js";

const definition = { type: "InvertibleUpSampling", positional: [], schema: SAMPLING } satisfies Definition;

function pixelsOf(x: Tensor, [kh, kw]: readonly [number, number]): Tensor {
  const [rows, columns] = sizeOfImages(x.shape);
  const [samples = 0, all = 0] = x.shape;
  const channels = all / (kh * kw);
  if (!Number.isInteger(channels)) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `the ${kh * kw} pixels of kernelSize ${showShape([kh, kw])} must divide the channels; given ${showShape(x.shape)}`,
      { shapes: [x.shape] },
    );
  }
  const moved = x.reshape([samples, channels, kh, kw, rows, columns]).permute([0, 1, 4, 2, 5, 3]);
  return moved.reshape([samples, channels, rows * kh, columns * kw]);
}

/**
 * Images `[n, c kh kw, h, w]` to `[n, c, h kh, w kw]`, times `kCoefLip`: channel c kh kw + y kw + x goes to row y and column x of the blocks of
 * channel c, as PyTorch's PixelShuffle. The pixels of a block must divide the channels.
 */
export class InvertibleUpSampling extends ScaledLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  constructor(options: SamplingOptions) {
    const all = optionsOf(definition, [], options);
    super(all.kCoefLip, { compute: (x) => pixelsOf(x, all.kernelSize), keepsNorm: true });
    this.options = all;
  }

  vanillaExport(): InvertibleUpSampling {
    return new InvertibleUpSampling({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
