// Flatten.
import type { Options } from "../../options.js";
import type { Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { Module } from "../module.js";
import { EXACT, type Rounding } from "../rounding.js";

const definition = { type: "Flatten", positional: [], schema: {} } satisfies Definition;

/** Joins all axes but the first: one row per sample. */
export class Flatten extends Module {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;

  /** It has no options. */
  constructor(options?: Readonly<Record<string, never>>) {
    super();
    this.options = optionsOf(definition, [], options);
  }

  forward(x: Tensor): Tensor {
    return x.flatten(1);
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
