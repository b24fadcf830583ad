// Transposed convolutions: the adjoint of a convolution, plus a bias.
import { type ErrorDetails, TslipError } from "../../errors.js";
import type { Attributes, Work } from "../../native.js";
import { type Options, optional, pair, whole } from "../../options.js";
import { type Shape, showShape, sizeOf } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import {
  CHANNELS,
  checkGroups,
  checkImages,
  checkSize,
  type NORM,
  plusChannels,
  Scaling,
  sized,
} from "./convolution.js";
import type { AffineMap } from "./map.js";
import { convolutionBound, convolutionGain } from "./proving.js";

export const TRANSPOSED_CONVOLUTION = {
  ...CHANNELS,
  kernelSize: pair(1),
  stride: pair(1, 1),
  padding: pair(0, 0),
  outputPadding: pair(0, 0),
  dilation: pair(1, 1),
  groups: whole(1, 1),
  inputSize: optional(pair(1)),
};

/**
 * The adjoint of a convolution from `out` to `in` channels; weight `[in, out / groups, kh, kw]`. The result has
 * (h - 1) stride - 2 padding + dilation (kernel - 1) + outputPadding + 1 rows, and columns alike.
 */
export class TransposedConvolution implements AffineMap {
  readonly weightShape: readonly [number, number, number, number];
  readonly outputs: number;
  readonly inputShape: readonly [number, number | undefined, number | undefined];
  readonly #options: Options<typeof TRANSPOSED_CONVOLUTION>;
  readonly #scaling: Scaling;

  constructor(options: Options<typeof TRANSPOSED_CONVOLUTION> & Partial<Options<typeof NORM>>) {
    const { inChannels, outChannels, kernelSize, stride, outputPadding, groups, inputSize, norm = "default" } = options;
    checkGroups(groups, inChannels, outChannels);
    if (outputPadding.some((n, axis) => n >= (stride[axis] ?? 1))) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `outputPadding ${showShape(outputPadding)} must be below the stride ${showShape(stride)}`,
      );
    }
    this.weightShape = Object.freeze([inChannels, outChannels / groups, ...kernelSize] as const);
    this.outputs = outChannels;
    this.inputShape = Object.freeze([inChannels, ...(inputSize ?? ([undefined, undefined] as const))] as const);
    this.#options = options;
    if (inputSize !== undefined && isEmpty(this.#outputSize(inputSize))) {
      throw nothingLeft(inputSize, options.padding);
    }
    this.#scaling = new Scaling(this.#geometry, norm);
    Object.freeze(this);
  }

  get fanIn(): number {
    // As PyTorch, which takes the second axis of the weight for the inputs.
    return sizeOf(this.weightShape.slice(1));
  }

  get factor(): number {
    return this.#scaling.factor;
  }

  norm(weight: Tensor): Tensor | undefined {
    return this.#scaling.norm(weight);
  }

  apply(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    checkImages(x, this.weightShape[0], weight.shape);
    checkSize(this.#options.inputSize, x, weight.shape);
    const inputSize = this.#outputSize(x.shape.slice(2));
    if (isEmpty(inputSize)) {
      throw nothingLeft(x.shape, this.#options.padding, { op: "conv2d_input_grad", shapes: [x.shape, weight.shape] });
    }
    const { kernelSize: _, ...geometry } = this.#geometry;
    const attributes = { ...geometry, inputSize };
    return plusChannels(Tensor.make("conv2d_input_grad", attributes, [x, weight]), bias);
  }

  /** That of the convolution whose adjoint it is, on images of the size of its result. */
  bound(weight: Uint8Array, sample?: Shape): Work<number> {
    const size = sample && this.#outputSize(sample.slice(1));
    return convolutionBound(weight, this.weightShape, sized(this.#geometry, size));
  }

  gain(weight: Uint8Array): Work<number> {
    return convolutionGain(weight, this.weightShape, this.#geometry);
  }

  /**
   * Results of different phases of a stride have different taps, and need not be summed in one order. Each by itself is off by
   * gamma_(n + 1) |W| |x|, n terms and the bias; the norm of |W| is at most sqrt(rank) times that of W, place by place. So
   * N is ceil(sqrt(rank)) (n + 1), for k gamma_n <= gamma_(k n).
   */
  get rounding() {
    const [inChannels, outPerGroup, ...kernel] = this.weightShape;
    const [rows, taps] = [inChannels / this.#options.groups, sizeOf(kernel)];
    const rank = Math.min(rows, outPerGroup * taps);
    return { roundings: Math.ceil(Math.sqrt(rank)) * (rows * taps + 1), copies: 1 };
  }

  #outputSize(image: Shape): number[] {
    const { kernelSize, stride, padding, outputPadding, dilation } = this.#options;
    return image.map(
      (extent, axis) =>
        (extent - 1) * (stride[axis] ?? 1) -
        2 * (padding[axis] ?? 0) +
        (dilation[axis] ?? 1) * ((kernelSize[axis] ?? 1) - 1) +
        (outputPadding[axis] ?? 0) +
        1,
    );
  }

  /** That of the convolution whose adjoint it is, which takes the images that come out. */
  get #geometry(): Attributes {
    const { kernelSize, stride, padding, dilation, groups, inputSize } = this.#options;
    const known = { kernelSize, stride, padding: [...padding, ...padding], dilation, groups };
    return sized(known, inputSize && this.#outputSize(inputSize));
  }
}

/** Whether a size is one of no pixel, or of none that there could be. */
function isEmpty(size: Shape): boolean {
  return size.some((extent) => extent < 1);
}

function nothingLeft(images: Shape, padding: Shape, details?: ErrorDetails): TslipError {
  return new TslipError(
    "SHAPE_MISMATCH",
    `nothing is left of images ${showShape(images)} within the padding ${showShape(padding)}; make it smaller`,
    details,
  );
}
