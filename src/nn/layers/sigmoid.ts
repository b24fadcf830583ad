// Sigmoid.
import type { NoOptions } from "../../options.js";
import type { Definition } from "../definition.js";
import { optionsOf } from "../definition.js";
import { FixedLayer } from "../fixed.js";

const definition = { type: "Sigmoid", positional: [], schema: {} } satisfies Definition;

/** 1 / (1 + exp(-x)), 1/4-Lipschitz. */
export class Sigmoid extends FixedLayer {
  static readonly definition: Definition = definition;

  /** It has no options. */
  constructor(options?: NoOptions) {
    super(optionsOf(definition, [], options), {
      compute: (x) => x.sigmoid(),
      lipschitz: 1 / 4,
      // 3 units of a result that is at most |x| / 4 + 1/2.
      rounding: (results) => ({ roundings: 6, offset: (Math.sqrt(results) / 2) * (1 + 2 * Number.EPSILON) }),
    });
  }
}
