// Tanh.
import type { NoOptions } from "../../options.js";
import type { Definition } from "../definition.js";
import { optionsOf } from "../definition.js";
import { FixedLayer } from "../fixed.js";

const definition = { type: "Tanh", positional: [], schema: {} } satisfies Definition;

/** The hyperbolic tangent, 1-Lipschitz. */
export class Tanh extends FixedLayer {
  static readonly definition: Definition = definition;

  /** It has no options. */
  constructor(options?: NoOptions) {
    super(optionsOf(definition, [], options), {
      compute: (x) => x.tanh(),
      lipschitz: 1,
      // 3 units of a result that is at most |x|.
      rounding: () => ({ roundings: 6, offset: 0 }),
    });
  }
}
