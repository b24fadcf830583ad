// An affine map: what is known of y = W x + b from its geometry, whatever the weight holds.
import type { Attributes, Work } from "../../native.js";
import type { Shape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { Rounding } from "../rounding.js";

/** A map with a weight and perhaps a bias. As a matrix the weight has its first axis as rows, all others as columns. */
export interface AffineMap {
  readonly weightShape: Shape;
  /** Numbers of the bias: features or channels that come out. */
  readonly outputs: number;
  /** Terms of the sum that a result is, by which PyTorch scales initial weights. */
  readonly fanIn: number;
  /** Shape of a sample, as far as the map fixes it. */
  readonly inputShape: readonly (number | undefined)[];
  /** The scalar that makes the map 1-Lipschitz once its weight as a matrix has norm 1. */
  readonly factor: number;
  /**
   * The norm of the map for a weight, 0-d and differentiable, as a rule not low: what the weight is divided by in the place
   * of the factor, where that is asked for. The weight as a matrix has norm 1 at most.
   */
  norm?(weight: Tensor): Tensor | undefined;
  /** The map itself. Throws `SHAPE_MISMATCH` where x does not fit. */
  apply(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor;
  /**
   * A proved bound of the Lipschitz constant for the float32 values of a weight, on samples of one shape, or else of every shape; see
   * crates/certify.
   */
  bound(weight: Uint8Array, sample?: Shape): Work<number>;
  /**
   * A proved bound of the norm of every map by a part of the terms of its sums, which rounding rests on; nothing where {@link bound} is
   * one. That of a convolution's operator is none: terms may cancel.
   */
  readonly gain: ((weight: Uint8Array) => Work<number>) | undefined;
  /**
   * Bounds of the distances of the weight's rows, and of the origin after them, from one another, `[out + 1, out + 1]`, where the map is that matrix and
   * they are not too many.
   */
  readonly distances?: ((weight: Uint8Array) => Work<Float64Array>) | undefined;
  /** What it computes of a sample, of which the weight is number 0 and the bias, if there is one, number 1; see crates/certify. */
  piece?(sample: Shape, bias: boolean): Attributes | undefined;
  /** How sums of float32 round and how often a result reads one number; the bias is the layer's. */
  readonly rounding: Required<Pick<Rounding, "roundings" | "copies">>;
}
