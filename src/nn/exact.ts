// Layers without weights that are exact: they move, choose or drop numbers of their input, or set them to 0.
import type { Schema } from "../options.js";
import type { Tensor } from "../tensor/tensor.js";
import { type Definition, optionsOf } from "./definition.js";
import { FixedLayer } from "./fixed.js";
import { EXACT } from "./rounding.js";

/** What a layer without options takes. */
export type NoOptions = Readonly<Record<string, never>>;

/** A layer that rounds nothing and is 1-Lipschitz. */
export abstract class ExactLayer extends FixedLayer {
  constructor(
    definition: Definition & { readonly schema: Schema },
    compute: (x: Tensor) => Tensor,
    options?: Readonly<Record<string, unknown>>,
    positioned: readonly unknown[] = [],
  ) {
    super(optionsOf(definition, positioned, options), { compute, lipschitz: 1, rounding: () => EXACT });
  }
}
