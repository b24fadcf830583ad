// PatchEmbedding: images as patches that do not overlap, each embedded by one orthogonal matrix.

import { type Options, optional, pair } from "../../options.js";
import type { Pair } from "../../tensor/shape.js";
import { CHANNELS, Convolution } from "../affine/convolution.js";
import { AffineLayer, affine, BIAS } from "../affine-layer.js";
import { type Definition, optionsOf } from "../definition.js";
import { SPECTRAL, Spectral, type SpectralOptions } from "../parametrizations/spectral.js";
import { Conv2d, type Conv2dOptions } from "./conv2d.js";

/** The convolution that embeds patches. */
function convolution({
  patchSize,
  inputSize,
}: {
  patchSize: readonly [number, number];
  inputSize: Conv2dOptions["inputSize"];
}) {
  const fixed = { padding: 0, dilation: [1, 1], groups: 1, paddingMode: "zeros" } as const;
  return { ...fixed, kernelSize: patchSize, stride: patchSize, inputSize };
}

const definition = affine({
  type: "PatchEmbedding",
  positional: ["inChannels", "outChannels"],
  schema: { ...CHANNELS, patchSize: pair(1), inputSize: optional(pair(1)), ...BIAS, ...SPECTRAL },
  parts: (options) => ({
    map: new Convolution({ ...options, ...convolution(options) }),
    parametrization: new Spectral(options),
  }),
});

/** Options of {@link PatchEmbedding}. */
export interface PatchEmbeddingOptions extends SpectralOptions {
  /** Sides of a patch: a number, or [height, width]. */
  patchSize: Pair;
  /** Image size [height, width], if it is always the same: others are refused. */
  inputSize?: readonly [number, number] | undefined;
}

/**
 * Images NCHW to `[n, out, h / patch, w / patch]`: each patch, as a vector, times one matrix with all singular values `kCoefLip`,
 * plus a bias. kCoefLip-Lipschitz, and norm-preserving where `out` is at least the numbers of a patch; what is left of the
 * image at the right and below is dropped.
 */
export class PatchEmbedding extends AffineLayer<Options<typeof definition.schema>> {
  static readonly definition: Definition = definition;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: PatchEmbeddingOptions,
  ) {
    const all = optionsOf(definition, [inChannels, outChannels], options);
    super(all, definition.parts(all));
  }

  vanillaExport(): Conv2d {
    const { inChannels, outChannels, options } = this;
    const { bias } = options;
    return this.exported((values) => new Conv2d(inChannels, outChannels, { ...convolution(options), bias }, values));
  }
}
