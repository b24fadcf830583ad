// Projections: after each step of an optimizer the weights of ordinary layers are put back to where a Lipschitz constant holds.
import { TslipError } from "../errors.js";
import type { AffineLayer } from "../nn/affine-layer.js";
import { roundDownToFloat32 } from "../nn/lipschitz.js";
import type { Module } from "../nn/module.js";
import { bjorckNormalization, frobeniusNormalization, safeSpectralNormalization } from "../nn/normalization.js";
import { flag, optional, positive, readOptions, whole } from "../options.js";
import { scalar } from "../tensor/index.js";
import { assign, assignInTurn } from "../tensor/state.js";
import type { Tensor } from "../tensor/tensor.js";
import { gramOf, isWide, ordinaryLayers, scaleOf, strictestLayers, unitMatrix } from "./layers.js";

/** Puts the weights of a model back into a set; `fit` takes one as `projection`. */
export interface Projection {
  /** Brings weights from anywhere into the set, in the order of jobs: before the first step. */
  begin(model: Module): Promise<void>;
  /** The gradients to follow, of the parameters in their order. */
  gradients(model: Module, parameters: readonly Tensor[], gradients: readonly Tensor[]): readonly Tensor[];
  /** Assigns the weights after a step, inside of a compiled function: of the values that the optimizer has assigned. */
  project(model: Module): void;
}

/** Options of {@link spectral}. */
export interface SpectralProjectionOptions {
  /** Lipschitz constant that each layer keeps, by default 1. */
  kCoefLip?: number;
  /** Björck iterations after each step, by default 1. */
  iterations?: number;
  /** Takes from each gradient its part across the set of orthonormal weights before the optimizer sees it. By default false. */
  tangent?: boolean;
}

/** Options of {@link frobenius}. */
export interface FrobeniusProjectionOptions {
  /** Lipschitz constant that each layer keeps, by default 1. */
  kCoefLip?: number;
}

/** Options of {@link clip}: one of them, as each says what the other is. */
export interface ClipProjectionOptions {
  /** Lipschitz constant that each layer keeps, by default 1; not beside a `limit`. */
  kCoefLip?: number;
  /** Largest magnitude of an entry; without it the one with which no weight exceeds `kCoefLip`. */
  limit?: number;
}

const K = { kCoefLip: positive(1) };
const SPECTRAL = { ...K, iterations: whole(1, 1), tangent: flag(false) };
const CLIP = { kCoefLip: optional(positive()), limit: optional(positive()) };

/** Björck iterations that bring weights from anywhere to orthonormal ones, as layers with a reparametrization make. */
const BEGINNING = 15;
/** Up to here a Björck iteration takes singular values to at most 1: 1.5 s - 0.5 s^3 is within [-1, 1] for s in [0, 2]. */
const REACH = 1.7;
/** Far above what a matrix within reach has. */
const MOST_ENTRY = 16;

/**
 * Spectral projection: the weight of each ordinary layer, as a matrix divided by `kCoefLip` and the convolution factor, goes through
 * Björck iterations W <- 1.5 W - 0.5 W Wᵀ W (Björck and Bowie 1971) after each step. It was orthonormal a step ago, so one or two
 * are enough to keep it nearly so, and nothing is differentiated through them.
 *
 * Guarantee: an iteration takes each singular value s to 1.5 s - 0.5 s³, which is at most 1 for s up to 2; a weight whose bound by the
 * rows of its Gram matrix, ‖W‖² <= max_i sum_j |W Wᵀ|_ij, is above 1.7² is scaled down to it first. Whatever the optimizer does, each
 * layer is `kCoefLip`-Lipschitz after each step, up to the rounding of float32; how close its smaller singular values are to 1 depends
 * on how far a step goes. A certificate rests on none of this: it proves the weights as they are.
 *
 * With `tangent` the optimizer follows G - sym(G Wᵀ) W, the part of the gradient along the set of orthonormal matrices.
 */
export function spectral(options: SpectralProjectionOptions = {}): Projection {
  const { kCoefLip, iterations, tangent } = readOptions("projections.spectral()", SPECTRAL, options);
  return projection("projections.spectral()", {
    kCoefLip,
    anywhere: (w) => bjorckNormalization(safeSpectralNormalization(w), { iterations: BEGINNING }),
    near(w) {
      let result = w;
      for (let i = 0; i < iterations; i++) result = bjorckStep(result);
      return result;
    },
    ...(tangent ? { along: tangentPart } : {}),
  });
}

/**
 * Frobenius projection: the weight of each ordinary layer is divided by its Frobenius norm, times `kCoefLip` and the convolution
 * factor. Guarantee: the spectral norm is at most the Frobenius norm, so each layer is `kCoefLip`-Lipschitz up to rounding, as a rule
 * by far. A zero weight stays zero.
 */
