// Convolutions with kernels that keep their constant on unbounded images: what padding and borders make of it.
import { TslipError } from "../../errors.js";
import { convolutionFactor, type Work } from "../../native.js";
import { type Shape, showShape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { Convolution, sized } from "./convolution.js";
import { convolutionBound } from "./proving.js";
import { TransposedConvolution } from "./transposed.js";

/**
 * A convolution by a kernel of norm 1 on unbounded images, which has all of its results or some of them: its factor is 1 for zeros
 * and for images that are repeated, and makes up for pixels that other padding copies. Where a repeated image has no known size, its
 * sides must be multiples of the stride, or windows would meet at other distances where it is repeated.
 */
export class UnboundedConvolution extends Convolution {
  override get factor(): number {
    return this.#axisFactor(0) * this.#axisFactor(1);
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

  override bound(weight: Uint8Array, sample?: Shape): Work<number> {
    const geometry = this.#wholeStrides ? { ...this.geometry, wholeStrides: true } : this.geometry;
    return convolutionBound(weight, this.weightShape, sized(geometry, sample?.slice(1)));
  }

  get #wholeStrides(): boolean {
    return this.paddingMode === "circular" && this.inputSize === undefined && this.stride.some((n) => n > 1);
  }

  /** One over the root of the most places that show one pixel; 1 where windows are some of those of the image repeated without end. */
  #axisFactor(axis: 0 | 1): number {
    const { paddingMode, padding, kernelSize, dilation, stride, inputSize } = this;
    const [before, after] = [padding[axis], padding[axis + 2] ?? 0];
    const within = before + after <= dilation[axis] * (kernelSize[axis] - 1);
    const whole = inputSize === undefined || inputSize[axis] % stride[axis] === 0;
    if (paddingMode === "circular" && within && whole) return 1;
    const pixels = { kernelSize: [1], padding: [before, after], paddingMode, norm: "overlap" };
    return convolutionFactor(sized(pixels, inputSize && [inputSize[axis]]));
  }
}

/** The adjoint of a convolution by a kernel of norm 1 on unbounded images. */
export class UnboundedTransposedConvolution extends TransposedConvolution {
  override get factor(): number {
    return 1;
  }
}
