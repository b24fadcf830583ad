// Softmax.
import { TslipError } from "../../errors.js";
import { axisOf, type Shape, showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { axis } from "../axes.js";
import { type Definition, optionsOf } from "../definition.js";
import { FixedLayer } from "../fixed.js";
import type { Rounding } from "../rounding.js";

const definition = { type: "Softmax", positional: [], schema: { dim: axis(-1) } } satisfies Definition;

function softmax(x: Tensor, dim: number): Tensor {
  const at = axisOf(dim, x.rank);
  if (at > 0) return x.softmax(at);
  throw new TslipError("SHAPE_MISMATCH", `dim ${dim} of Softmax is the axis of the samples in ${showShape(x.shape)}`, {
    shapes: [x.shape],
  });
}

/**
 * Rows of m values, each off by (m + 6 + 2 ln m) u; the proof is in docs/certificates.md. Where the shape is not known, m is
 * taken to be all of them and rows to be as many: no shape has more of the product of both.
 */
function rounding(dim: number, results: number, sample?: Shape): Rounding {
  const m = sample === undefined ? results : (sample[axisOf(dim, sample.length + 1) - 1] ?? results);
  const rows = sample === undefined ? results : results / Math.max(m, 1);
  return {
    roundings: m + 8 + 2 * Math.ceil(Math.log(Math.max(m, 1))),
    offset: Math.sqrt(rows) * (1 + 2 * Number.EPSILON),
    peak: 2,
  };
}

/** exp(x) over its sum along an axis, 1/2-Lipschitz: its derivative diag(p) - p pᵀ has rows whose sizes add up to 2 p (1 - p). */
export class Softmax extends FixedLayer {
  static readonly definition: Definition = definition;

  /** `dim` is the axis along which the results add up to 1, by default the last; never that of the samples. */
  constructor(options?: { dim?: number }) {
    const all = optionsOf(definition, [], options);
    super(all, {
      compute: (x) => softmax(x, all.dim),
      lipschitz: 1 / 2,
      rounding: (results, sample) => rounding(all.dim, results, sample),
    });
  }
}
