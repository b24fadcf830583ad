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

/**
 * alpha hinge - distance (additive), or alpha hinge - (1 - alpha) distance with alpha > 1 taken as alpha / (1 + alpha) (convex); the
 * hinge alone where alpha is infinite. What has the weight 0 may be infinite.
 */
export function hingeAgainst(distance: Tensor, hinge: Tensor, alpha: Operand, form: "additive" | "convex"): Tensor {
  const [ofHinge, ofDistance] = form === "additive" ? additiveWeights(alpha) : convexWeights(alpha);
  if (ofHinge === 0) return part(distance, ofDistance).neg();
  if (ofDistance === 0) return part(hinge, ofHinge);
  return part(hinge, ofHinge).sub(part(distance, ofDistance));
}

function additiveWeights(alpha: Operand): [ofHinge: Operand, ofDistance: Operand] {
  if (!(alpha instanceof Tensor)) return alpha === Number.POSITIVE_INFINITY ? [1, 0] : [alpha, 1];
  const infinite = alpha.equal(Number.POSITIVE_INFINITY);
  return [infinite.where(1, alpha), infinite.not().cast("f32")];
}

function convexWeights(alpha: Operand): [ofHinge: Operand, ofDistance: Operand] {
  if (alpha instanceof Tensor) {
    // Infinity over Infinity would be NaN; and no derivative of what is not taken may be infinite.
    const shared = alpha.maximum(1).reciprocal().add(1).reciprocal();
    const weight = alpha.greater(1).where(shared, alpha);
    return [weight, weight.neg().add(1)];
  }
  const weight = alpha === Number.POSITIVE_INFINITY ? 1 : alpha > 1 ? alpha / (1 + alpha) : alpha;
  return [weight, 1 - weight];
}

/** A value times its weight. */
function part(value: Tensor, weight: Operand): Tensor {
  if (!(weight instanceof Tensor)) return weight === 1 ? value : value.mul(weight);
  return weight.equal(0).and(value.isFinite().not()).where(0, value).mul(weight);
}

/** A number as a 0-d tensor. */
export function asScalar(a: Operand): Tensor {
  return a instanceof Tensor ? a : scalar(a);
}
