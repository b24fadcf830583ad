// AOLLinear: a dense layer with an almost orthogonal weight (Prach and Lampert 2022).

import { coefficient, type Options } from "../../options.js";
import { DENSE, Dense } from "../affine/dense.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { AlmostOrthogonal } from "../parametrizations/almost-orthogonal.js";
import { Linear } from "./linear.js";

const definition = affine({
  type: "AOLLinear",
  positional: ["inFeatures", "outFeatures"],
  schema: { ...DENSE, ...BIAS, kCoefLip: coefficient },
  parts: (options) => ({ map: new Dense(options), parametrization: new AlmostOrthogonal() }),
});

/** y = x (W D)ᵀ + b with D_i = kCoefLip (Σ_j |Wᵀ W|_ij)^-1/2: kCoefLip-Lipschitz without any iteration. */
export class AOLLinear extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: { bias?: boolean; kCoefLip?: number | undefined },
  ) {
    const all = optionsOf(definition, [inFeatures, outFeatures], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Linear {
    const { inFeatures, outFeatures, options } = this;
    return this.exported((values) => new Linear(inFeatures, outFeatures, { bias: options.bias }, values));
  }
}
