// Linear: a dense layer, PyTorch's in names, shapes and initial values.

import type { Options } from "../../options.js";
import { DENSE, Dense } from "../affine/dense.js";
import { AffineLayer, type AffineValues, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { INITIALIZER, type Initializer } from "../initializer.js";
import { ordinary } from "../parametrizations/ordinary.js";

const definition = affine({
  type: "Linear",
  positional: ["inFeatures", "outFeatures"],
  schema: { ...DENSE, ...BIAS, ...INITIALIZER },
  parts: (options) => ({ map: new Dense(options), parametrization: ordinary }),
});

/** y = x Wᵀ + b over the last axis of x; weight `[out, in]`. */
export class Linear extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options?: { bias?: boolean; initializer?: Initializer | undefined },
    values?: AffineValues,
  ) {
    const all = optionsOf(definition, [inFeatures, outFeatures], options);
    super(all, definition.parts(all), values);
  }

  vanillaExport(): Linear {
    const { inFeatures, outFeatures, options } = this;
    return this.exported((values) => new Linear(inFeatures, outFeatures, { bias: options.bias }, values));
  }
}
