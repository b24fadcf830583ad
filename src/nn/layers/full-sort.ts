// FullSort: GroupSort of all channels.
import { coefficient, type Options } from "../../options.js";
import { type Definition, optionsOf } from "../definition.js";
import type { ActivationOptions } from "../scaled.js";
import { GroupSort } from "./group-sort.js";

const definition = { type: "FullSort", positional: [], schema: { kCoefLip: coefficient } } satisfies Definition;

/** {@link GroupSort} with one group, however many channels there are. */
export class FullSort extends GroupSort {
  static override readonly definition: Definition = definition;
  override readonly options: Options<typeof definition.schema>;

  constructor(options?: ActivationOptions) {
    const all = optionsOf(definition, [], options);
    super(Number.MAX_SAFE_INTEGER, all);
    this.options = all;
  }

  override vanillaExport(): FullSort {
    return new FullSort({ kCoefLip: this.kCoefLip });
  }
}
