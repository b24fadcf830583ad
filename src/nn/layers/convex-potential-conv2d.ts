// ConvexPotentialConv2d: x - Wᵀ relu(W x + b) with any convolution: what CPLConv2d and SLLConv2d export.

import type { Options } from "../../options.js";
import { convolutionPair, HIDDEN_CHANNELS } from "../affine/adjoint.js";
import type { AffineValues } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { POTENTIAL, type PotentialConv2dOptions, PotentialLayer, potential } from "../potential-layer.js";

const definition = potential({
  type: "ConvexPotentialConv2d",
  positional: ["channels", "hiddenChannels"],
  schema: { ...HIDDEN_CHANNELS, ...POTENTIAL },
  pair: (options) => convolutionPair(options),
});

/**
 * y = kCoefLip (x - Wᵀ relu(W x + b)) of images NCHW, W being a convolution that keeps their size and Wᵀ its adjoint, weight `[hidden,
 * channels / groups, kh, kw]`; kCoefLip max(1, ‖W‖² - 1)-Lipschitz, so it keeps its constant only as long as ‖W‖² <= 2.
 */
export class ConvexPotentialConv2d extends PotentialLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly channels: number,
    hiddenChannels: number | undefined,
    options: PotentialConv2dOptions,
    values?: AffineValues,
  ) {
    const all = optionsOf(definition, [channels, hiddenChannels], options);
    super(all, definition.pair(all), values);
  }

  override get lipschitzByConstruction(): boolean {
    return false;
  }

  effective(): AffineValues {
    const { weight, bias } = this;
    return { weight, bias };
  }

  vanillaExport(): ConvexPotentialConv2d {
    const { channels, hiddenChannels, ...options } = this.options;
    return this.exported(
      (kCoefLip, values) => new ConvexPotentialConv2d(channels, hiddenChannels, { ...options, kCoefLip }, values),
    );
  }
}
