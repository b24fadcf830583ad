// GroupSort and ReLU. GroupSort keeps the norm of gradients, which ReLU does not (Anil et al. 2019).
import { TslipError } from "../errors.js";
import { showShape, wholeNumber } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";
import { LipschitzModule, roundDownToFloat32 } from "./lipschitz.js";
import { type Architecture, Module } from "./module.js";
import { EXACT, type Rounding } from "./rounding.js";

/** Options of activations that keep a Lipschitz constant. */
export interface ActivationOptions {
  kCoefLip?: number;
}

/** Scales by the layer's constant, if it is not 1; the factor in the engine is at most the constant. */
export function scaled(y: Tensor, kCoefLip: number): Tensor {
  return kCoefLip === 1 ? y : y.mul(roundDownToFloat32(kCoefLip));
}

/**
 * Sorts consecutive groups of channels (axis 1), ascending; a group larger than the number of channels is all of them.
 * Throws `SHAPE_MISMATCH` where the group size does not divide the number of channels.
 */
export function groupSort(x: Tensor, groupSize: number): Tensor {
  wholeNumber("groupSize", groupSize, 1);
  const channels = x.shape[1];
  if (channels === undefined) {
    throw new TslipError("SHAPE_MISMATCH", `GroupSort sorts axis 1; given shape ${showShape(x.shape)}`, {
      op: "group_sort",
      shapes: [x.shape],
    });
  }
  return Tensor.make("group_sort", { axis: 1, groupSize: Math.max(1, Math.min(groupSize, channels)) }, [x]);
}

/** {@link groupSort} as a layer. */
export class GroupSort extends LipschitzModule {
  constructor(
    readonly groupSize: number,
    options: ActivationOptions = {},
  ) {
    wholeNumber("groupSize", groupSize, 1);
    super(options.kCoefLip);
  }

  forward(x: Tensor): Tensor {
    return scaled(groupSort(x, this.groupSize), this.kCoefLip);
  }

  /** A permutation of the values within the region of each order: exactly `kCoefLip`. */
  lipschitzBound(): number {
    return this.kCoefLip;
  }

  /** One for a scale. */
  override rounding(): Rounding {
    return this.kCoefLip === 1 ? EXACT : { roundings: 1, offset: 0 };
  }

  vanillaExport(): GroupSort {
    return new GroupSort(this.groupSize, { kCoefLip: this.kCoefLip });
  }

  override architecture(): Architecture {
    return { type: "GroupSort", groupSize: this.groupSize, kCoefLip: this.givenCoefficient };
  }
}

/** {@link GroupSort} of pairs. */
export class GroupSort2 extends GroupSort {
  constructor(options: ActivationOptions = {}) {
    super(2, options);
  }

  override vanillaExport(): GroupSort2 {
    return new GroupSort2({ kCoefLip: this.kCoefLip });
  }

  override architecture(): Architecture {
    return { type: "GroupSort2", kCoefLip: this.givenCoefficient };
  }
}

/** max(x, 0), 1-Lipschitz. */
export class ReLU extends Module {
  forward(x: Tensor): Tensor {
    return x.relu();
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
    return { type: "ReLU" };
  }
}
