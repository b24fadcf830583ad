// Flatten.
import type { Definition } from "../definition.js";
import { ExactLayer, type NoOptions } from "../exact.js";

const definition = { type: "Flatten", positional: [], schema: {} } satisfies Definition;

/** Joins all axes but the first: one row per sample. */
export class Flatten extends ExactLayer {
  static readonly definition: Definition = definition;

  /** It has no options. */
  constructor(options?: NoOptions) {
    super(definition, (x) => x.flatten(1), options);
  }
}
