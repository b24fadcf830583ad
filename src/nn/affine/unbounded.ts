// Convolutions with kernels that keep their constant on unbounded images: what padding and borders make of it.
import { TslipError } from "../../errors.js";
import { type Attributes, paddingFactor } from "../../native.js";
import { showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { Convolution } from "./convolution.js";
import { TransposedConvolution } from "./transposed.js";

/**
 * A convolution by a kernel of norm 1 on unbounded images, which has all of its results or some of them: its factor is 1 for zeros
 * and for images that are repeated, and makes up for pixels that other padding copies. Where a repeated image has no known size, its
 * sides must be multiples of the stride, or windows would meet at other distances where it is repeated.
 */
export class UnboundedConvolution extends Convolution {
  override get factor(): number {
    return 1 / paddingFactor(this.geometry);
  }

  /** The factor of kernels of which no more is known than their norm as a matrix. */
  get windowFactor(): number {
    return super.factor;
  }

  override apply(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    const [, , ...sides] = x.shape;
    if (this.#wholeStrides && sides.some((side, axis) => side % (this.stride[axis] ?? 1) !== 0)) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `images that are repeated must have sides that are multiples of the stride ${showShape(this.stride)}; given ` +
          `${showShape(x.shape)}; pad or crop them, or give inputSize`,
        { op: "conv2d", shapes: [x.shape, weight.shape] },
      );
    }
    return super.apply(x, weight, bias);
  }

  protected override get geometry(): Attributes {
    return this.#wholeStrides ? { ...super.geometry, wholeStrides: true } : super.geometry;
  }

  get #wholeStrides(): boolean {
    return this.paddingMode === "circular" && this.inputSize === undefined && this.stride.some((n) => n > 1);
  }
}

/** The adjoint of a convolution by a kernel of norm 1 on unbounded images. */
export class UnboundedTransposedConvolution extends TransposedConvolution {
  override get factor(): number {
    return 1;
  }
}