export function frobenius(options: FrobeniusProjectionOptions = {}): Projection {
  const { kCoefLip } = readOptions("projections.frobenius()", K, options);
  const unit = (w: Tensor): Tensor => frobeniusNormalization(w);
  return projection("projections.frobenius()", { kCoefLip, anywhere: unit, near: unit });
}

/**
 * Clipping: each entry of the weight of each ordinary layer is kept within ±`limit`. Guarantee: without a `limit`, that of a weight of n
 * entries is `kCoefLip` times the convolution factor / sqrt(n), so that the Frobenius norm is at most `kCoefLip` times the factor; with
 * one, each layer has the constant limit sqrt(n) / factor at most. Very loose: it is what Wasserstein GANs began with (Arjovsky
 * et al. 2017).
 */
export function clip(options: ClipProjectionOptions = {}): Projection {
  const { kCoefLip: given, limit } = readOptions("projections.clip()", CLIP, options);
  if (given !== undefined && limit !== undefined) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `projections.clip() takes { kCoefLip }, from which the limit of each layer follows, or { limit }, which says the constant; given ` +
        `both, kCoefLip ${given} and limit ${limit}: leave one of them out`,
    );
  }
  const kCoefLip = given ?? 1;
  const clipped = (w: Tensor, layer: AffineLayer): Tensor => {
    const most = roundDownToFloat32(limit === undefined ? 1 / Math.sqrt(w.size) : limit / scaleOf(layer, kCoefLip));
    return w.clip(-most, most);
  };
  return projection("projections.clip()", { kCoefLip, anywhere: clipped, near: clipped });
}

/** What becomes of a weight as a matrix for which 1 is the bound. */
interface Rule {
  readonly kCoefLip: number;
  anywhere(w: Tensor, layer: AffineLayer): Tensor;
  near(w: Tensor, layer: AffineLayer): Tensor;
  /** The part of a gradient by `w` that is followed. */
  along?(w: Tensor, gradient: Tensor): Tensor;
}

function projection(owner: string, rule: Rule): Projection {
  const { kCoefLip, along } = rule;
  const projected = (layer: AffineLayer, next: (w: Tensor, layer: AffineLayer) => Tensor): Tensor =>
    next(unitMatrix(layer, kCoefLip), layer)
      .reshape(layer.weight.shape)
      .mul(roundDownToFloat32(scaleOf(layer, kCoefLip)));
  const layersOf = (model: Module) =>
    strictestLayers(ordinaryLayers(owner, model).filter(({ weight }) => weight.trainable));
  return Object.freeze({
    async begin(model: Module): Promise<void> {
      await assignInTurn([...layersOf(model).values()].map((layer) => [layer.weight, projected(layer, rule.anywhere)]));
    },
    gradients(model: Module, parameters: readonly Tensor[], gradients: readonly Tensor[]): readonly Tensor[] {
      if (along === undefined) return gradients;
      const layers = layersOf(model);
      return gradients.map((gradient, i) => {
        const layer = layers.get(parameters[i] as Tensor);
        if (layer === undefined) return gradient;
        const w = unitMatrix(layer, kCoefLip);
        return along(w, gradient.reshape(w.shape)).reshape(gradient.shape);
      });
    },
    project(model: Module): void {
      for (const layer of layersOf(model).values()) assign(layer.weight, projected(layer, rule.near));
    },
  });
}

/** One iteration by the Gram matrix of the small side; a matrix that may be out of its reach is scaled into it first. */
function bjorckStep(given: Tensor): Tensor {
  // No entry is above the norm: larger ones are scaled before their squares overflow.
  const w = given.mul(limited(given.abs().max(), MOST_ENTRY));
  const gram = gramOf(w);
  // ‖W‖² is at most the largest sum of magnitudes in a row of the Gram matrix.
  const square = limited(gram.abs().sum([1]).max(), REACH * REACH);
  const correction = isWide(w) ? gram.matmul(w) : w.matmul(gram);
  return w
    .mul(1.5)
    .sub(correction.mul(square.mul(0.5)))
    .mul(square.sqrt());
}

/** What takes a number down to `most` where it is above that, else 1. */
function limited(value: Tensor, most: number): Tensor {
  return value.greater(most).where(scalar(most).div(value), 1);
}

/** G - sym(G Wᵀ) W, on the small side. */
function tangentPart(w: Tensor, gradient: Tensor): Tensor {
  if (!isWide(w)) return tangentPart(w.transpose(), gradient.transpose()).transpose();
  const across = gradient.matmul(w, { transposeB: true });
  return gradient.sub(across.add(across.transpose()).mul(0.5).matmul(w));
}
