// GroupSort, which keeps the norm of gradients, as ReLU does not (Anil et al. 2019).
import { TslipError } from "../../errors.js";
import { coefficient, type Options, whole } from "../../options.js";
import { showShape, wholeNumber } from "../../tensor/shape.js";
import { asTensor, Tensor } from "../../tensor/tensor.js";
import { type Definition, optionsOf } from "../definition.js";
import { LipschitzModule, scaled } from "../lipschitz.js";
import { type Proof, type Proving, settled } from "../proof.js";
import { EXACT, type Rounding } from "../rounding.js";

/** Options of activations that keep a Lipschitz constant. */
export interface ActivationOptions {
  kCoefLip?: number | undefined;
}

/**
 * Sorts consecutive groups of channels (axis 1), ascending; a group larger than the number of channels is all of them.
 * Throws `SHAPE_MISMATCH` where the group size does not divide the number of channels.
 */
export function groupSort(x: Tensor, groupSize: number): Tensor {
  wholeNumber("groupSize", groupSize, 1);
  const channels = asTensor("GroupSort", x).shape[1];
  if (channels === undefined) {
    throw new TslipError("SHAPE_MISMATCH", `GroupSort sorts axis 1; given shape ${showShape(x.shape)}`, {
      op: "group_sort",
      shapes: [x.shape],
    });
  }
  return Tensor.make("group_sort", { axis: 1, groupSize: Math.max(1, Math.min(groupSize, channels)) }, [x]);
}

const definition = {
  type: "GroupSort",
  positional: ["groupSize"],
  schema: { groupSize: whole(1), kCoefLip: coefficient },
} satisfies Definition;

/** {@link groupSort} as a layer. */
export class GroupSort extends LipschitzModule implements Proving {
  static readonly definition: Definition = definition;
  readonly options: Partial<Options<typeof definition.schema>>;

  constructor(
    readonly groupSize: number,
    options?: ActivationOptions,
  ) {
    const all = optionsOf(definition, [groupSize], options);
    super(all.kCoefLip);
    this.options = all;
  }

  forward(x: Tensor): Tensor {
    return scaled(groupSort(x, this.groupSize), this.kCoefLip);
  }

  /** A permutation of the values within the region of each order: exactly `kCoefLip`. */
  lipschitzBound(): number {
    return this.kCoefLip;
  }

  lipschitzProof(): Proof<number> {
    return settled(this.lipschitzBound());
  }

  /** One for a scale. */
  override rounding(): Rounding {
    return this.kCoefLip === 1 ? EXACT : { roundings: 1, offset: 0 };
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }

  vanillaExport(): GroupSort {
    return new GroupSort(this.groupSize, { kCoefLip: this.kCoefLip });
  }
}
