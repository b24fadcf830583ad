// Layers without weights that keep kCoefLip: an exact 1-Lipschitz function, times the constant.
import type { Shape } from "../tensor/shape.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import { LipschitzModule, scaled } from "./lipschitz.js";
import { type Proof, type Proving, settled } from "./proof.js";
import { EXACT, type Rounding } from "./rounding.js";

/** Options of activations that keep a Lipschitz constant. */
export interface ActivationOptions {
  kCoefLip?: number | undefined;
}

/** `kCoefLip` times a function that moves, chooses or drops numbers, or changes their sign, and is 1-Lipschitz. */
export abstract class ScaledLayer extends LipschitzModule implements Proving {
  readonly #compute: (x: Tensor) => Tensor;

  constructor(kCoefLip: number | undefined, compute: (x: Tensor) => Tensor) {
    super(kCoefLip);
    this.#compute = compute;
  }

  forward(x: Tensor): Tensor {
    return scaled(this.#compute(asTensor("a layer", x)), this.kCoefLip);
  }

  lipschitzBound(): number {
    return this.kCoefLip;
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  /** One for a scale. */
  override rounding(_results?: number, _sample?: Shape): Rounding {
    return this.kCoefLip === 1 ? EXACT : { roundings: 1, offset: 0 };
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }
}
