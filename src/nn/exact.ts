// Layers without weights that are exact: they move, choose or drop numbers of their input, or set them to 0.
import type { Schema } from "../options.js";
import type { Shape } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { type Definition, optionsOf } from "./definition.js";
import { FixedLayer } from "./fixed.js";
import { statesNorm } from "./keeps-norm.js";
import type { Pieces } from "./pieces.js";
import { EXACT } from "./rounding.js";

/** A function that rounds nothing and is 1-Lipschitz. */
export interface ExactFunction {
  compute(x: Tensor): Tensor;
  /** Whether each number comes out once, with its sign or as its size, and nothing else but zeros. By default not. */
  readonly keepsNorm?: boolean;
  /** What it computes of a sample, for local certificates; of a function that is scaled with the scale. */
  pieces?(sample: Shape, scale: number): Pieces | undefined;
}

/** A layer that rounds nothing and is 1-Lipschitz. */
export abstract class ExactLayer extends FixedLayer {
  constructor(
    definition: Definition & { readonly schema: Schema },
    { compute, keepsNorm = false, pieces }: ExactFunction,
    options?: Readonly<Record<string, unknown>>,
    positioned: readonly unknown[] = [],
  ) {
    super(optionsOf(definition, positioned, options), {
      compute,
      lipschitz: 1,
      rounding: () => EXACT,
      pieces: (sample) => pieces?.(sample, 1),
    });
    if (keepsNorm) statesNorm(this, FixedLayer.prototype.forward);
  }
}
