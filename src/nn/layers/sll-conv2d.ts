// SLLConv2d: the SDP-based Lipschitz layer of Araujo et al. 2023, a convolution.

import type { Options } from "../../options.js";
import { zeros } from "../../tensor/create.js";
import { Parameter } from "../../tensor/state.js";
import { convolutionPair, HIDDEN_CHANNELS } from "../affine/adjoint.js";
import type { AffineValues } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { sdpPotential } from "../parametrizations/potential.js";
import { POTENTIAL, type PotentialConv2dOptions, PotentialLayer, potential } from "../potential-layer.js";
import { ConvexPotentialConv2d } from "./convex-potential-conv2d.js";

const definition = potential({
  type: "SLLConv2d",
  positional: ["channels", "hiddenChannels"],
  schema: { ...HIDDEN_CHANNELS, ...POTENTIAL },
  pair: (options) => convolutionPair(options),
});

/**
 * y = kCoefLip (x - 2 Wᵀ T^-1 relu(W x + b)) of images NCHW with T_i = Σ_j A_ij q_j / q_i, A_ij being the sum of |W_i * W_j| over all
 * distances of two filters and W a convolution that keeps the size of images, weight `[hidden, channels / groups, kh, kw]`:
 * kCoefLip-Lipschitz. `q` `[hidden]` holds logarithms of the positive numbers q, 0 at first.
 */
export class SLLConv2d extends PotentialLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;
  readonly q: Parameter;

  constructor(
    readonly channels: number,
    hiddenChannels: number | undefined,
    options: PotentialConv2dOptions,
  ) {
    const all = optionsOf(definition, [channels, hiddenChannels], options);
    const pair = definition.pair(all);
    super(all, pair);
    this.q = new Parameter(zeros([pair.map.outputs]), { name: "q" });
  }

  effective(): AffineValues {
    return sdpPotential(this, this.q, this.options.groups);
  }

  vanillaExport(): ConvexPotentialConv2d {
    const { channels, hiddenChannels, ...options } = this.options;
    return this.exported(
      (kCoefLip, values) => new ConvexPotentialConv2d(channels, hiddenChannels, { ...options, kCoefLip }, values),
    );
  }
}
