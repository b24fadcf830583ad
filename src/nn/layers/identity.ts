// Identity.
import type { NoOptions } from "../../options.js";
import type { Definition } from "../definition.js";
import { ExactLayer } from "../exact.js";
import { SAME } from "../pieces.js";

const definition = { type: "Identity", positional: [], schema: {} } satisfies Definition;

/** Returns its input. */
export class Identity extends ExactLayer {
  static readonly definition: Definition = definition;

  /** It has no options. */
  constructor(options?: NoOptions) {
    super(definition, { compute: (x) => x, keepsNorm: true, pieces: () => SAME }, options);
  }
}
