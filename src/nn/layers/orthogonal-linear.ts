// OrthogonalLinear: a dense layer with orthonormal rows or columns, by a choice of methods.

import type { Options } from "../../options.js";
import { DENSE, Dense } from "../affine/dense.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { ORTHOGONAL, type OrthogonalOptions, Orthonormal } from "../parametrizations/orthonormal.js";
import { Linear } from "./linear.js";

const definition = affine({
  type: "OrthogonalLinear",
  positional: ["inFeatures", "outFeatures"],
  schema: { ...DENSE, ...BIAS, ...ORTHOGONAL },
  parts: (options) => ({ map: new Dense(options), parametrization: new Orthonormal(options) }),
});

/** y = x Wᵀ + b with all min(in, out) singular values of W equal to `kCoefLip`, but for those that are 0 in its parameter. */
export class OrthogonalLinear extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: OrthogonalOptions,
  ) {
    const all = optionsOf(definition, [inFeatures, outFeatures], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Linear {
    const { inFeatures, outFeatures, options } = this;
    return this.exported((values) => new Linear(inFeatures, outFeatures, { bias: options.bias }, values));
  }
}
