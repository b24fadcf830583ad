// ScaledAdaptiveL2NormPool2d: norms of as many windows as are asked for, scaled to keep a Lipschitz constant.
import { coefficient, type Options } from "../../options.js";
import { Tensor } from "../../tensor/tensor.js";
import { type AdaptiveOptions, AdaptiveWindows, OUTPUT_SIZE, overlapOf } from "../adaptive.js";
import { type Definition, optionsOf } from "../definition.js";
import { boundOfNormalized, LipschitzModule, normalized } from "../lipschitz.js";
import { type Proof, type Proving, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";

const definition = {
  type: "ScaledAdaptiveL2NormPool2d",
  positional: [],
  schema: { ...OUTPUT_SIZE, kCoefLip: coefficient },
} satisfies Definition;

/**
 * The L2 norm of each window of PyTorch's adaptive pooling, NCHW, over the root of the most windows that share a pixel, which is 1 where the
 * output divides the image. The gradient is 0 at an all-zero window.
 */
export class ScaledAdaptiveL2NormPool2d extends LipschitzModule implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly #windows: AdaptiveWindows;

  constructor(options: AdaptiveOptions) {
    const all = optionsOf(definition, [], options);
    super(all.kCoefLip);
    this.#windows = new AdaptiveWindows(all.outputSize);
    this.options = all;
  }

  /** The norm of a window is that of the norms of its rows. */
  forward(x: Tensor): Tensor {
    const norms = this.#windows.pooled(x, (part, kernel, stride) =>
      Tensor.make("l2_norm_pool2d", { kernel, stride }, [part]),
    );
    const [rows, columns] = this.#windows.over(x);
    return normalized(norms, this.kCoefLip, overlapOf(rows) * overlapOf(columns));
  }

  /** sqrt(overlap) of the norms, times their scale: `kCoefLip`, whatever the size of the images. */
  lipschitzBound(): number {
    return boundOfNormalized(this.kCoefLip);
  }

  /** As {@link ScaledL2NormPool2d}, for the norms along one axis and for those along the other. */
  override rounding(): Rounding {
    const [rows, columns] = this.#windows.longest;
    return { roundings: 2 * (rows + columns) + 8, offset: 0, peak: 1 };
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }

  vanillaExport(): ScaledAdaptiveL2NormPool2d {
    return new ScaledAdaptiveL2NormPool2d({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
