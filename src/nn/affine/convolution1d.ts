// Convolutions of sequences NCL, computed as those of images of one row.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import type { Attributes, Work } from "../../native.js";
import { type Option, type Options, optional, whole } from "../../options.js";
import { geometryOf } from "../../tensor/convolution.js";
import { type Shape, showShape } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { sumRoundings } from "../rounding.js";
import {
  CHANNELS,
  checkGroups,
  type NORM,
  PADDING_MODE,
  type PaddingMode,
  plusChannels,
  Scaling,
  sized,
} from "./convolution.js";
import type { AffineMap } from "./map.js";
import { convolutionBound, convolutionGain } from "./proving.js";

const padding: Option<number | "same" | "valid"> = {
  read(name, given = 0) {
    if (given === "same" || given === "valid") return given;
    if (typeof given === "number") return whole(0).read(name, given);
    throw new TslipError("INVALID_ARGUMENT", `padding must be a number, "same" or "valid"; given ${describe(given)}`);
  },
};

export const CONVOLUTION_1D = {
  ...CHANNELS,
  kernelSize: whole(1),
  stride: whole(1, 1),
  padding,
  dilation: whole(1, 1),
  groups: whole(1, 1),
  ...PADDING_MODE,
  inputSize: optional(whole(1)),
};

/** 1-D cross-correlation; weight `[out, in / groups, k]`. */
export class Convolution1d implements AffineMap {
  readonly kernelSize: number;
  readonly stride: number;
  /** Numbers before and after. */
  readonly padding: readonly [number, number];
  readonly dilation: number;
  readonly groups: number;
  readonly paddingMode: PaddingMode;
  /** The only length of a sequence, if there is one. */
  readonly inputSize: number | undefined;
  readonly weightShape: readonly [number, number, number];
  readonly inputShape: readonly [number, number | undefined];
  readonly #scaling: Scaling;

  constructor(options: Options<typeof CONVOLUTION_1D> & Partial<Options<typeof NORM>>) {
    const { inChannels, outChannels, kernelSize, stride, dilation, groups, paddingMode, inputSize } = options;
    checkGroups(groups, inChannels, outChannels);
    const given = typeof options.padding === "number" ? ([0, options.padding] as const) : options.padding;
    const row = { stride: [1, stride], dilation: [1, dilation], padding: given } as const;
    const [, before, , after] = geometryOf(row, [1, kernelSize]).padding;
    this.padding = Object.freeze([before, after] as const);
    this.kernelSize = kernelSize;
    this.stride = stride;
    this.dilation = dilation;
    this.groups = groups;
    this.paddingMode = paddingMode;
    this.inputSize = inputSize;
    this.weightShape = Object.freeze([outChannels, inChannels / groups, kernelSize] as const);
    this.inputShape = Object.freeze([inChannels, inputSize] as const);
    const images = {
      stride: [1, stride],
      dilation: [1, dilation],
      padding: [0, before, 0, after],
      groups,
      paddingMode,
    };
    const asImages = sized(images, inputSize === undefined ? undefined : [1, inputSize]);
    this.#scaling = new Scaling(this.#geometry, options.norm ?? "default", asImages);
    Object.freeze(this);
  }

  get outputs(): number {
    return this.weightShape[0];
  }

  get fanIn(): number {
    return this.weightShape[1] * this.kernelSize;
  }

  get factor(): number {
    return this.#scaling.factor;
  }

  norm(weight: Tensor): Tensor | undefined {
    return this.#scaling.norm(weight.unsqueeze(2));
  }

  /**
   * Pads as the mode says, convolves, adds the bias. Throws `SHAPE_MISMATCH` unless x is NCL with the right channels and of
   * the length the layer was made for, if there is one.
   */
  apply(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    const { stride, dilation, groups, paddingMode, inputSize } = this;
    checkSequences(x, this.inputShape[0], weight.shape);
    if (inputSize !== undefined && x.shape[2] !== inputSize) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `this layer was made for sequences of ${inputSize} numbers, for which its bound holds; given ${showShape(x.shape)}; ` +
          "leave inputSize out to allow every length",
        { op: "conv2d", shapes: [x.shape, weight.shape] },
      );
    }
    const [before, after] = this.padding;
    const copied = paddingMode !== "zeros" && before + after > 0;
    const padded = copied ? x.pad([0, 0, before], [0, 0, after], { mode: paddingMode }) : x;
    const zeros = copied ? [0, 0, 0, 0] : [0, before, 0, after];
    const attributes = { stride: [1, stride], dilation: [1, dilation], groups, padding: zeros };
    const rows = Tensor.make("conv2d", attributes, [padded.unsqueeze(2), weight.unsqueeze(2)]);
    return plusChannels(rows, bias).squeeze(2);
  }

  /** Proved for the length of a sample, for `inputSize` or else for every length. */
  bound(weight: Uint8Array, sample?: Shape): Work<number> {
    return convolutionBound(weight, this.weightShape, sized(this.#geometry, sample?.slice(1)));
  }

  gain(weight: Uint8Array): Work<number> {
    return convolutionGain(weight, this.weightShape, this.#geometry);
  }

  piece([, length = 1]: Shape, bias: boolean): Attributes {
    const { weightShape, padding, paddingMode, groups } = this;
    const [outputs, inputs, taps] = weightShape;
    const [before, after] = padding;
    return {
      kind: "convolution",
      weight: 0,
      bias: bias ? 1 : null,
      shape: [outputs, inputs, 1, taps],
      image: [1, length],
      stride: [1, this.stride],
      dilation: [1, this.dilation],
      padding: [0, before, 0, after],
      paddingMode,
      groups,
    };
  }

  get rounding() {
    const rows = this.weightShape[0] / this.groups;
    const copies = this.paddingMode === "zeros" ? 1 : this.kernelSize;
    return { roundings: sumRoundings(this.fanIn, Math.min(rows, this.fanIn)), copies };
  }

  get #geometry(): Attributes {
    const { kernelSize, stride, padding, dilation, groups, paddingMode, inputSize } = this;
    const known = { kernelSize: [kernelSize], stride: [stride], padding, dilation: [dilation], groups, paddingMode };
    return inputSize === undefined ? known : { ...known, inputSize: [inputSize] };
  }
}

/** Refuses what is no batch of sequences NCL with so many channels, and says how it becomes one. */
function checkSequences(x: Tensor, channels: number, weight: Shape): void {
  if (x.rank === 3 && x.shape[1] === channels) return;
  let hint = `it was made for ${channels} channels`;
  if (x.rank === 3 && x.shape[2] === channels) hint = "channels come first: permute([0, 2, 1])";
  else if (x.rank === 2 && x.shape[0] === channels) hint = "one sequence is a batch of one: unsqueeze(0)";
  else if (x.rank === 2 && channels === 1) hint = "give the channels an axis: unsqueeze(1)";
  else if (x.rank !== 3) hint = `reshape them to [-1, ${channels}, length]`;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `this layer takes sequences [n, ${channels}, length]; given ${showShape(x.shape)}; ${hint}`,
    { op: "conv2d", shapes: [x.shape, weight] },
  );
}
