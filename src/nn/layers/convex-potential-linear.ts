// ConvexPotentialLinear: x - Wᵀ relu(W x + b) with any dense weight: what CPLLinear and SLLLinear export.

import type { Options } from "../../options.js";
import { densePair, FEATURES } from "../affine/adjoint.js";
import type { AffineValues } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { POTENTIAL, PotentialLayer, type PotentialOptions, potential } from "../potential-layer.js";

const definition = potential({
  type: "ConvexPotentialLinear",
  positional: ["features", "hiddenFeatures"],
  schema: { ...FEATURES, ...POTENTIAL },
  pair: (options) => densePair(options),
});

/**
 * y = kCoefLip (x - Wᵀ relu(W x + b)) over the last axis, weight `[hidden, features]`; kCoefLip max(1, ‖W‖² - 1)-Lipschitz, so
 * it keeps its constant only as long as ‖W‖² <= 2.
 */
export class ConvexPotentialLinear extends PotentialLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly features: number,
    hiddenFeatures?: number,
    options?: PotentialOptions,
    values?: AffineValues,
  ) {
    const all = optionsOf(definition, [features, hiddenFeatures], options);
    super(all, definition.pair(all), values);
  }

  override get lipschitzByConstruction(): boolean {
    return false;
  }

  effective(): AffineValues {
    const { weight, bias } = this;
    return { weight, bias };
  }

  vanillaExport(): ConvexPotentialLinear {
    const { features, hiddenFeatures, bias } = this.options;
    return this.exported(
      (kCoefLip, values) => new ConvexPotentialLinear(features, hiddenFeatures, { bias, kCoefLip }, values),
    );
  }
}
