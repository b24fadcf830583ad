// Convolutions of images NCHW: geometry, padding modes, bounds.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { type Attributes, convolutionFactor, type Work } from "../../native.js";
import { choice, type Option, type Options, optional, pair, whole } from "../../options.js";
import { type Geometry, geometryOf, type Padding } from "../../tensor/convolution.js";
import { type Shape, showShape, sizeOf } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { sumRoundings } from "../rounding.js";
import type { AffineMap } from "./map.js";
import { convolutionBound, convolutionGain } from "./proving.js";

/** What stands around an image: zeros, or pixels of the image itself. */
export type PaddingMode = "zeros" | "circular" | "reflect" | "replicate" | "symmetric";

const padding: Option<Padding> = {
  read(name, given = 0) {
    if (given === "same" || given === "valid") return given;
    if (typeof given !== "string") return pair(0).read(name, given);
    throw new TslipError(
      "INVALID_ARGUMENT",
      `padding must be a number, a pair, "same" or "valid"; given ${describe(given)}`,
    );
  },
};

export const CHANNELS = { inChannels: whole(1), outChannels: whole(1) };

export const PADDING_MODE = {
  paddingMode: choice<PaddingMode>(["zeros", "circular", "reflect", "replicate", "symmetric"], "zeros"),
};

export const CONVOLUTION = {
  ...CHANNELS,
  kernelSize: pair(1),
  stride: pair(1, 1),
  padding,
  dilation: pair(1, 1),
  groups: whole(1, 1),
  ...PADDING_MODE,
  inputSize: optional(pair(1)),
};

/** What a convolution is made 1-Lipschitz by, see {@link ConvolutionNorm}. */
export const NORM = { norm: choice(["default", "overlap", "exact"], "default") };

/**
 * What a kernel with norm 1 as a matrix is scaled by: "default" the smaller of torchlip's coefficient and overlap^-1/2, "overlap"
 * overlap^-1/2, "exact" one over the norm of the convolution of images of `inputSize`, at most 1e-3 too small for images of up to
 * 262,144 numbers, on every device (docs/certificates.md has what it is for larger ones).
 */
export type ConvolutionNorm = "default" | "overlap" | "exact";

/** The factor or the norm by which a convolution of that geometry is made 1-Lipschitz; images have `inputSize`, if that is known. */
export class Scaling {
  readonly #geometry: Attributes;
  readonly #norm: ConvolutionNorm;
  readonly #asImages: Attributes;
  #factor: number | undefined;

  /** `asImages` is the geometry of the images by which it is computed. */
  constructor(geometry: Attributes, norm: ConvolutionNorm, asImages = geometry) {
    if (norm === "exact" && geometry["inputSize"] === undefined) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        'norm "exact" is the norm for images of one size: give inputSize, or use norm "overlap"',
      );
    }
    this.#geometry = geometry;
    this.#asImages = asImages;
    this.#norm = norm;
  }

  get factor(): number {
    const norm = this.#norm === "default" ? "default" : "overlap";
    this.#factor ??= convolutionFactor({ ...this.#geometry, norm });
    return this.#factor;
  }

  /** The norm for a weight `[out, in / groups, kh, kw]` with norm 1 at most as a matrix, where it is asked for. */
  norm(weight: Tensor): Tensor | undefined {
    if (this.#norm !== "exact") return undefined;
    const { kernelSize: _, paddingMode = "zeros", ...geometry } = this.#asImages;
    const mode = paddingMode === "zeros" ? "constant" : paddingMode;
    const operator = { ...geometry, mode, most: 1 / this.factor };
    return Tensor.make("convolution_norm", operator, [
      weight,
      Tensor.make("convolution_top_vector", operator, [weight]),
    ]);
  }
}

/** Refuses groups that do not divide the channels. */
export function checkGroups(groups: number, inChannels: number, outChannels: number): void {
  if (inChannels % groups === 0 && outChannels % groups === 0) return;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `groups ${groups} must divide inChannels ${inChannels} and outChannels ${outChannels}`,
  );
}

/** 2-D cross-correlation; weight `[out, in / groups, kh, kw]`, padding `[top, left, bottom, right]`. */
export class Convolution implements AffineMap, Geometry {
  readonly kernelSize: readonly [number, number];
  readonly stride: [number, number];
  readonly padding: [number, number, number, number];
  readonly dilation: [number, number];
  readonly groups: number;
  readonly paddingMode: PaddingMode;
  /** The only size of image, if there is one. */
  readonly inputSize: readonly [number, number] | undefined;
  readonly weightShape: readonly [number, number, number, number];
  readonly inputShape: readonly [number, number | undefined, number | undefined];
  readonly #scaling: Scaling;

