// FullSort: GroupSort of all channels.
import { coefficient, type Options } from "../../options.js";
import { type Definition, optionsOf } from "../definition.js";
import { type ActivationOptions, ScaledLayer } from "../scaled.js";
import { groupSort, sorted } from "./group-sort.js";

const definition = { type: "FullSort", positional: [], schema: { kCoefLip: coefficient } } satisfies Definition;

/** {@link groupSort} with one group, however many channels there are. */
export class FullSort extends ScaledLayer {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  constructor(options?: ActivationOptions) {
    const all = optionsOf(definition, [], options);
    // A group larger than the channels is all of them.
    super(all.kCoefLip, {
      compute: (x) => groupSort(x, Number.MAX_SAFE_INTEGER),
      keepsNorm: true,
      pieces: sorted(Number.MAX_SAFE_INTEGER),
    });
    this.options = all;
  }

  vanillaExport(): FullSort {
    return new FullSort({ kCoefLip: this.kCoefLip });
  }
}
