// ReLU.
import type { Definition } from "../definition.js";
import { ExactLayer, type NoOptions } from "../exact.js";

const definition = { type: "ReLU", positional: [], schema: {} } satisfies Definition;

/** max(x, 0), 1-Lipschitz. */
export class ReLU extends ExactLayer {
  static readonly definition: Definition = definition;

  /** It has no options. */
  constructor(options?: NoOptions) {
    super(definition, { compute: (x) => x.relu() }, options);
  }
}
