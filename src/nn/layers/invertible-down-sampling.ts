// InvertibleDownSampling: pixels of blocks become channels.
import { TslipError } from "../../errors.js";
import { coefficient, type Options, pair } from "../../options.js";
import { type Pair, showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { ScaledLayer } from "../scaled.js";
import { sizeOfImages } from "../windows.js";

/** Options of layers that move pixels between blocks and channels. */
export interface SamplingOptions {
  /** Rows and columns of a block. */
  kernelSize: Pair;
  kCoefLip?: number | undefined;
}

/** What layers that move pixels between blocks and channels can be told. */
export const SAMPLING = { kernelSize: pair(1), kCoefLip: coefficient };

const definition = { type: "InvertibleDownSampling", positional: [], schema: SAMPLING } satisfies Definition;

function channelsOf(x: Tensor, [kh, kw]: readonly [number, number]): Tensor {
  const [height, width] = sizeOfImages(x.shape);
  const [samples = 0, channels = 0] = x.shape;
  if (height % kh !== 0 || width % kw !== 0) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `kernelSize ${showShape([kh, kw])} must divide the images; given ${showShape(x.shape)}; pad or slice them`,
      { shapes: [x.shape] },
    );
  }
  const [rows, columns] = [height / kh, width / kw];
  const moved = x.reshape([samples, channels, rows, kh, columns, kw]).permute([0, 1, 3, 5, 2, 4]);
  return moved.reshape([samples, channels * kh * kw, rows, columns]);
}

/**
 * Images `[n, c, h, w]` to `[n, c kh kw, h / kh, w / kw]`, times `kCoefLip`: channel c kh kw + y kw + x has the pixels in row y and column x
 * of all blocks of channel c, as PyTorch's PixelUnshuffle. The kernel must divide the image.
 */
export class InvertibleDownSampling extends ScaledLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  constructor(options: SamplingOptions) {
    const all = optionsOf(definition, [], options);
    super(all.kCoefLip, { compute: (x) => channelsOf(x, all.kernelSize), keepsNorm: true });
    this.options = all;
  }

  vanillaExport(): InvertibleDownSampling {
    return new InvertibleDownSampling({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
