// SpectralLinear: a dense layer whose weight has all singular values 1.

import type { Options } from "../../options.js";
import { DENSE, Dense } from "../affine/dense.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { SPECTRAL, Spectral, type SpectralOptions } from "../parametrizations/spectral.js";
import { Linear } from "./linear.js";

const definition = affine({
  type: "SpectralLinear",
  positional: ["inFeatures", "outFeatures"],
  schema: { ...DENSE, ...BIAS, ...SPECTRAL },
  parts: (options) => ({ map: new Dense(options), parametrization: new Spectral(options) }),
});

/** y = x Wᵀ + b with a W of spectral norm `kCoefLip`: kCoefLip-Lipschitz, and norm-preserving where `in >= out` allows. */
export class SpectralLinear extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: SpectralOptions,
  ) {
    const all = optionsOf(definition, [inFeatures, outFeatures], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Linear {
    const { inFeatures, outFeatures, options } = this;
    return this.exported((values) => new Linear(inFeatures, outFeatures, { bias: options.bias }, values));
  }
}
