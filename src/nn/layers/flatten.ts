// Flatten.

import { TslipError } from "../../errors.js";
import type { NoOptions } from "../../options.js";
import { showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { Definition } from "../definition.js";
import { ExactLayer } from "../exact.js";
import { SAME } from "../pieces.js";

const definition = { type: "Flatten", positional: [], schema: {} } satisfies Definition;

function rowsOf(x: Tensor): Tensor {
  if (x.rank > 1) return x.flatten(1);
  throw new TslipError(
    "SHAPE_MISMATCH",
    `this layer takes samples [n, ...]; given ${showShape(x.shape)}; one sample is a batch of one: unsqueeze(0)`,
    { op: "reshape", shapes: [x.shape] },
  );
}

/** Joins all axes but the first: one row per sample. */
export class Flatten extends ExactLayer {
  static readonly definition: Definition = definition;

  /** It has no options. */
  constructor(options?: NoOptions) {
    super(definition, { compute: rowsOf, keepsNorm: true, pieces: () => SAME }, options);
  }
}
