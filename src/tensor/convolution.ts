// Options of convolutions as PyTorch writes them, and the attributes the engine takes.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Attributes } from "../native.js";
import { knownOptions, type Names } from "../options.js";
import { type Pair, pairOf, wholeNumber } from "./shape.js";
import type { Tensor } from "./tensor.js";

/** Zeros around the image: a number, [height, width], `"valid"` (none) or `"same"` (output as large as the input). */
export type Padding = Pair | "same" | "valid";

/** Geometry of a 2-D convolution. */
export interface ConvolutionOptions {
  stride?: Pair;
  padding?: Padding;
  dilation?: Pair;
  groups?: number;
}

const OPTIONS: Names<ConvolutionOptions> = { stride: true, padding: true, dilation: true, groups: true };

/** Geometry of a 2-D convolution with everything filled in; `padding` is [top, left, bottom, right]. */
export interface Geometry {
  stride: [number, number];
  padding: [number, number, number, number];
  dilation: [number, number];
  groups: number;
}

/** Checks the options and resolves `"same"`, whose odd pixel goes right and below as in PyTorch. */
export function geometryOf(options: ConvolutionOptions, kernel: readonly [number, number]): Geometry {
  const stride = pairOf("stride", options.stride ?? 1, 1);
  const dilation = pairOf("dilation", options.dilation ?? 1, 1);
  const groups = wholeNumber("groups", options.groups ?? 1, 1);
  const { padding = 0 } = options;
  if (padding === "same") {
    if (stride[0] !== 1 || stride[1] !== 1) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `padding "same" needs stride 1; given stride ${describe(options.stride)}`,
      );
    }
    const total = [dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1)] as const;
    const [top, left] = [Math.floor(total[0] / 2), Math.floor(total[1] / 2)];
    return { stride, dilation, groups, padding: [top, left, total[0] - top, total[1] - left] };
  }
  if (typeof padding === "string" && padding !== "valid") {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `padding must be a number, a pair, "same" or "valid"; given ${describe(padding)}`,
    );
  }
  const [vertical, horizontal] = pairOf("padding", padding === "valid" ? 0 : padding, 0);
  return { stride, dilation, groups, padding: [vertical, horizontal, vertical, horizontal] };
}

/** Attributes of the op conv2d for kernels of the shape of `weight`. */
export function convolutionAttributes(options: ConvolutionOptions, weight: Tensor): Attributes {
  const { stride, padding, dilation, groups } = geometryOf(knownOptions("conv2d", OPTIONS, options), [
    weight.shape[2] ?? 1,
    weight.shape[3] ?? 1,
  ]);
  return { stride, padding, dilation, groups };
}
