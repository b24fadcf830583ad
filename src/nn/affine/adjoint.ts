// Affine maps with their adjoints, for layers that go there and back.
import { TslipError } from "../../errors.js";
import { choice, type Options, optional, whole } from "../../options.js";
import { tensor } from "../../tensor/create.js";
import { showShape, sizeOf } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { sumRoundings } from "../rounding.js";
import { CONVOLUTION } from "./convolution.js";
import { Dense } from "./dense.js";
import type { AffineMap } from "./map.js";
import { UnboundedConvolution } from "./unbounded.js";

/** A linear map and the way back from its results. */
export interface AdjointPair<M extends AffineMap = AffineMap> {
  readonly map: M;
  /** Wᵀ h. */
  back(h: Tensor, weight: Tensor): Tensor;
  /** How sums of the way back round, as {@link AffineMap.rounding}. */
  readonly rounding: AffineMap["rounding"];
  /** How much larger than the norm of the map sums on the way may be, there and back. */
  readonly parts: readonly [there: number, back: number];
  /** Numbers of a sample in between, of a sample with so many. */
  hidden(inputs: number): number;
}

export const FEATURES = { features: whole(1), hiddenFeatures: optional(whole(1)) };

/** A dense map of features to hidden features and back. */
export function densePair({ features, hiddenFeatures = features }: Options<typeof FEATURES>): AdjointPair<Dense> {
  return {
    map: new Dense({ inFeatures: features, outFeatures: hiddenFeatures }),
    back: (h, weight) => h.matmul(weight),
    rounding: { roundings: sumRoundings(hiddenFeatures, Math.min(features, hiddenFeatures)), copies: 1 },
    parts: [1, 1],
    hidden: (inputs) => (inputs / features) * hiddenFeatures,
  };
}

const { kernelSize, dilation, groups, inputSize } = CONVOLUTION;

/** Images keep their size: padding is "same", or what comes to that. */
export const HIDDEN_CHANNELS = {
  channels: whole(1),
  hiddenChannels: optional(whole(1)),
  kernelSize,
  padding: { read: (name: string, given: unknown = "same") => CONVOLUTION.padding.read(name, given) },
  dilation,
  groups,
  paddingMode: choice(["zeros", "circular"], "zeros"),
  inputSize,
};

/** A convolution of channels to hidden channels of images of the same size, and back. */
export function convolutionPair(options: Options<typeof HIDDEN_CHANNELS>): AdjointPair<UnboundedConvolution> {
  const { channels, hiddenChannels = channels, padding: given } = options;
  const [inChannels, outChannels] = [channels, hiddenChannels];
  const map = new UnboundedConvolution({ ...options, inChannels, outChannels, stride: [1, 1] });
  const { padding, dilation: step, weightShape } = map;
  const [top, left, bottom, right] = padding;
  const [, perGroup, kh, kw] = weightShape;
  const [tall, wide] = [(kh - 1) * step[0], (kw - 1) * step[1]];
  if (top + bottom !== tall || left + right !== wide) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `padding must keep the size of images, as "same" does; given ${typeof given === "string" ? `"${given}"` : showShape([given].flat())} ` +
        `for kernelSize ${showShape([kh, kw])} and dilation ${showShape(step)}`,
    );
  }
  const perHiddenGroup = hiddenChannels / options.groups;
  const circular = options.paddingMode === "circular";
  return {
    map,
    back(h, weight) {
      const around = [bottom, right, top, left];
      const padded = circular ? h.pad([0, 0, bottom, right], [0, 0, top, left], { mode: "circular" }) : h;
      const attributes = {
        stride: [1, 1],
        dilation: step,
        groups: options.groups,
        padding: circular ? [0, 0, 0, 0] : around,
      };
      const swapped = weight
        .reshape([options.groups, perHiddenGroup, perGroup, kh, kw])
        .permute([0, 2, 1, 3, 4])
        .reshape([channels, perHiddenGroup, kh, kw]);
      return Tensor.make("conv2d", attributes, [padded, reversed(reversed(swapped, 2), 3)]);
    },
    rounding: {
      roundings: sumRoundings(perHiddenGroup * kh * kw, Math.min(perGroup, perHiddenGroup * kh * kw)),
      copies: circular ? sizeOf([kh, kw]) : 1,
    },
    // By overlapping windows a part of the kernel has sqrt(taps) times the norm of a window, which is at most that of the map; so too
    // on the way back, where a size of images does not have the map lose most of its windows: there it is sqrt(taps) times that.
    parts: [Math.sqrt(kh * kw), options.inputSize === undefined ? Math.sqrt(kh * kw) : kh * kw],
    hidden: (inputs) => (inputs / channels) * hiddenChannels,
  };
}

/** An axis from its end to its start. */
function reversed(x: Tensor, axis: number): Tensor {
  const extent = x.shape[axis] ?? 1;
  if (extent === 1) return x;
  return x.gather(tensor(Int32Array.from({ length: extent }, (_, i) => extent - 1 - i)), axis);
}
