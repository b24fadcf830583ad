// BROLinear: a dense layer with a block reflector as its weight (Lai et al. 2025).

import { TslipError } from "../../errors.js";
import { type Options, optional, whole } from "../../options.js";
import { DENSE, Dense } from "../affine/dense.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { BlockReflector } from "../parametrizations/block-reflector.js";
import { ORTHOGONAL } from "../parametrizations/orthonormal.js";
import { Linear } from "./linear.js";

const { kCoefLip, bjorckIterations } = ORTHOGONAL;

const definition = affine({
  type: "BROLinear",
  positional: ["inFeatures", "outFeatures"],
  schema: { ...DENSE, ...BIAS, kCoefLip, bjorckIterations, rank: optional(whole(1)) },
  parts: (options) => {
    const { inFeatures, outFeatures, rank = 1 } = options;
    const order = Math.max(inFeatures, outFeatures);
    if (rank > order) {
      throw new TslipError("INVALID_ARGUMENT", `rank ${rank} must be at most ${order}, the larger number of features`);
    }
    return { map: new Dense(options), parametrization: new BlockReflector(options) };
  },
});

/** Options of {@link BROLinear}. */
export interface BROLinearOptions {
  bias?: boolean;
  /** Lipschitz constant; left out, the container that holds the layer sets it (1 elsewhere). */
  kCoefLip?: number | undefined;
  /** Columns of V, from 1 to the larger number of features, of which by default it is half. */
  rank?: number | undefined;
  /** Björck iterations, by default 30. */
  bjorckIterations?: number;
}

/**
 * y = x Wᵀ + b with W = kCoefLip (I - 2 V (Vᵀ V)^-1 Vᵀ), cut to its rows and columns: all min(in, out) singular values are `kCoefLip`,
 * and none is more where V has lost its rank. With as many inputs as results W is symmetric, of eigenvalues ± `kCoefLip`.
 */
export class BROLinear extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: BROLinearOptions,
  ) {
    const all = optionsOf(definition, [inFeatures, outFeatures], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Linear {
    const { inFeatures, outFeatures, options } = this;
    return this.exported((values) => new Linear(inFeatures, outFeatures, { bias: options.bias }, values));
  }
}
