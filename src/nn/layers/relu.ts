// ReLU.

import type { NoOptions } from "../../options.js";
import { sizeOf } from "../../tensor/shape.js";
import type { Definition } from "../definition.js";
import { ExactLayer } from "../exact.js";
import { fixed } from "../pieces.js";

const definition = { type: "ReLU", positional: [], schema: {} } satisfies Definition;

/** max(x, 0), 1-Lipschitz. */
export class ReLU extends ExactLayer {
  static readonly definition: Definition = definition;

  /** It has no options. */
  constructor(options?: NoOptions) {
    super(
      definition,
      { compute: (x) => x.relu(), pieces: (sample) => fixed({ kind: "relu", inputs: sizeOf(sample) }) },
      options,
    );
  }
}
