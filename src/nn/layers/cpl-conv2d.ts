// CPLConv2d: the convex potential layer of Meunier et al. 2022, a convolution.

import type { Options } from "../../options.js";
import { convolutionPair, HIDDEN_CHANNELS } from "../affine/adjoint.js";
import type { AffineValues } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { convexPotential } from "../parametrizations/potential.js";
import { POTENTIAL, type PotentialConv2dOptions, PotentialLayer, potential } from "../potential-layer.js";
import { ConvexPotentialConv2d } from "./convex-potential-conv2d.js";

const definition = potential({
  type: "CPLConv2d",
  positional: ["channels", "hiddenChannels"],
  schema: { ...HIDDEN_CHANNELS, ...POTENTIAL },
  pair: (options) => convolutionPair(options),
});

/**
 * y = kCoefLip (x - 2 / s² Wᵀ relu(W x + b)) of images NCHW with s >= ‖W‖, W being a convolution that keeps their size, weight `[hidden,
 * channels / groups, kh, kw]`: kCoefLip-Lipschitz.
 */
export class CPLConv2d extends PotentialLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;
  readonly #factor: number;

  constructor(
    readonly channels: number,
    hiddenChannels: number | undefined,
    options: PotentialConv2dOptions,
  ) {
    const all = optionsOf(definition, [channels, hiddenChannels], options);
    const pair = definition.pair(all);
    super(all, pair);
    this.#factor = pair.map.windowFactor;
  }

  effective(): AffineValues {
    return convexPotential(this, this.#factor, this.options.groups);
  }

  vanillaExport(): ConvexPotentialConv2d {
    const { channels, hiddenChannels, ...options } = this.options;
    return this.exported(
      (kCoefLip, values) => new ConvexPotentialConv2d(channels, hiddenChannels, { ...options, kCoefLip }, values),
    );
  }
}
