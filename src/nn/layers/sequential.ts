// Sequential: layers one after another, and how their Lipschitz constants make up that of the whole.

import { TslipError } from "../../errors.js";
import { coefficient, flag, type Options } from "../../options.js";
import { Container, checkConstrained } from "../container.js";
import { type Definition, optionsOf } from "../definition.js";
import type { Flow } from "../flow.js";
import { coefficientShare, LipschitzModule, sharing } from "../lipschitz.js";
import type { Module } from "../module.js";
import { modules } from "../module-option.js";
import { naming } from "../naming.js";
import { refuseOverridden } from "../overridden.js";
import { exportOf, snapshot } from "../snapshot.js";

/** Options of {@link Sequential}. */
export interface SequentialOptions {
  /**
   * Lipschitz constant of the whole; by default 1, or what the layers make of it where all have constants of their own. Infinity, as a
   * field, where `constrained` is `false`.
   */
  kCoefLip?: number | undefined;
  /** `false` makes an ordinary container: no constant is promised or shared out, any layer is welcome. */
  constrained?: boolean;
}

const definition = {
  type: "Sequential",
  positional: ["layers"],
  schema: { layers: modules, kCoefLip: coefficient, constrained: flag(true) },
} satisfies Definition;

/**
 * Layers one after another. `kCoefLip` K is shared out over the Lipschitz layers: each of the n that have none of their
 * own gets K^(1/n), after the coefficients that were given are divided out; a nested container counts as one layer.
 * A layer that is not Lipschitz by construction is named in a process warning; it is exported as it is.
 */
export class Sequential extends Container {
  static readonly definition: Definition = definition;
  readonly options: Options<typeof definition.schema>;
  readonly layers: readonly Module[];

  constructor(layers: readonly Module[], options?: SequentialOptions) {
    const all = optionsOf(definition, [layers], options);
    const { kCoefLip, constrained } = all;
    super(kCoefLip);
    checkConstrained("Sequential", all);
    this.layers = all.layers;
    this.options = all;
    // Lists the parameters once, so that one reached by a loss is known to belong to a module.
    this.namedStates();
    if (!constrained) return;
    sharing(() => this.#shareOut(kCoefLip ?? 1, kCoefLip !== undefined));
    this.warnOfParts("layer");
  }

  override children(): [string, Module][] {
    return this.layers.map((layer, i) => [String(i), layer]);
  }

  flow<V>(x: V, flow: Flow<V>): V {
    return this.layers.reduce((value, layer, i) => flow.through(layer, value, String(i)), x);
  }

  /** Where all layers are, if a constant is promised for the whole. */
  override get lipschitzByConstruction(): boolean {
    return this.options.constrained && this.partsByConstruction;
  }

  override get takesShares(): boolean {
    return this.options.constrained;
  }

  /** The constant asked of the whole, which keeps it where it is Lipschitz by construction; Infinity for an ordinary container. */
  override get kCoefLip(): number {
    return this.options.constrained ? super.kCoefLip : Number.POSITIVE_INFINITY;
  }

  override get inputShape(): readonly (number | undefined)[] | undefined {
    return this.layers[0]?.inputShape;
  }

  override takeShare(kCoefLip: number, owner: Module): void {
    super.takeShare(kCoefLip, owner);
    this.#shareOut(kCoefLip, true);
  }

  /** An ordinary network with the weights of now, all of one step, in an ordinary container. */
  vanillaExport(): Sequential {
    refuseOverridden(this, "vanillaExport");
    const build = (): Sequential =>
      new Sequential(
        this.layers.map((layer, i) => naming(layer, String(i), () => exportOf(layer))),
        { constrained: false },
      );
    return snapshot(build).inModeOf(this);
  }

  #shareOut(total: number, asked: boolean): void {
    const members = this.layers.filter(
      (layer): layer is LipschitzModule => layer instanceof LipschitzModule && layer.takesShares,
    );
    // A layer that stands twice counts twice.
    const constants = members.map((layer) => layer.fixedCoefficient(this));
    const fixed = constants.filter((k) => k !== undefined);
    const open = members.filter((_, i) => constants[i] === undefined);
    if (open.length > 0) {
      const share = coefficientShare(total, fixed, open.length);
      for (const layer of open) layer.takeShare(share, this);
      return;
    }
    const product = fixed.reduce((p, k) => p * k, 1);
    // Constants that made up a total may be rounded by a few units in the last place.
    if (asked && product > total * (1 + (fixed.length + 1) * Number.EPSILON)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `no layer of the Sequential takes a share of the ${total} asked of it: the constants that they have already, or 1 where they have ` +
          `none, multiply to ${product}; leave out the kCoefLip of a layer that was given one, add a layer that takes a share, such as ` +
          "a spectral one, or leave out that of the Sequential",
      );
    }
    // Nothing of it can change, so that it is no container's to set.
    if (this.givenCoefficient === undefined) super.takeShare(product, this);
  }
}