  constructor(options: Options<typeof CONVOLUTION> & Partial<Options<typeof NORM>>) {
    const { inChannels, outChannels, kernelSize, groups, paddingMode, inputSize, norm = "default" } = options;
    checkGroups(groups, inChannels, outChannels);
    const geometry = geometryOf(options, kernelSize);
    [this.stride, this.padding, this.dilation] = [geometry.stride, geometry.padding, geometry.dilation];
    // What a layer computes and what it exports stay one thing.
    for (const extents of [this.stride, this.padding, this.dilation]) Object.freeze(extents);
    this.kernelSize = kernelSize;
    this.groups = groups;
    this.paddingMode = paddingMode;
    this.inputSize = inputSize;
    this.weightShape = Object.freeze([outChannels, inChannels / groups, ...kernelSize] as const);
    this.inputShape = Object.freeze([inChannels, ...(inputSize ?? ([undefined, undefined] as const))] as const);
    this.#scaling = new Scaling(this.geometry, norm);
    Object.freeze(this);
  }

  get outputs(): number {
    return this.weightShape[0];
  }

  get fanIn(): number {
    return sizeOf(this.weightShape.slice(1));
  }

  get factor(): number {
    return this.#scaling.factor;
  }

  norm(weight: Tensor): Tensor | undefined {
    return this.#scaling.norm(weight);
  }

  /**
   * Pads as the mode says, convolves, adds the bias. Throws `SHAPE_MISMATCH` unless x is NCHW with the right channels and of
   * the size the layer was made for, if there is one.
   */
  apply(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    const { stride, dilation, groups, paddingMode, padding, inputSize } = this;
    checkImages(x, this.inputShape[0], weight.shape);
    checkSize(inputSize, x, weight.shape);
    const [top, left, bottom, right] = padding;
    const padded =
      paddingMode === "zeros" || padding.every((n) => n === 0)
        ? x
        : x.pad([0, 0, top, left], [0, 0, bottom, right], { mode: paddingMode });
    const attributes = { stride, dilation, groups, padding: padded === x ? padding : [0, 0, 0, 0] };
    return plusChannels(Tensor.make("conv2d", attributes, [padded, weight]), bias);
  }

  /** Proved for images of the size of a sample, of `inputSize`, or else of every size. */
  bound(weight: Uint8Array, sample?: Shape): Work<number> {
    return convolutionBound(weight, this.weightShape, sized(this.geometry, sample?.slice(1)));
  }

  /** sqrt(overlap) times the norm of the kernel matrix, of which that of a part is a part. */
  gain(weight: Uint8Array): Work<number> {
    return convolutionGain(weight, this.weightShape, this.geometry);
  }

  piece([, ...image]: Shape, bias: boolean): Attributes {
    const { weightShape: shape, stride, dilation, padding, paddingMode, groups } = this;
    const geometry = { stride, dilation, padding, paddingMode, groups };
    return { kind: "convolution", weight: 0, bias: bias ? 1 : null, shape, image, ...geometry };
  }

  get rounding() {
    const rows = this.weightShape[0] / this.groups;
    // A window shows a pixel once, unless it stands in what the padding has copied.
    const copies = this.paddingMode === "zeros" ? 1 : sizeOf(this.kernelSize);
    return { roundings: sumRoundings(this.fanIn, Math.min(rows, this.fanIn)), copies };
  }

  protected get geometry(): Attributes {
    const { kernelSize, stride, padding, dilation, groups, paddingMode, inputSize } = this;
    return sized({ kernelSize, stride, padding, dilation, groups, paddingMode }, inputSize);
  }
}

/** A geometry on images of one size, if that is known. */
export function sized(geometry: Attributes, inputSize: Shape | undefined): Attributes {
  return inputSize === undefined ? geometry : { ...geometry, inputSize };
}

/** Refuses what is no batch of images NCHW with so many channels, and says how it becomes one. */
export function checkImages(x: Tensor, channels: number, weight: Shape): void {
  if (x.rank === 4 && x.shape[1] === channels) return;
  const last = x.shape.at(-1) === channels;
  let hint = `it was made for ${channels} channels`;
  if (x.rank === 4 && last) hint = "channels come first: permute([0, 3, 1, 2])";
  else if (x.rank === 3 && x.shape[0] === channels) hint = "one image is a batch of one: unsqueeze(0)";
  else if (x.rank === 3)
    hint = last ? "one image is a batch of one, and channels come first" : "give the channels an axis: unsqueeze(1)";
  else if (x.rank < 3) hint = `reshape them to [-1, ${channels}, height, width]`;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `this layer takes images [n, ${channels}, height, width]; given ${showShape(x.shape)}; ${hint}`,
    { op: "conv2d", shapes: [x.shape, weight] },
  );
}

/** Refuses images of another size than the one that a layer was made for, if there is one. */
export function checkSize(size: readonly [number, number] | undefined, x: Tensor, weight: Shape): void {
  if (size === undefined || (x.shape[2] === size[0] && x.shape[3] === size[1])) return;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `this layer was made for images of ${showShape(size)}, for which its bound holds; given ${showShape(x.shape)}; ` +
      "leave inputSize out to allow every size",
    { op: "conv2d", shapes: [x.shape, weight] },
  );
}

/** Adds a bias to each channel of images NCHW. */
export function plusChannels(y: Tensor, bias: Tensor | undefined): Tensor {
  return bias === undefined ? y : y.add(bias.reshape([1, -1, 1, 1]));
}
