// Unflatten.

import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import type { NoOptions, Option } from "../../options.js";
import { axisOf, completeShape, type Shape, showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { axis } from "../axes.js";
import { type Definition, optionsOf } from "../definition.js";
import { ExactLayer } from "../exact.js";
import { SAME } from "../pieces.js";

/** Extents of at least 1, of which one may be -1. */
const extents: Option<Shape> = {
  read(name, given) {
    const fits = (n: unknown): boolean => Number.isSafeInteger(n) && (Number(n) >= 1 || n === -1);
    if (Array.isArray(given) && given.length > 0 && given.every(fits) && given.filter((n) => n === -1).length <= 1) {
      return Object.freeze([...(given as Shape)]);
    }
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be a list of extents of at least 1, of which one may be -1, as [16, 7, 7]; given ${describe(given)}`,
    );
  },
};

const definition = {
  type: "Unflatten",
  positional: ["dim", "unflattenedSize"],
  schema: { dim: axis(), unflattenedSize: extents },
} satisfies Definition;

function unflattened(x: Tensor, dim: number, sizes: Shape): Tensor {
  const at = axisOf(dim, x.rank);
  const extent = x.shape[at] ?? 0;
  const refused = (problem: string): TslipError =>
    new TslipError("SHAPE_MISMATCH", `${problem}; given ${showShape(x.shape)}`, { op: "reshape", shapes: [x.shape] });
  if (at === 0) throw refused(`axis ${dim} of this layer's input is that of the samples; give one after it`);
  const known = sizes.reduce((n, size) => (size === -1 ? n : n * size), 1);
  if (sizes.includes(-1) ? extent % known !== 0 : extent !== known) {
    throw refused(`this layer makes ${showShape(sizes)} of axis ${dim}, which needs ${known} numbers there`);
  }
  return x.reshape(x.shape.toSpliced(at, 1, ...completeShape(sizes, extent)));
}

/** Makes several axes of the axis `dim`, in the order in which {@link Flatten} joins them; PyTorch's names. */
export class Unflatten extends ExactLayer {
  static readonly definition: Definition = definition;

  /** @param unflattenedSize - The extents, of which one may be -1 for what is left. */
  constructor(dim: number, unflattenedSize: Shape, options?: NoOptions) {
    const given = [dim, unflattenedSize];
    const read = optionsOf(definition, given, options);
    const compute = (x: Tensor): Tensor => unflattened(x, read.dim, read.unflattenedSize);
    super(definition, { compute, keepsNorm: true, pieces: () => SAME }, options, given);
  }
}
