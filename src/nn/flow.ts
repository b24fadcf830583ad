// How values run through a model that consists of parts: one description for whatever the values are.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { concat } from "../tensor/composite.js";
import { sameShape, showShape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import type { Layer } from "./layer.js";
import { naming } from "./naming.js";

/**
 * What becomes of values on their way: tensors in `forward`, bounds in `lipschitzBound`, both with norms and roundings in a
 * certificate.
 */
export interface Flow<V> {
  /** The value behind a module, which stands at `position` in what holds it: a name for messages, of no effect on the rest. */
  through(module: Layer, x: V, position: string): V;
  /** The sum of values of one shape, added up one after another. */
  sum(values: readonly V[]): V;
  /** Values side by side along the channels, axis 1. */
  concat(values: readonly V[]): V;
}

/** A module whose function is that of its parts. */
export interface Composite extends Layer {
  /** How values run from the input to the result. */
  flow<V>(x: V, flow: Flow<V>): V;
}

/** The `forward` of each class of modules whose function is that of their parts. */
const flowing = new WeakSet<Layer["forward"]>();

/** Says that `forward` of a class does what `flow` says of its objects. */
export function followsFlow(forward: Layer["forward"]): void {
  flowing.add(forward);
}

/** What `forward` of a layer gives. Throws `INVALID_ARGUMENT` where a class has none, or where it is no tensor. */
export function forwarded(layer: Layer, x: Tensor): Tensor {
  const { name } = layer.constructor;
  if (typeof layer.forward !== "function") {
    throw new TslipError("INVALID_ARGUMENT", `${name} has no forward(); define it to take a tensor and return one`);
  }
  const result: unknown = layer.forward(x);
  if (result instanceof Tensor) return result;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `forward() of ${name} must return a tensor; it returned ${describe(result)}`,
  );
}

/** Values as they are computed. */
export const TENSORS: Flow<Tensor> = {
  through: (module, x, position) => naming(module, position, () => forwarded(module, x)),
  sum: ([first, ...rest]) => {
    if (first === undefined)
      throw new TslipError("INVALID_ARGUMENT", "flow.sum() takes at least one value; given none");
    return rest.reduce((sum, value) => sumOf(sum, value), first);
  },
  concat: (values) => concat(values, 1),
};

/** Bounds of sums hold for values of one shape: nothing is broadcast. */
function sumOf(a: Tensor, b: Tensor): Tensor {
  if (sameShape(a.shape, b.shape)) return a.add(b);
  throw new TslipError(
    "SHAPE_MISMATCH",
    `branches that are added must have one shape; these have ${showShape(a.shape)} and ${showShape(b.shape)}`,
    { op: "add", shapes: [a.shape, b.shape] },
  );
}

/**
 * Runs a value through a module, down to the layers that have no parts whose function theirs is; positions are paths such as
 * `2.0`.
 */
export function runThrough<V>(module: Layer, x: V, flow: Flow<V>, position = ""): V {
  if (!isComposite(module)) return flow.through(module, x, position);
  const inside: Flow<V> = {
    ...flow,
    through: (part, value, at) => runThrough(part, value, flow, position === "" ? at : `${position}.${at}`),
  };
  return module.flow(x, inside);
}

/** Whether it has the `forward` that follows its flow, and no other. */
function isComposite(module: Layer & Partial<Composite>): module is Composite {
  return flowing.has(module.forward) && typeof module.flow === "function";
}
