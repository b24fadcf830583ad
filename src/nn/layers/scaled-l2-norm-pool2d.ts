// ScaledL2NormPool2d: pooling that keeps a Lipschitz constant.
import { coefficient, type Options } from "../../options.js";
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { boundOfNormalized, LipschitzModule, normalized } from "../lipschitz.js";
import { type Proof, type Proving, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";
import { WINDOWS, type WindowOptions, Windows } from "../windows.js";

/** Options of {@link ScaledL2NormPool2d}. */
export interface L2NormPoolOptions extends WindowOptions {
  kCoefLip?: number | undefined;
}

const definition = {
  type: "ScaledL2NormPool2d",
  positional: [],
  schema: { ...WINDOWS, kCoefLip: coefficient },
} satisfies Definition;

/**
 * The L2 norm of each window of each channel, NCHW, with zeros around the image. 1-Lipschitz where windows do not overlap; where they
 * do, divided by the root of the most windows that share a pixel. A window that is cut off by the border of the image is the norm of
 * what is left of it. The gradient is 0 at an all-zero window.
 */
export class ScaledL2NormPool2d extends LipschitzModule implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly #windows: Windows;

  constructor(options: L2NormPoolOptions) {
    const all = optionsOf(definition, [], options);
    super(all.kCoefLip);
    this.#windows = new Windows(all);
    this.options = Object.freeze({ ...all, stride: this.#windows.stride });
  }

  get kernelSize(): readonly [number, number] {
    return this.#windows.kernel;
  }

  get stride(): readonly [number, number] {
    return this.#windows.stride;
  }

  /** Most windows that share one pixel. */
  get overlap(): number {
    return this.#windows.overlap;
  }

  forward(x: Tensor): Tensor {
    // The very numbers that the bound counts, whatever a subclass answers.
    const { kernel, stride, overlap } = this.#windows;
    const norms = Tensor.make("l2_norm_pool2d", { kernel, stride }, [this.#windows.padded(x)]);
    return normalized(norms, this.kCoefLip, overlap);
  }

  /** sqrt(overlap) of the norms, times their scale: `kCoefLip`. */
  lipschitzBound(): number {
    return boundOfNormalized(this.kCoefLip, this.#windows.overlap);
  }

  /**
   * A square and an addition for each pixel of a window, the root and the scale; a few for squares that are flushed. A norm
   * is as large as the input may be before it is scaled.
   */
  override rounding(): Rounding {
    return { roundings: 2 * this.#windows.size + 4, offset: 0, peak: 1 };
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }

  vanillaExport(): ScaledL2NormPool2d {
    return new ScaledL2NormPool2d({ ...this.options, kCoefLip: this.kCoefLip });
  }
}
