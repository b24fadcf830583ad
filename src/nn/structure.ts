// Layers that move values without changing them.
import type { Tensor } from "../tensor/tensor.js";
import { type Architecture, Module } from "./module.js";
import { EXACT, type Rounding } from "./rounding.js";

/** Joins all axes but the first: one row per sample. */
export class Flatten extends Module {
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

  override architecture(): Architecture {
    return { type: "Flatten" };
  }
}

/** Returns its input. */
export class Identity extends Module {
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

  override architecture(): Architecture {
    return { type: "Identity" };
  }
}
