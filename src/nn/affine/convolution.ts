// Convolutions of images NCHW: geometry, padding modes, the bound by overlapping windows.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { type Attributes, convolutionFactor, type Work } from "../../native.js";
import { choice, type Option, type Options, optional, pair, whole } from "../../options.js";
import { type Geometry, geometryOf, type Padding } from "../../tensor/convolution.js";
import { type Shape, showShape, sizeOf } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { sumRoundings } from "../rounding.js";
import type { AffineMap } from "./map.js";
import { convolutionBound, windowsBound } from "./proving.js";

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

export const CONVOLUTION = {
  ...CHANNELS,
  kernelSize: pair(1),
  stride: pair(1, 1),
  padding,
  dilation: pair(1, 1),
  groups: whole(1, 1),
  paddingMode: choice(["zeros", "circular", "reflect", "replicate", "symmetric"], "zeros"),
  inputSize: optional(pair(1)),
};

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
  #factor: number | undefined;

  constructor(options: Options<typeof CONVOLUTION>) {
    const { inChannels, outChannels, kernelSize, groups, paddingMode, inputSize } = options;
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
    Object.freeze(this);
  }

  get outputs(): number {
    return this.weightShape[0];
  }

  get fanIn(): number {
    return sizeOf(this.weightShape.slice(1));
  }

  get factor(): number {
    this.#factor ??= convolutionFactor(this.geometry);
    return this.#factor;
  }

  /**
   * Pads as the mode says, convolves, adds the bias. Throws `SHAPE_MISMATCH` unless x is NCHW with the right channels and of
   * the size the layer was made for, if there is one.
   */
  apply(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    const { stride, dilation, groups, paddingMode, padding, inputSize } = this;
    checkImages(x, this.inputShape[0], weight.shape);
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
      paddingMode === "zeros" || padding.every((n) => n === 0)
        ? x
        : x.pad([0, 0, top, left], [0, 0, bottom, right], { mode: paddingMode });
    const attributes = { stride, dilation, groups, padding: padded === x ? padding : [0, 0, 0, 0] };
    return plusChannels(Tensor.make("conv2d", attributes, [padded, weight]), bias);
  }

  /** sqrt(overlap) times the norm of the kernel matrix, proved for `inputSize` or else for every size of image. */
  bound(weight: Uint8Array): Work<number> {
    return convolutionBound(weight, this.weightShape, this.geometry);
  }

  partsBound(weight: Uint8Array): Work<number> {
    return windowsBound(weight, this.weightShape, this.groups, convolutionFactor(this.geometry));
  }

  get rounding() {
    const rows = this.weightShape[0] / this.groups;
    // A window shows a pixel once, unless it stands in what the padding has copied.
    const copies = this.paddingMode === "zeros" ? 1 : sizeOf(this.kernelSize);
    return { roundings: sumRoundings(this.fanIn, Math.min(rows, this.fanIn)), copies };
  }

  protected get geometry(): Attributes {
    const { kernelSize, stride, padding, dilation, groups, paddingMode, inputSize } = this;
    const known = { kernelSize, stride, padding, dilation, groups, paddingMode };
    return inputSize === undefined ? known : { ...known, inputSize };
  }
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

/** Adds a bias to each channel of images NCHW. */
export function plusChannels(y: Tensor, bias: Tensor | undefined): Tensor {
  return bias === undefined ? y : y.add(bias.reshape([1, -1, 1, 1]));
}
