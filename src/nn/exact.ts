// Layers without weights that are exact: they move, choose or drop numbers of their input, or set them to 0.
import type { Options, Schema } from "../options.js";
import { asTensor, type Tensor } from "../tensor/tensor.js";
import { type Definition, optionsOf } from "./definition.js";
import { Module } from "./module.js";
import { type Proof, type Proving, settled } from "./proof.js";
import { EXACT, type Rounding } from "./rounding.js";

/** What a layer without options takes. */
export type NoOptions = Readonly<Record<string, never>>;

/**
 * A layer that rounds nothing and is 1-Lipschitz. What it computes is given to it, so that `forward` stands in one class with what
 * is said of it, and is known to be another where a subclass replaces it.
 */
export abstract class ExactLayer extends Module implements Proving {
  readonly options: Options<Schema>;
  readonly #compute: (x: Tensor) => Tensor;

  constructor(
    definition: Definition & { readonly schema: Schema },
    compute: (x: Tensor) => Tensor,
    options?: Readonly<Record<string, unknown>>,
    positioned: readonly unknown[] = [],
  ) {
    super();
    this.options = optionsOf(definition, positioned, options);
    this.#compute = compute;
  }

  forward(x: Tensor): Tensor {
    return this.#compute(asTensor("a layer", x));
  }

  override lipschitzBound(): number {
    return 1;
  }

  lipschitzProof(): Proof<number> {
    return settled(1);
  }

  override rounding(): Rounding {
    return EXACT;
  }

  roundingProof(): Proof<Rounding> {
    return settled(EXACT);
  }

  override get lipschitzByConstruction(): boolean {
    return true;
  }
}
