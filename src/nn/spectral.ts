// SpectralLinear and SpectralConv2d: layers whose weight has all singular values 1 (Anil et al. 2019, Serrurier et al. 2021).

import { conv2dLipschitzUpperBound, convolutionFactor } from "../native.js";
import { orthogonal, randn, zeros } from "../tensor/create.js";
import { bytesOf } from "../tensor/dtype.js";
import { type Shape, sizeOf, wholeNumber } from "../tensor/shape.js";
import { Parameter } from "../tensor/state.js";
import type { Tensor } from "../tensor/tensor.js";
import {
  affine,
  boundOptions,
  type Conv2d,
  type Conv2dOptions,
  type ConvolutionLayout,
  conv2dOf,
  convolve,
  type Linear,
  layoutOf,
  linearOf,
  matrixBound,
} from "./linear.js";
import { checkFlag, LipschitzModule, roundDownToFloat32 } from "./lipschitz.js";
import type { Architecture } from "./module.js";
import { bjorckNormalization, safeSpectralNormalization } from "./normalization.js";

const BJORCK_ITERATIONS = 15;
const EXCHANGE_ITERATIONS = 10;
const EXCHANGE_SEED = 1;

/** What spectral layers have beyond ordinary ones. */
export interface SpectralOptions {
  bias?: boolean;
  /** Lipschitz constant; left out, the Sequential that holds the layer sets it (1 elsewhere). */
  kCoefLip?: number;
  /** Björck iterations, by default 15. */
  bjorckIterations?: number;
}

/** A layer with one weight that is normalized, and perhaps a bias. */
abstract class SpectralLayer extends LipschitzModule {
  readonly bias: Parameter | undefined;
  /** The weight before normalization; the layer computes with {@link effectiveWeight}. */
  readonly weight: Parameter;
  readonly bjorckIterations: number;

  constructor(shape: Shape, options: SpectralOptions) {
    const { bias = true, bjorckIterations = BJORCK_ITERATIONS } = options;
    checkFlag("bias", bias);
    wholeNumber("bjorckIterations", bjorckIterations, 0);
    super(options.kCoefLip);
    this.bjorckIterations = bjorckIterations;
    const [rows = 1, ...rest] = shape;
    const init = orthogonal(rows, sizeOf(rest)).reshape(shape);
    this.bias = bias ? new Parameter(zeros([rows]), { name: "bias" }) : undefined;
    this.weight = new Parameter(init, { name: "weight" });
  }

  /** What makes the layer 1-Lipschitz once its weight matrix has norm 1. */
  protected abstract factor(): number;

  /** The weight that is computed with: normalized, orthogonalized, scaled. A pure function of the parameters. */
  effectiveWeight(): Tensor {
    const scale = roundDownToFloat32(this.factor() * this.kCoefLip);
    const unit = this.#orthogonalized();
    return scale === 1 ? unit : unit.mul(scale);
  }

  #matrix(): Tensor {
    return this.weight.reshape([this.weight.shape[0] ?? 1, -1]);
  }

  #orthogonalized(): Tensor {
    const matrix = bjorckNormalization(safeSpectralNormalization(this.#matrix()), {
      iterations: this.bjorckIterations,
    });
    return matrix.reshape(this.weight.shape);
  }

  protected override stateKey(field: string): string {
    return field === "weight" ? "parametrizations.weight.original" : field;
  }

  /** The vectors of torchlip's power iteration and its stored orthogonal weight. */
  override exchanged(): [string, Tensor][] {
    const matrix = this.#matrix();
    const unit = (x: Tensor): Tensor => x.div(x.square().sum().sqrt().maximum(1e-12));
    let u = unit(randn([matrix.shape[0] ?? 1], { seed: EXCHANGE_SEED }));
    let v = unit(u.matmul(matrix));
    for (let i = 0; i < EXCHANGE_ITERATIONS; i++) {
      u = unit(matrix.matmul(v));
      v = unit(u.matmul(matrix));
    }
    const at = "parametrizations.weight";
    return [
      [`${at}.0._u`, u],
      [`${at}.0._v`, v],
      [`${at}.1._w_bjorck`, this.#orthogonalized()],
    ];
  }
}

/** y = x Wᵀ + b with a W of spectral norm `kCoefLip`: kCoefLip-Lipschitz, and norm-preserving where `in >= out` allows. */
export class SpectralLinear extends SpectralLayer {
  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: SpectralOptions = {},
  ) {
    wholeNumber("inFeatures", inFeatures, 1);
    wholeNumber("outFeatures", outFeatures, 1);
    super([outFeatures, inFeatures], options);
  }

  protected factor(): number {
    return 1;
  }

  forward(x: Tensor): Tensor {
    return affine(x, this.effectiveWeight(), this.bias);
  }

  lipschitzBound(): number {
    return matrixBound(this.effectiveWeight());
  }

  vanillaExport(): Linear {
    return linearOf(this.effectiveWeight(), this.bias);
  }

  override architecture(): Architecture {
    const { inFeatures, outFeatures, bjorckIterations, bias, givenCoefficient: kCoefLip } = this;
    return { type: "SpectralLinear", inFeatures, outFeatures, bias: bias !== undefined, kCoefLip, bjorckIterations };
  }
}

/** Options of {@link SpectralConv2d}. */
export interface SpectralConv2dOptions extends Conv2dOptions, SpectralOptions {}

/**
 * A convolution that is kCoefLip-Lipschitz: the kernel matrix `[out, in * kh * kw]` is orthogonalized, then scaled by the
 * convolution factor, the smaller of torchlip's coefficient and overlap^-1/2.
 */
export class SpectralConv2d extends SpectralLayer {
  readonly #options: SpectralConv2dOptions;
  readonly #layout: ConvolutionLayout;
  readonly #factor: number;

  constructor(
    readonly inChannels: number,
    readonly outChannels: number,
    options: SpectralConv2dOptions,
  ) {
    const layout = layoutOf(inChannels, outChannels, options);
    const factor = convolutionFactor(boundOptions(layout));
    super(layout.weightShape, options);
    this.#options = { ...options };
    this.#layout = layout;
    this.#factor = factor;
  }

  /** Stride, padding and the rest, filled in. */
  get layout(): ConvolutionLayout {
    return this.#layout;
  }

  protected factor(): number {
    return this.#factor;
  }

  forward(x: Tensor): Tensor {
    return convolve(x, this.effectiveWeight(), this.bias, this.#layout);
  }

  lipschitzBound(): number {
    const weight = bytesOf(this.effectiveWeight().dataSync());
    return conv2dLipschitzUpperBound(weight, this.weight.shape, boundOptions(this.#layout));
  }

  vanillaExport(): Conv2d {
    return conv2dOf(this.effectiveWeight(), this.bias, this.inChannels, this.#options);
  }

  override architecture(): Architecture {
    const { inChannels, outChannels } = this;
    return { type: "SpectralConv2d", inChannels, outChannels, ...this.#options };
  }
}
