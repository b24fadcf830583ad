// Layers without weights that keep kCoefLip: what one computes, and what is known of it, follow from its options and the constant.
import type { Shape } from "../tensor/shape.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import type { ExactFunction } from "./exact.js";
import { statesNorm } from "./keeps-norm.js";
import { LipschitzModule, scaled, scaleOf } from "./lipschitz.js";
import { PIECES, type Pieces } from "./pieces.js";
import { type Proof, type Proving, settled } from "./proof.js";
import { EXACT, type Rounding } from "./rounding.js";

/** Options of activations that keep a Lipschitz constant. */
export interface ActivationOptions {
  kCoefLip?: number | undefined;
}

/** A function for each constant that is to be kept, with its Lipschitz bound and how float32 rounds in it. */
export interface KeepingFunction {
  compute(x: Tensor, kCoefLip: number): Tensor;
  lipschitz(kCoefLip: number): number;
  rounding(kCoefLip: number, sample?: Shape): Rounding;
  pieces?(kCoefLip: number, sample: Shape): Pieces | undefined;
}

/** A layer that keeps `kCoefLip`, by what it is given to compute: see `FixedLayer`. */
export abstract class KeepingLayer extends LipschitzModule implements Proving {
  readonly #function: KeepingFunction;

  constructor(kCoefLip: number | undefined, keeping: KeepingFunction) {
    super(kCoefLip);
    this.#function = keeping;
  }

  forward(x: Tensor): Tensor {
    return this.#function.compute(asTensor("a layer", x), this.kCoefLip);
  }

  lipschitzBound(): number {
    return this.#function.lipschitz(this.kCoefLip);
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  override rounding(_results?: number, sample?: Shape): Rounding {
    return this.#function.rounding(this.kCoefLip, sample);
  }

  roundingProof(results: number, sample?: Shape): Proof<Rounding> {
    return settled(this.rounding(results, sample));
  }

  [PIECES](sample: Shape): Pieces | undefined {
    return this.#function.pieces?.(this.kCoefLip, sample);
  }
}

/** `kCoefLip` times a function that moves, chooses or drops numbers, or changes their sign, and is 1-Lipschitz. */
export abstract class ScaledLayer extends KeepingLayer {
  constructor(kCoefLip: number | undefined, { compute, keepsNorm = false, pieces }: ExactFunction) {
    super(kCoefLip, {
      compute: (x, k) => scaled(compute(x), k),
      lipschitz: (k) => k,
      // One for a scale.
      rounding: (k) => (k === 1 ? EXACT : { roundings: 1, offset: 0 }),
      pieces: (k, sample) => pieces?.(sample, scaleOf(k)),
    });
    if (keepsNorm) statesNorm(this, KeepingLayer.prototype.forward, () => this.kCoefLip === 1);
  }
}
