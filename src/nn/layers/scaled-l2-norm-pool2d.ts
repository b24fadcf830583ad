// ScaledL2NormPool2d: pooling that keeps a Lipschitz constant.
import { networkLipschitzUpperBound } from "../../native.js";
import { coefficient, type Options, optional, pair } from "../../options.js";
import type { Pair } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { LipschitzModule, scaled } from "../lipschitz.js";
import { type Proof, type Proving, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";

/** Options of {@link ScaledL2NormPool2d}. */
export interface L2NormPoolOptions {
  kernelSize: Pair;
  /** Pixels between windows; by default the kernel size. */
  stride?: Pair | undefined;
  kCoefLip?: number | undefined;
}

const definition = {
  type: "ScaledL2NormPool2d",
  positional: [],
  schema: { kernelSize: pair(1), stride: optional(pair(1)), kCoefLip: coefficient },
} satisfies Definition;

/**
 * The L2 norm of each window of each channel, NCHW. 1-Lipschitz where windows do not overlap; where they do, divided
 * by the root of the most windows that share a pixel. The gradient is 0 at an all-zero window.
 */
export class ScaledL2NormPool2d extends LipschitzModule implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly #kernelSize: readonly [number, number];
  readonly #stride: readonly [number, number];
  readonly #overlap: number;

  constructor(options: L2NormPoolOptions) {
    const all = optionsOf(definition, [], options);
    super(all.kCoefLip);
    this.#kernelSize = all.kernelSize;
    this.#stride = all.stride ?? all.kernelSize;
    this.options = Object.freeze({ ...all, stride: this.stride });
    const [kh, kw] = this.#kernelSize;
    const [sh, sw] = this.#stride;
    this.#overlap = Math.ceil(kh / sh) * Math.ceil(kw / sw);
  }

  get kernelSize(): readonly [number, number] {
    return this.#kernelSize;
  }

  get stride(): readonly [number, number] {
    return this.#stride;
  }

  /** Most windows that share one pixel. */
  get overlap(): number {
    return this.#overlap;
  }

  forward(x: Tensor): Tensor {
    // The very numbers that the bound counts, whatever a subclass answers.
    const [kernel, stride] = [this.#kernelSize, this.#stride];
    const norms = Tensor.make("l2_norm_pool2d", { kernel, stride }, [x]);
    return scaled(norms, this.kCoefLip / Math.sqrt(this.#overlap));
  }

  /** sqrt(overlap) of the norms, times their scale: `kCoefLip`. */
  lipschitzBound(): number {
    if (this.#overlap === 1) return this.kCoefLip;
    const scales = [this.kCoefLip, 1 + Number.EPSILON];
    return networkLipschitzUpperBound(scales.map((lipschitz, from) => ({ kind: "layer", from, layer: { lipschitz } })));
  }

  /**
   * A square and an addition for each pixel of a window, the root and the scale; a few for squares that are flushed. A norm
   * is as large as the input may be before it is scaled.
   */
  override rounding(): Rounding {
    const [kh, kw] = this.#kernelSize;
    return { roundings: 2 * kh * kw + 4, offset: 0, peak: 1 };
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }

  vanillaExport(): ScaledL2NormPool2d {
    const { kernelSize, stride, kCoefLip } = this;
    return new ScaledL2NormPool2d({ kernelSize, stride, kCoefLip });
  }
}
