// Layers without weights: what one computes, and what is known of it, follow from its options alone.
import type { Options, Schema } from "../options.js";
import type { Shape } from "../tensor/shape.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import { Module } from "./module.js";
import { PIECES, type Pieces } from "./pieces.js";
import { type Proof, type Proving, settled } from "./proof.js";
import type { Rounding } from "./rounding.js";

/** A function with its Lipschitz constant and how float32 rounds in it. */
export interface FixedFunction {
  compute(x: Tensor): Tensor;
  readonly lipschitz: number;
  rounding(results: number, sample?: Shape): Rounding;
  pieces?(sample: Shape): Pieces | undefined;
}

/**
 * A layer whose function is known when it is made. What it computes is given to it, so that `forward` stands in one class with what
 * is said of it, and is known to be another where a subclass replaces it.
 */
export abstract class FixedLayer<S extends Schema = Schema> extends Module implements Proving {
  readonly options: Options<S>;
  readonly #function: FixedFunction;

  constructor(options: Options<S>, fixed: FixedFunction) {
    super();
    this.options = options;
    this.#function = fixed;
  }

  forward(x: Tensor): Tensor {
    return this.#function.compute(asTensor("a layer", x));
  }

  override lipschitzBound(): number {
    return this.#function.lipschitz;
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  override rounding(results: number, sample?: Shape): Rounding {
    return this.#function.rounding(results, sample);
  }

  roundingProof(results: number, sample?: Shape): Proof<Rounding> {
    return settled(this.rounding(results, sample));
  }

  [PIECES](sample: Shape): Pieces | undefined {
    return this.#function.pieces?.(sample);
  }

  /** Whether it is 1-Lipschitz, as what `kCoefLip` is shared out for has to be. */
  override get lipschitzByConstruction(): boolean {
    return this.#function.lipschitz <= 1;
  }
}
