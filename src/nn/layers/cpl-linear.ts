// CPLLinear: the convex potential layer of Meunier et al. 2022, dense.

import type { Options } from "../../options.js";
import { densePair, FEATURES } from "../affine/adjoint.js";
import type { AffineValues } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { convexPotential } from "../parametrizations/potential.js";
import { POTENTIAL, PotentialLayer, type PotentialOptions, potential } from "../potential-layer.js";
import { ConvexPotentialLinear } from "./convex-potential-linear.js";

const definition = potential({
  type: "CPLLinear",
  positional: ["features", "hiddenFeatures"],
  schema: { ...FEATURES, ...POTENTIAL },
  pair: (options) => densePair(options),
});

/** y = kCoefLip (x - 2 / s² Wᵀ relu(W x + b)) with s >= ‖W‖, weight `[hidden, features]`: kCoefLip-Lipschitz. */
export class CPLLinear extends PotentialLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly features: number,
    hiddenFeatures?: number,
    options?: PotentialOptions,
  ) {
    const all = optionsOf(definition, [features, hiddenFeatures], options);
    super(all, definition.pair(all));
  }

  effective(): AffineValues {
    return convexPotential(this, 1, 1);
  }

  vanillaExport(): ConvexPotentialLinear {
    const { features, hiddenFeatures, bias } = this.options;
    return this.exported(
      (kCoefLip, values) => new ConvexPotentialLinear(features, hiddenFeatures, { bias, kCoefLip }, values),
    );
  }
}
