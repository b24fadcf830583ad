// Identity.
import type { Options } from "../../options.js";
import type { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { Module } from "../module.js";
import { EXACT, type Rounding } from "../rounding.js";

const definition = { type: "Identity", positional: [], schema: {} } satisfies Definition;

/** Returns its input. */
export class Identity extends Module {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  /** It has no options. */
  constructor(options?: Readonly<Record<string, never>>) {
    super();
    this.options = optionsOf(definition, [], options);
  }

  forward(x: Tensor): Tensor {
    return x;
  }

  override lipschitzBound(): number {
    return 1;
  }

  override rounding(): Rounding {
    return EXACT;
  }

  override get lipschitzByConstruction(): boolean {
    return true;
  }
}
