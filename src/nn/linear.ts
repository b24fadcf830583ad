// Linear and Conv2d: ordinary layers, PyTorch's in names, shapes and initial values.

import { givenOptions, TslipError } from "../errors.js";
import { type Attributes, conv2dLipschitzUpperBound, spectralNormUpperBound } from "../native.js";
import { type ConvolutionOptions, type Geometry, geometryOf } from "../tensor/convolution.js";
import { rand } from "../tensor/create.js";
import { bytesOf } from "../tensor/dtype.js";
import { type Pair, pairOf, type Shape, showShape, sizeOf, wholeNumber } from "../tensor/shape.js";
import { Parameter } from "../tensor/state.js";
import { Tensor } from "../tensor/tensor.js";
import { checkFlag } from "./lipschitz.js";
import { type Architecture, Module } from "./module.js";
import { affineRounding, type Rounding } from "./rounding.js";
import { snapshot } from "./snapshot.js";

/** What stands around an image: zeros, or pixels of the image itself. */
export type PaddingMode = "zeros" | "circular" | "reflect" | "replicate" | "symmetric";

const PADDING_MODES: ReadonlySet<string> = new Set(["zeros", "circular", "reflect", "replicate", "symmetric"]);

/** Options of 2-D convolution layers. */
export interface Conv2dOptions extends ConvolutionOptions {
  kernelSize: Pair;
  bias?: boolean;
  paddingMode?: PaddingMode;
  /** Image size [height, width], if it is always the same: Lipschitz bounds are then exact for it, other sizes refused. */
  inputSize?: readonly [number, number];
}

/** Uniform in +-1/sqrt(fan in), as PyTorch initializes. */
function uniform(shape: Shape, fanIn: number): Tensor {
  const bound = 1 / Math.sqrt(Math.max(1, fanIn));
  return rand(shape)
    .mul(2 * bound)
    .sub(bound);
}

/** y = x Wᵀ + b over the last axis of x; weight `[out, in]`. */
export class Linear extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: { bias?: boolean } = {},
    values?: { weight: Tensor; bias: Tensor | undefined },
  ) {
    super();
    wholeNumber("inFeatures", inFeatures, 1);
    wholeNumber("outFeatures", outFeatures, 1);
    const { bias = true } = options;
    checkFlag("bias", bias);
    this.weight = new Parameter(values?.weight ?? uniform([outFeatures, inFeatures], inFeatures), { name: "weight" });
    this.bias = bias ? new Parameter(values?.bias ?? uniform([outFeatures], inFeatures), { name: "bias" }) : undefined;
  }

  forward(x: Tensor): Tensor {
    return affine(x, this.weight, this.bias);
  }

  /** A proved bound of the spectral norm of the weight. */
  override lipschitzBound(): number {
    return matrixBound(this.weight);
  }

  override rounding(results: number): Rounding {
    return affineRounding(this.weight, this.bias, 1, results);
  }

  override vanillaExport(): Linear {
    return linearOf(this.weight, this.bias);
  }

  override architecture(): Architecture {
    return {
      type: "Linear",
      inFeatures: this.inFeatures,
      outFeatures: this.outFeatures,
      bias: this.bias !== undefined,
    };
  }
}

/** x Wᵀ + b over the last axis. */
export function affine(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
  const y = x.matmul(weight, { transposeB: true });
  return bias === undefined ? y : y.add(bias);
}

/** A proved bound of the spectral norm of a matrix `[m, n]`. */
export function matrixBound(weight: Tensor): number {
  const [rows = 1, columns = 1] = weight.shape;
  return spectralNormUpperBound(bytesOf(weight.dataSync()), rows, columns);
}

/** An ordinary Linear with the values that the given tensors have now. */
export function linearOf(weight: Tensor, bias: Tensor | undefined): Linear {
  const [out = 1, input = 1] = weight.shape;
  return snapshot(() => new Linear(input, out, { bias: bias !== undefined }, { weight, bias }));
}

/** The checked geometry of a convolution layer. */
export interface ConvolutionLayout extends Geometry {
  readonly kernelSize: [number, number];
  readonly paddingMode: PaddingMode;
  /** The only size of image, if there is one. */
  readonly inputSize: readonly [number, number] | undefined;
  /** Shape of the weight: `[out, in / groups, kh, kw]`. */
  readonly weightShape: [number, number, number, number];
}

/** Checks channels and options of a convolution layer. */
export function layoutOf(inChannels: number, outChannels: number, options: Conv2dOptions): ConvolutionLayout {
  wholeNumber("inChannels", inChannels, 1);
  wholeNumber("outChannels", outChannels, 1);
  const { kernelSize: kernel } = givenOptions("a convolution", options, "{ kernelSize: 3 }");
  const kernelSize = pairOf("kernelSize", kernel, 1);
  const geometry = geometryOf(options, kernelSize);
  const { paddingMode = "zeros" } = options;
  if (!PADDING_MODES.has(paddingMode)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `paddingMode must be one of ${[...PADDING_MODES].join(", ")}; given ${String(paddingMode)}`,
    );
  }
  checkFlag("bias", options.bias ?? true);
  const { groups } = geometry;
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `groups ${groups} must divide inChannels ${inChannels} and outChannels ${outChannels}`,
    );
  }
  const inputSize = options.inputSize && pairOf("inputSize", options.inputSize, 1);
  return {
    ...geometry,
    kernelSize,
    paddingMode,
    inputSize,
    weightShape: [outChannels, inChannels / groups, ...kernelSize],
  };
}

