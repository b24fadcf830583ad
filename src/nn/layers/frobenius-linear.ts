// FrobeniusLinear: a dense layer whose weight, or each row of it, has Frobenius norm 1.

import { flag, type Options } from "../../options.js";
import { DENSE, Dense } from "../affine/dense.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { FROBENIUS, Frobenius, type FrobeniusOptions } from "../parametrizations/frobenius.js";
import { Linear } from "./linear.js";

const definition = affine({
  type: "FrobeniusLinear",
  positional: ["inFeatures", "outFeatures"],
  schema: { ...DENSE, ...BIAS, ...FROBENIUS, disjointNeurons: flag(true) },
  parts: (options) => ({
    map: new Dense(options),
    // One row by itself is the whole weight.
    parametrization: new Frobenius({ rowByRow: options.disjointNeurons && options.outFeatures > 1 }),
  }),
});

/** Options of {@link FrobeniusLinear}. */
export interface FrobeniusLinearOptions extends FrobeniusOptions {
  /** Whether each row has the norm `kCoefLip` by itself, the default, or the whole weight. */
  disjointNeurons?: boolean;
}

/**
 * y = x Wᵀ + b with a W of Frobenius norm `kCoefLip`. With `disjointNeurons` and more than one output each *result* is
 * kCoefLip-Lipschitz, as heads of one-against-all classifiers need it, but not the layer: its rows may agree, and its bound is
 * proved from its weight, up to sqrt(outFeatures) kCoefLip; `lipschitzByConstruction` is false then.
 */
export class FrobeniusLinear extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: FrobeniusLinearOptions,
  ) {
    const all = optionsOf(definition, [inFeatures, outFeatures], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Linear {
    const { inFeatures, outFeatures, options } = this;
    return this.exported((values) => new Linear(inFeatures, outFeatures, { bias: options.bias }, values));
  }
}
