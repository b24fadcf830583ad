// Affine maps with their adjoints, for layers that go there and back.
import { TslipError } from "../../errors.js";
import { choice, type Options, optional, whole } from "../../options.js";
import { tensor } from "../../tensor/create.js";
import { showShape, sizeOf } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { sumRoundings } from "../rounding.js";
import { CONVOLUTION, sized } from "./convolution.js";
import { Dense } from "./dense.js";
import type { AffineMap } from "./map.js";
import { convolutionGain } from "./proving.js";
import { UnboundedConvolution } from "./unbounded.js";

/** A linear map and the way back from its results. */
export interface AdjointPair<M extends AffineMap = AffineMap> {
  readonly map: M;
  /** The weight by which {@link back} is Wᵀ. */
  adjoint(weight: Tensor): Tensor;
  readonly back: Pick<AffineMap, "apply" | "gain" | "rounding">;
  /** Numbers of a sample in between, of a sample with so many. */
  hidden(inputs: number): number;
}

export const FEATURES = { features: whole(1), hiddenFeatures: optional(whole(1)) };

/** A dense map of features to hidden features and back. */
export function densePair({ features, hiddenFeatures = features }: Options<typeof FEATURES>): AdjointPair<Dense> {
  return {
    map: new Dense({ inFeatures: features, outFeatures: hiddenFeatures }),
    adjoint: (weight) => weight,
    back: {
      apply: (h, weight) => h.matmul(weight),
      gain: undefined,
      rounding: { roundings: sumRoundings(hiddenFeatures, Math.min(features, hiddenFeatures)), copies: 1 },
    },
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
  const { groups, paddingMode, inputSize } = options;
  const circular = paddingMode === "circular";
  const around = [bottom, right, top, left];
  const common = { stride: [1, 1], dilation: step, groups };
  const geometry = sized({ ...common, kernelSize: [kh, kw], padding: around, paddingMode }, inputSize);
  return {
    map,
    adjoint: (weight) => {
      const swapped = weight
        .reshape([groups, perHiddenGroup, perGroup, kh, kw])
        .permute([0, 2, 1, 3, 4])
        .reshape([channels, perHiddenGroup, kh, kw]);
      return reversed(reversed(swapped, 2), 3);
    },
    back: {
      apply: (h, weight) => {
        const padded = circular ? h.pad([0, 0, bottom, right], [0, 0, top, left], { mode: "circular" }) : h;
        return Tensor.make("conv2d", { ...common, padding: circular ? [0, 0, 0, 0] : around }, [padded, weight]);
      },
      gain: (weight) => convolutionGain(weight, [channels, perHiddenGroup, kh, kw], geometry),
      rounding: {
        roundings: sumRoundings(perHiddenGroup * kh * kw, Math.min(perGroup, perHiddenGroup * kh * kw)),
        copies: circular ? sizeOf([kh, kw]) : 1,
      },
    },
    hidden: (inputs) => (inputs / channels) * hiddenChannels,
  };
}

/** An axis from its end to its start. */
function reversed(x: Tensor, axis: number): Tensor {
  const extent = x.shape[axis] ?? 1;
  if (extent === 1) return x;
  return x.gather(tensor(Int32Array.from({ length: extent }, (_, i) => extent - 1 - i)), axis);
}