/** The geometry as the native bounds take it. */
export function boundOptions(layout: ConvolutionLayout): Attributes {
  const { kernelSize, stride, padding, dilation, groups, paddingMode, inputSize } = layout;
  const known = { kernelSize, stride, padding, dilation, groups, paddingMode };
  return inputSize === undefined ? known : { ...known, inputSize };
}

/**
 * Pads as the mode says, convolves, adds the bias. Throws `SHAPE_MISMATCH` unless x is NCHW with the right channels and of
 * the size the layer was made for, if there is one.
 */
export function convolve(x: Tensor, weight: Tensor, bias: Tensor | undefined, layout: ConvolutionLayout): Tensor {
  const { stride, dilation, groups, paddingMode, padding, inputSize } = layout;
  if (inputSize !== undefined && (x.shape[2] !== inputSize[0] || x.shape[3] !== inputSize[1])) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `this layer was made for images of ${showShape(inputSize)}, for which its bound holds; given ${showShape(x.shape)}; ` +
        "leave inputSize out to allow every size",
      { op: "conv2d", shapes: [x.shape, weight.shape] },
    );
  }
  const [top, left, bottom, right] = padding;
  const padded =
    paddingMode === "zeros" || sizeOf(padding.map((n) => n + 1)) === 1
      ? x
      : x.pad([0, 0, top, left], [0, 0, bottom, right], { mode: paddingMode });
  const attributes = { stride, dilation, groups, padding: padded === x ? padding : [0, 0, 0, 0] };
  const y = Tensor.make("conv2d", attributes, [padded, weight]);
  return bias === undefined ? y : y.add(bias.reshape([1, -1, 1, 1]));
}

/** 2-D cross-correlation of images NCHW; weight `[out, in / groups, kh, kw]`. */
export class Conv2d extends Module {
  readonly weight: Parameter;
  readonly bias: Parameter | undefined;
  readonly #options: Conv2dOptions;
  readonly #layout: ConvolutionLayout;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: Conv2dOptions,
    values?: { weight: Tensor; bias: Tensor | undefined },
  ) {
    super();
    this.#layout = layoutOf(inChannels, outChannels, options);
    this.#options = { ...options };
    const { weightShape } = this.#layout;
    const fanIn = sizeOf(weightShape.slice(1));
    const { bias = true } = options;
    this.weight = new Parameter(values?.weight ?? uniform(weightShape, fanIn), { name: "weight" });
    this.bias = bias ? new Parameter(values?.bias ?? uniform([outChannels], fanIn), { name: "bias" }) : undefined;
  }

  /** Stride, padding and the rest, filled in. */
  get layout(): ConvolutionLayout {
    return this.#layout;
  }

  forward(x: Tensor): Tensor {
    return convolve(x, this.weight, this.bias, this.#layout);
  }

  /** sqrt(overlap) times the norm of the kernel matrix, proved for `inputSize` or else for every size of image. */
  override lipschitzBound(): number {
    return conv2dLipschitzUpperBound(bytesOf(this.weight.dataSync()), this.weight.shape, boundOptions(this.#layout));
  }

  /** As of a dense layer; a window may read a pixel again where padding has copied it. */
  override rounding(results: number): Rounding {
    const { groups, paddingMode, kernelSize } = this.#layout;
    // A window shows a pixel once, unless it stands in what the padding has copied.
    const copies = paddingMode === "zeros" ? 1 : sizeOf(kernelSize);
    return { ...affineRounding(this.weight, this.bias, groups, results), copies };
  }

  override vanillaExport(): Conv2d {
    return conv2dOf(this.weight, this.bias, this.inChannels, this.#options);
  }

  override architecture(): Architecture {
    const { inChannels, outChannels } = this;
    return { type: "Conv2d", inChannels, outChannels, ...this.#options };
  }
}

/** An ordinary Conv2d with the values that the given tensors have now. */
export function conv2dOf(weight: Tensor, bias: Tensor | undefined, inChannels: number, options: Conv2dOptions): Conv2d {
  const [out] = weight.shape;
  if (out === undefined)
    throw new TslipError("SHAPE_MISMATCH", `a kernel has four axes; given ${showShape(weight.shape)}`);
  const { kernelSize, stride = 1, padding = 0, dilation = 1, groups = 1, paddingMode = "zeros", inputSize } = options;
  const size = inputSize === undefined ? {} : { inputSize };
  const ordinary = { kernelSize, stride, padding, dilation, groups, paddingMode, bias: bias !== undefined, ...size };
  return snapshot(() => new Conv2d(inChannels, out, ordinary, { weight, bias }));
}
