// Normalizations and layers as functions of tensors.
import { TslipError } from "./errors.js";
import { wholeNumber } from "./tensor/shape.js";
import { Tensor } from "./tensor/tensor.js";

const NORM_FLOOR = 1e-12;

function unit(x: Tensor): Tensor {
  return x.div(x.square().sum().sqrt().maximum(NORM_FLOOR));
}

/**
 * Power iteration as in the reference implementation: `weight` [m, n] divided by its estimate of the largest singular
 * value, from the start vector `u` [1, n]. With `eps` it stops once u moves by less. The estimate is low until it
 * has converged; layers use {@link safeSpectralNormalization}. Vectors are constants of differentiation.
 *
 * @returns the normalized weight [m, n], the last u [1, n], and sigma (0-d).
 */
export function spectralNormalization(
  weight: Tensor,
  u: Tensor,
  options: { iterations?: number; eps?: number } = {},
): { weight: Tensor; u: Tensor; sigma: Tensor } {
  const iterations = wholeNumber("iterations", options.iterations ?? 3, 1);
  const { eps = 0 } = options;
  if (!Number.isFinite(eps) || eps < 0) {
    throw new TslipError("INVALID_ARGUMENT", `eps must be finite and >= 0; given ${String(eps)}`);
  }
  const fixed = weight.stopGradient();
  let right = u.stopGradient();
  let left = unit(right.matmul(fixed, { transposeB: true }));
  let moving: Tensor | undefined;
  for (let i = 0; i < iterations; i++) {
    const nextLeft = unit(right.matmul(fixed, { transposeB: true }));
    const next = unit(nextLeft.matmul(fixed));
    const step = next.sub(right).square().sum().sqrt();
    left = moving === undefined ? nextLeft : moving.where(nextLeft, left);
    right = moving === undefined ? next : moving.where(next, right);
    if (eps > 0) {
      const moves = step.greaterEqual(eps);
      moving = moving === undefined ? moves : moving.and(moves);
    }
  }
  const [start, end] = [left.stopGradient(), right.stopGradient()];
  const sigma = start.matmul(weight).matmul(end, { transposeB: true }).reshape([]);
  return { weight: weight.div(sigma), u: end, sigma };
}

/**
 * `weight` [m, n] divided by an upper estimate of its largest singular value, so that the result has norm at most 1 beyond
 * rounding. A zero weight gives zero, with a zero gradient.
 */
export function safeSpectralNormalization(weight: Tensor): Tensor {
  const sigma = Tensor.make("spectral_norm", {}, [weight]);
  const positive = sigma.greater(0);
  return weight.div(positive.where(sigma, 1)).mul(positive.cast("f32"));
}

/**
 * Björck orthonormalization of order 1 (Björck and Bowie, 1971): W <- (1 + beta) W - beta W Wᵀ W, `iterations` times,
 * all differentiated. Singular values of `weight` [m, n] must be below sqrt(3) for beta 0.5; they go to 1.
 */
export function bjorckNormalization(weight: Tensor, options: { iterations?: number; beta?: number } = {}): Tensor {
  const iterations = wholeNumber("iterations", options.iterations ?? 15, 0);
  const { beta = 0.5 } = options;
  if (!Number.isFinite(beta) || beta <= 0 || beta > 0.5) {
    throw new TslipError("INVALID_ARGUMENT", `beta must be above 0 and at most 0.5; given ${String(beta)}`);
  }
  return iterations === 0 ? weight : Tensor.make("bjorck", { iterations, beta }, [weight]);
}

/**
 * `weight` [m, n] divided by its Frobenius norm, or (with `disjointNeurons`) each row by its own. A zero weight stays
 * zero.
 */
export function frobeniusNormalization(weight: Tensor, options: { disjointNeurons?: boolean } = {}): Tensor {
  const { disjointNeurons = false } = options;
  const squares = weight.square().sum(disjointNeurons ? [1] : undefined, { keepdims: true });
  const positive = squares.greater(0);
  return weight.div(positive.where(squares, 1).sqrt()).mul(positive.cast("f32"));
}
