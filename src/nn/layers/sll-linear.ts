// SLLLinear: the SDP-based Lipschitz layer of Araujo et al. 2023, dense.

import type { Options } from "../../options.js";
import { zeros } from "../../tensor/create.js";
import { Parameter } from "../../tensor/state.js";
import { densePair, FEATURES } from "../affine/adjoint.js";
import type { AffineValues } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { sdpPotential } from "../parametrizations/potential.js";
import { POTENTIAL, PotentialLayer, type PotentialOptions, potential } from "../potential-layer.js";
import { ConvexPotentialLinear } from "./convex-potential-linear.js";

const definition = potential({
  type: "SLLLinear",
  positional: ["features", "hiddenFeatures"],
  schema: { ...FEATURES, ...POTENTIAL },
  pair: (options) => densePair(options),
});

/**
 * y = kCoefLip (x - 2 Wᵀ T^-1 relu(W x + b)) with T_i = Σ_j |W Wᵀ|_ij q_j / q_i, weight `[hidden, features]`: kCoefLip-Lipschitz.
 * `q` `[hidden]` holds logarithms of the positive numbers q, 0 at first.
 */
export class SLLLinear extends PotentialLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;
  readonly q: Parameter;

  constructor(
    readonly features: number,
    hiddenFeatures?: number,
    options?: PotentialOptions,
  ) {
    const all = optionsOf(definition, [features, hiddenFeatures], options);
    const pair = definition.pair(all);
    super(all, pair);
    this.q = new Parameter(zeros([pair.map.outputs]), { name: "q" });
  }

  effective(): AffineValues {
    return sdpPotential(this, this.q, 1);
  }

  vanillaExport(): ConvexPotentialLinear {
    const { features, hiddenFeatures, bias } = this.options;
    return this.exported(
      (kCoefLip, values) => new ConvexPotentialLinear(features, hiddenFeatures, { bias, kCoefLip }, values),
    );
  }
}
