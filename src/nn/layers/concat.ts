// Concat: branches side by side.

import { TslipError } from "../../errors.js";
import { coefficient, flag, type Options } from "../../options.js";
import { Container, checkConstrained } from "../container.js";
import { type Definition, optionsOf } from "../definition.js";
import type { Flow } from "../flow.js";
import { LipschitzModule, sharing, squareShare } from "../lipschitz.js";
import type { Module } from "../module.js";
import { modules } from "../module-option.js";
import { naming } from "../naming.js";
import { refuseOverridden } from "../overridden.js";
import { exportOf, snapshot } from "../snapshot.js";

/** Options of {@link Concat}. */
export interface ConcatOptions {
  /** Lipschitz constant of the whole, by default 1, or what the branches make of it where all have constants of their own. */
  kCoefLip?: number | undefined;
  /** `false` makes an ordinary container: no constant is promised or shared out. */
  constrained?: boolean;
}

const definition = {
  type: "Concat",
  positional: ["branches"],
  schema: { branches: modules, kCoefLip: coefficient, constrained: flag(true) },
} satisfies Definition;

/**
 * The results of branches of one input, side by side along the channels, axis 1. The squares of the branches' constants add up to that
 * of the whole, K: each of the n that have none of their own gets sqrt((K² - squares of the others) / n). A branch without
 * an option of that name, such as Identity, has a constant of 1. A branch that is not Lipschitz by construction is named in a process
 * warning, and nothing is shared out.
 */
export class Concat extends Container {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly branches: readonly Module[];

  constructor(branches: readonly Module[], options?: ConcatOptions) {
    const all = optionsOf(definition, [branches], options);
    const { kCoefLip, constrained } = all;
    super(kCoefLip);
    if (all.branches.length === 0) {
      throw new TslipError("INVALID_ARGUMENT", "Concat takes at least one branch; given an empty array");
    }
    checkConstrained("Concat", all);
    this.branches = all.branches;
    this.options = all;
    if (!constrained) return;
    if (this.lipschitzByConstruction) sharing(() => this.#shareOut(kCoefLip ?? 1, kCoefLip !== undefined));
    this.warnOfParts("branch");
  }

  override children(): [string, Module][] {
    return this.branches.map((branch, i) => [String(i), branch]);
  }

  flow<V>(x: V, flow: Flow<V>): V {
    return flow.concat(this.branches.map((branch, i) => flow.through(branch, x, String(i))));
  }

  /** Where all branches are, if a constant is promised for the whole. */
  override get lipschitzByConstruction(): boolean {
    return this.options.constrained && this.partsByConstruction;
  }

  /** The constant asked of the whole, which keeps it where it is Lipschitz by construction; Infinity for an ordinary container. */
  override get kCoefLip(): number {
    return this.options.constrained ? super.kCoefLip : Number.POSITIVE_INFINITY;
  }

  override get inputShape(): readonly (number | undefined)[] | undefined {
    return this.branches.map(({ inputShape }) => inputShape).find((shape) => shape !== undefined);
  }

  override takeShare(kCoefLip: number, owner: Module): void {
    super.takeShare(kCoefLip, owner);
    if (this.lipschitzByConstruction) this.#shareOut(kCoefLip, true);
  }

  /** Ordinary branches with the weights of now, all of one step, in an ordinary container. */
  vanillaExport(): Concat {
    refuseOverridden(this, "vanillaExport");
    const build = (): Concat =>
      new Concat(
        this.branches.map((branch, i) => naming(branch, String(i), () => exportOf(branch))),
        { constrained: false },
      );
    return snapshot(build).inModeOf(this);
  }

  #shareOut(total: number, asked: boolean): void {
    const constants = this.branches.map((branch) =>
      branch instanceof LipschitzModule ? branch.fixedCoefficient(this) : 1,
    );
    const fixed = constants.filter((k) => k !== undefined);
    const open = this.branches.filter((_, i) => constants[i] === undefined) as LipschitzModule[];
    const share = squareShare(total, fixed, open.length);
    if (share !== undefined) {
      for (const branch of open) branch.takeShare(share, this);
      return;
    }
    if (asked) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `kCoefLip ${total} of a Concat leaves no room: the branches that take no share of it, as they have a kCoefLip of their own or ` +
          `always keep 1, make ${Math.hypot(...fixed)}; give the Concat a larger one, or them a smaller one or a spectral layer`,
      );
    }
    // What the branches have is what the whole keeps.
    super.takeShare(Math.hypot(...fixed, ...open.map(() => 1)), this);
    for (const branch of open) branch.takeShare(1, this);
  }
}
