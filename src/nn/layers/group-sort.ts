// GroupSort, which keeps the norm of gradients, as ReLU does not (Anil et al. 2019).
import { coefficient, type Options, whole } from "../../options.js";
import { wholeNumber } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import { checkChannels } from "../channels.js";
import { type Definition, optionsOf } from "../definition.js";
import type { ExactFunction } from "../exact.js";
import { channelsOf, fixed } from "../pieces.js";
import { type ActivationOptions, ScaledLayer } from "../scaled.js";

/**
 * Sorts consecutive groups of channels (axis 1), ascending; a group larger than the number of channels is all of them.
 * Throws `SHAPE_MISMATCH` where the group size does not divide the number of channels.
 */
export function groupSort(x: Tensor, groupSize: number): Tensor {
  wholeNumber("groupSize", groupSize, 1);
  const channels = checkChannels("GroupSort", x).shape[1] ?? 1;
  return Tensor.make("group_sort", { axis: 1, groupSize: Math.max(1, Math.min(groupSize, channels)) }, [x]);
}

/** Sorts for local certificates; a group larger than the channels is all of them. */
export const sorted =
  (groupSize: number): NonNullable<ExactFunction["pieces"]> =>
  (sample, scale) => {
    const { channels, places } = channelsOf(sample);
    return fixed({ kind: "sort", group: Math.min(groupSize, channels), channels, places, scale });
  };

const definition = {
  type: "GroupSort",
  positional: ["groupSize"],
  schema: { groupSize: whole(1), kCoefLip: coefficient },
} satisfies Definition;

/** {@link groupSort} as a layer: a permutation of the values within the region of each order, so exactly `kCoefLip`-Lipschitz. */
export class GroupSort extends ScaledLayer {
  static readonly definition: Definition = definition;
  readonly options: Partial<Options<typeof definition.schema>>;

  constructor(
    readonly groupSize: number,
    options?: ActivationOptions,
  ) {
    const all = optionsOf(definition, [groupSize], options);
    super(all.kCoefLip, { compute: (x) => groupSort(x, groupSize), keepsNorm: true, pieces: sorted(groupSize) });
    this.options = all;
  }

  vanillaExport(): GroupSort {
    return new GroupSort(this.groupSize, { kCoefLip: this.kCoefLip });
  }
}
