// LastLayerNormalization: the dense layer at the end, with rows of length 1 (Singla et al. 2022).

import type { Options } from "../../options.js";
import { DENSE, Dense } from "../affine/dense.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { unitRows } from "../parametrizations/unit-rows.js";
import { Linear } from "./linear.js";

const definition = affine({
  type: "LastLayerNormalization",
  positional: ["inFeatures", "outFeatures"],
  schema: { ...DENSE, ...BIAS },
  parts: (options) => ({ map: new Dense(options), parametrization: unitRows }),
});

/**
 * y = x Wᵀ + b with rows of W of length 1: each logit is 1-Lipschitz. All of them together need not be, so `kCoefLip` is Infinity;
 * `lipschitzBound()` proves the norm of W, at most sqrt(min(in, out)).
 */
export class LastLayerNormalization extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: { bias?: boolean },
  ) {
    const all = optionsOf(definition, [inFeatures, outFeatures], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Linear {
    const { inFeatures, outFeatures, options } = this;
    return this.exported((values) => new Linear(inFeatures, outFeatures, { bias: options.bias }, values));
  }
}
