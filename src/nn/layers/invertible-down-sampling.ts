// InvertibleDownSampling: pixels of blocks become channels.
import { TslipError } from "../../errors.js";
import { coefficient, type Options, pair } from "../../options.js";
import { type Pair, showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { LipschitzModule, scaled } from "../lipschitz.js";
import { type Proof, type Proving, settled } from "../proof.js";
import { EXACT, type Rounding } from "../rounding.js";
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

/**
 * Images `[n, c, h, w]` to `[n, c kh kw, h / kh, w / kw]`, times `kCoefLip`: channel c kh kw + y kw + x has the pixels in row y and column x
 * of all blocks of channel c, as PyTorch's PixelUnshuffle. The kernel must divide the image.
 */
export class InvertibleDownSampling extends LipschitzModule implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly #kernelSize: readonly [number, number];

  constructor(options: SamplingOptions) {
    const all = optionsOf(definition, [], options);
    super(all.kCoefLip);
    this.#kernelSize = all.kernelSize;
    this.options = all;
  }

  forward(x: Tensor): Tensor {
    const [height, width] = sizeOfImages(x);
    const [samples = 0, channels = 0] = x.shape;
    const [kh, kw] = this.#kernelSize;
    if (height % kh !== 0 || width % kw !== 0) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `kernelSize ${showShape([kh, kw])} must divide the images; given ${showShape(x.shape)}; pad or slice them`,
        { shapes: [x.shape] },
      );
    }
    const [rows, columns] = [height / kh, width / kw];
    const moved = x.reshape([samples, channels, rows, kh, columns, kw]).permute([0, 1, 3, 5, 2, 4]);
    return scaled(moved.reshape([samples, channels * kh * kw, rows, columns]), this.kCoefLip);
  }

  /** A permutation of the values, times `kCoefLip`. */
  lipschitzBound(): number {
    return this.kCoefLip;
  }

  /** One for a scale. */
  override rounding(): Rounding {
    return this.kCoefLip === 1 ? EXACT : { roundings: 1, offset: 0 };
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }

  vanillaExport(): InvertibleDownSampling {
    return new InvertibleDownSampling({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
