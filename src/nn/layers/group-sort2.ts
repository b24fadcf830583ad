// GroupSort2: the usual case of GroupSort.
import { coefficient, type Options } from "../../options.js";
import { type Definition, optionsOf } from "../definition.js";
import type { ActivationOptions } from "../scaled.js";
import { GroupSort } from "./group-sort.js";

const definition = { type: "GroupSort2", positional: [], schema: { kCoefLip: coefficient } } satisfies Definition;

/** {@link GroupSort} of pairs. */
export class GroupSort2 extends GroupSort {
  static override readonly definition: Definition = definition;
  override readonly options: Options<typeof definition.schema>;

  constructor(options?: ActivationOptions) {
    const all = optionsOf(definition, [], options);
    super(2, all);
    this.options = all;
  }

  override vanillaExport(): GroupSort2 {
    return new GroupSort2({ kCoefLip: this.kCoefLip });
  }
}
