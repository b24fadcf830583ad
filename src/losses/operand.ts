// Arithmetic of options, which are numbers or 0-d tensors: two numbers stay a number.
import { type Operand, scalar, Tensor } from "../tensor/index.js";

/** a b. */
export function times(a: Operand, b: Operand): Operand {
  if (a instanceof Tensor) return a.mul(b);
  return b instanceof Tensor ? b.mul(a) : a * b;
}

/** a / b. */
export function over(a: Operand, b: Operand): Operand {
  if (a instanceof Tensor) return a.div(b);
  return b instanceof Tensor ? b.reciprocal().mul(a) : a / b;
}

/** The weight of the hinge in a convex combination: alpha, taken as alpha / (1 + alpha) above 1. */
export function convexWeight(alpha: Operand): Operand {
  if (alpha instanceof Tensor) return alpha.greater(1).where(alpha.div(alpha.add(1)), alpha);
  return alpha === Number.POSITIVE_INFINITY ? 1 : alpha > 1 ? alpha / (1 + alpha) : alpha;
}

/** 1 - a. */
export function rest(a: Operand): Operand {
  return a instanceof Tensor ? a.neg().add(1) : 1 - a;
}

/** A number as a 0-d tensor. */
export function asScalar(a: Operand): Tensor {
  return a instanceof Tensor ? a : scalar(a);
}
