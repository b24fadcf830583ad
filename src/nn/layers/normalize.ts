// Normalize: images as a network was made for, as torchvision's transform does it.

import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import type { NoOptions, Option } from "../../options.js";
import { tensor } from "../../tensor/create.js";
import type { Tensor } from "../../tensor/tensor.js";
import { alongChannels, checkChannels } from "../channels.js";
import { type Definition, optionsOf } from "../definition.js";
import { FixedLayer } from "../fixed.js";
import { channelsOf, fixed } from "../pieces.js";
import { biasNorm } from "../rounding.js";

type PerChannel = number | readonly number[];

/** A number for all channels or one for each, of which each `fits`, as the words say, once it is a float32. */
function perChannel(expected: string, fits: (value: number) => boolean): Option<PerChannel> {
  return {
    read(name, given) {
      const list: readonly unknown[] = Array.isArray(given) ? given : [given];
      if (list.length > 0 && list.every((one) => typeof one === "number" && fits(Math.fround(one)))) {
        return Array.isArray(given) ? Object.freeze([...(given as number[])]) : (given as number);
      }
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} must be a number for all channels or a list of one for each, ${expected} in float32; given ${describe(given)}`,
      );
    },
  };
}

/** The least normal number of float32: what is smaller counts as 0. */
const LEAST = 2 ** -126;

const definition = {
  type: "Normalize",
  positional: ["mean", "std"],
  schema: {
    mean: perChannel("finite", Number.isFinite),
    std: perChannel("finite and at least 2^-126", (value) => value >= LEAST && Number.isFinite(value)),
  },
} satisfies Definition;

/**
 * (x - mean) / std, with a number for each channel (axis 1) or one for all: `new Normalize(0, 255)` scales pixels that come as
 * float32 numbers up to 255 (bytes are divided by 255 before they enter any model). Bounds of what holds it have its factor, the largest 1 / std, so that radii are in units of what comes in.
 */
export class Normalize extends FixedLayer<typeof definition.schema> {
  static readonly definition: Definition = definition;

  /** It has no further options. */
  constructor(mean: PerChannel, std: PerChannel, options?: NoOptions) {
    const all = optionsOf(definition, [mean, std], options);
    const means = valuesOf(all.mean);
    const stds = valuesOf(all.std);
    const channels = Math.max(means.length, stds.length);
    if ([means, stds].some(({ length }) => length !== channels && length !== 1)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `mean and std must be of as many channels; given ${means.length} and ${stds.length}`,
      );
    }
    const least = Math.min(...stds);
    const each = Float32Array.from({ length: channels }, (_, i) => means[i] ?? means[0] ?? 0);
    super(all, {
      compute: (x) => normalized(x, means, stds, channels),
      lipschitz: least === 1 ? 1 : (1 / least) * (1 + 2 * Number.EPSILON),
      // A difference and a quotient; the mean by itself is on the way.
      rounding: (results) => ({
        roundings: 2,
        offset: (biasNorm(each, results) / Math.min(1, least)) * (1 + 2 * Number.EPSILON),
        peak: 1,
      }),
      pieces: (sample) => {
        const axes = channelsOf(sample);
        return fixed({ kind: "normalize", mean: Array.from(means), std: Array.from(stds), ...axes });
      },
    });
  }
}

/** The values in float32. */
function valuesOf(given: PerChannel): Float32Array {
  return Float32Array.from(typeof given === "number" ? [given] : given);
}

function normalized(x: Tensor, means: Float32Array, stds: Float32Array, channels: number): Tensor {
  checkChannels("Normalize", x, channels === 1 ? undefined : channels);
  const along = (values: Float32Array): Tensor => alongChannels(tensor(values, [values.length]), values.length, x);
  return x.sub(along(means)).div(along(stds));
}
