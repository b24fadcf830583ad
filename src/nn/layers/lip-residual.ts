// LipResidual: a branch beside its input, mixed by a learnable share.

import { TslipError } from "../../errors.js";
import { coefficient, flag, type Options } from "../../options.js";
import { zeros } from "../../tensor/create.js";
import { showShape } from "../../tensor/shape.js";
import { Parameter } from "../../tensor/state.js";
import type { Tensor } from "../../tensor/tensor.js";
import { Container } from "../container.js";
import { type Definition, optionsOf } from "../definition.js";
import type { Flow } from "../flow.js";
import { LipschitzModule, sharing } from "../lipschitz.js";
import { Module } from "../module.js";
import { module } from "../module-option.js";
import { atOnce, type Proof, type Proving, provedNow, settled } from "../proof.js";
import type { Rounding } from "../rounding.js";
import { exportOf, snapshot } from "../snapshot.js";

const definition = {
  type: "LipResidual",
  positional: ["branch"],
  schema: { branch: module, kCoefLip: coefficient, constrained: flag(true) },
} satisfies Definition;

/** Options of {@link LipResidual}. */
export interface LipResidualOptions {
  /** The factor of the input, and the Lipschitz constant of the whole if the branch keeps it; by default 1. */
  kCoefLip?: number | undefined;
  /** `false` promises no constant of the whole, whatever the branch is, and leaves the branch its own. */
  constrained?: boolean;
}

/**
 * y = kCoefLip a x + (1 - a) branch(x), where a = sigmoid(alpha) is learnt: kCoefLip-Lipschitz if the branch is, which a process
 * warning names where it is not by construction. The branch keeps the shape of x. In state dictionaries `alpha` is 0-d, as in torchlip.
 */
export class LipResidual extends Container {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly alpha: Parameter;
  readonly branch: Module;
  readonly #kept: Gain;
  readonly #taken: Gain;

  constructor(branch: Module, options?: LipResidualOptions, values?: { alpha: Tensor }) {
    const all = optionsOf(definition, [branch], options);
    super(all.kCoefLip);
    this.options = all;
    this.branch = branch;
    if (values !== undefined) checkShare(values.alpha);
    this.alpha = new Parameter(values?.alpha ?? zeros([]), { name: "alpha" });
    const share = (): Tensor => checkShare(this.alpha).sigmoid();
    this.#kept = new Gain(() => share().mul(this.kCoefLip), this.alpha);
    this.#taken = new Gain(() => share().neg().add(1));
    if (!all.constrained) return;
    sharing(() => this.#shareOut(this.kCoefLip));
    this.warnOfParts("branch");
  }

  flow<V>(x: V, flow: Flow<V>): V {
    const branch = flow.through(this.branch, x, "branch");
    return flow.sum([flow.through(this.#kept, x, "kept"), flow.through(this.#taken, branch, "taken")]);
  }

  /** Where the branch is, if a constant is promised for the whole. */
  override get lipschitzByConstruction(): boolean {
    return this.options.constrained && this.partsByConstruction;
  }

  override get inputShape(): readonly (number | undefined)[] | undefined {
    return this.branch.inputShape;
  }

  override takeShare(kCoefLip: number, owner: Module): void {
    super.takeShare(kCoefLip, owner);
    this.#shareOut(kCoefLip);
  }

  /** The same with an exported branch and the share of now. */
  vanillaExport(): LipResidual {
    const { branch, kCoefLip, alpha } = this;
    return snapshot(() =>
      new LipResidual(exportOf(branch), { kCoefLip, constrained: false }, { alpha }).inModeOf(this),
    );
  }

  #shareOut(kCoefLip: number): void {
    const { branch } = this;
    if (!(branch instanceof LipschitzModule) || !branch.takesShares) {
      if (!branch.lipschitzByConstruction || kCoefLip >= 1) return;
      throw new TslipError(
        "INVALID_ARGUMENT",
        `the branch of a LipResidual, ${branch.constructor.name}, is 1-Lipschitz and keeps no smaller constant, such as the ` +
          `${kCoefLip} of the whole; put it into a Sequential with a spectral layer`,
      );
    }
    const fixed = branch.fixedCoefficient(this);
    if (fixed === undefined) branch.takeShare(kCoefLip, this);
    else if (fixed > kCoefLip) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `the branch of a LipResidual has the constant ${fixed} already, above the ${kCoefLip} of the whole; leave out the kCoefLip of one ` +
          "of them, or put a layer that takes a share, such as a spectral one, into the branch",
      );
    }
  }
}

/** One share for all that the branch gives: of shares of their own for parts of it no bound is known here. */
function checkShare(alpha: Tensor): Tensor {
  if (alpha.rank === 0 && alpha.dtype === "f32") return alpha;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `alpha of a LipResidual is one number, f32 of shape []; given ${alpha.dtype} of shape ${showShape(alpha.shape)}`,
    { shapes: [alpha.shape] },
  );
}

/** Roundings of a product, and how often those of a share may differ where it is computed for the bound and for the product. */
const GAIN_ROUNDINGS = 1 + 2 * 4;

/** x times a number that a state determines: a part of {@link LipResidual}. */
export class Gain extends Module implements Proving {
  readonly #gain: () => Tensor;

  /** `state` is listed as its own. */
  constructor(
    gain: () => Tensor,
    readonly state?: Parameter,
  ) {
    super();
    this.#gain = gain;
  }

  forward(x: Tensor): Tensor {
    return x.mul(this.#gain());
  }

  override lipschitzBound(): number {
    return provedNow(this.lipschitzProof());
  }

  lipschitzProof(): Proof<number> {
    return { from: [this.#gain()], follows: (gain) => atOnce(() => Math.abs(gain?.[0] ?? Number.NaN)) };
  }

  /** A sigmoid is off by at most 3 units, its complement rounds once more; a GPU may compute both again for each use. */
  override rounding(): Rounding {
    return { roundings: GAIN_ROUNDINGS, offset: 0 };
  }

  roundingProof(): Proof<Rounding> {
    return settled(this.rounding());
  }
}
