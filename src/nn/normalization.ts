// Normalizations of weight matrices.
import { flag, notNegative, number, optional, positive, readOptions, whole } from "../options.js";
import { asTensor, Tensor } from "../tensor/tensor.js";

/** Norms below this are not resolved by the reference implementations of power iteration. */
const FLOOR = 1e-12;

const POWER_ITERATION = { iterations: whole(1, 3), eps: optional(positive()) };
const FROBENIUS = { disjointNeurons: flag(false) };
const BJORCK = {
  iterations: whole(0, 15),
  beta: number("above 0 and at most 0.5", (value) => value > 0 && value <= 0.5, 0.5),
  eps: notNegative(0),
};
const SAFE = { eps: notNegative(0) };

/** x / ‖x‖, scaled by its largest entry first so that squares do not underflow; zero stays zero. */
function unit(x: Tensor): Tensor {
  const scaled = x.div(orOne(x.abs().max()));
  return scaled.div(orOne(scaled.square().sum().sqrt()));
}

/** Positive values as they are, others as 1. */
export function orOne(x: Tensor): Tensor {
  return x.greater(0).where(x, 1);
}

/**
 * Power iteration as in the reference implementations: `weight` [m, n] divided by its estimate of the largest singular
 * value, from the start vector `u` [1, n]. Without `eps`: v = u Wᵀ / ‖·‖, u = v W / ‖·‖, `iterations` times, and sigma =
 * v W uᵀ (torchlip of 2022). With `eps` (torchlip 1.0.5) it stops once u moves by less, v is computed once more, and the
 * weight is divided by sigma + eps. The estimate is low until it has converged; layers use
 * {@link safeSpectralNormalization}. The vectors are constants of differentiation. Weights with a norm below 1e-12, where
 * the reference implementations break down, are divided by the safe estimate.
 *
 * @returns the normalized weight [m, n], the last u [1, n], and sigma (0-d).
 */
export function spectralNormalization(
  weight: Tensor,
  u: Tensor,
  options: { iterations?: number; eps?: number } = {},
): { weight: Tensor; u: Tensor; sigma: Tensor } {
  const { iterations, eps } = readOptions("spectralNormalization", POWER_ITERATION, options);
  for (const given of [weight, u]) asTensor("spectralNormalization", given);
  const fixed = weight.stopGradient();
  const leftOf = (right: Tensor): Tensor => unit(right.matmul(fixed, { transposeB: true }));
  let right = u.stopGradient();
  let left = leftOf(right);
  let moving: Tensor | undefined;
  for (let i = 0; i < iterations; i++) {
    if (i > 0) left = leftOf(right);
    const next = unit(left.matmul(fixed));
    const moves = eps === undefined ? undefined : movesBy(eps, right, next);
    right = moving === undefined ? next : moving.where(next, right);
    if (moves !== undefined) moving = moving === undefined ? moves : moving.and(moves);
  }
  if (eps !== undefined) left = leftOf(right);
  const estimate = left.matmul(weight).matmul(right, { transposeB: true }).reshape([]);
  const safe = Tensor.make("spectral_norm", {}, [weight]);
  const sigma = safe.less(FLOOR).where(safe, estimate);
  return { weight: weight.div(orOne(sigma).add(eps ?? 0)), u: right, sigma };
}

/**
 * `weight` [m, n] divided by an upper estimate of its largest singular value (and `eps`, by default 0), so that the result has norm
 * at most 1 beyond rounding. A zero weight gives zero, with a zero gradient.
 */
export function safeSpectralNormalization(weight: Tensor, options: { eps?: number } = {}): Tensor {
  const { eps } = readOptions("safeSpectralNormalization", SAFE, options);
  const sigma = Tensor.make("spectral_norm", {}, [weight]);
  const divisor = eps === 0 ? orOne(sigma) : orOne(sigma).add(eps);
  return weight.div(divisor).mul(sigma.greater(0).cast("f32"));
}

/**
 * Björck orthonormalization of order 1 (Björck and Bowie, 1971): W <- (1 + beta) W - beta W Wᵀ W, `iterations` times,
 * all differentiated. Singular values of `weight` [m, n] must be below sqrt(3) for beta 0.5; they go to 1. With an `eps` above 0 the
 * iterations end once one has moved the weight by less, in the Frobenius norm.
 */
export function bjorckNormalization(
  weight: Tensor,
  options: { iterations?: number; beta?: number; eps?: number } = {},
): Tensor {
  const { iterations, beta, eps } = readOptions("bjorckNormalization", BJORCK, options);
  const iterated = (from: Tensor, count: number) => Tensor.make("bjorck", { iterations: count, beta }, [from]);
  if (iterations === 0) return asTensor("bjorckNormalization", weight);
  if (eps === 0) return iterated(weight, iterations);
  let result = iterated(weight, 1);
  let moving = movesBy(eps, weight, result);
  for (let i = 1; i < iterations; i++) {
    const next = iterated(result, 1);
    const moved = movesBy(eps, result, next);
    result = moving.where(next, result);
    moving = moving.and(moved);
  }
  return result;
}

/** Whether the Frobenius norm of a difference is at least `eps`. */
function movesBy(eps: number, from: Tensor, to: Tensor): Tensor {
  return to.sub(from).stopGradient().square().sum().sqrt().greaterEqual(eps);
}

/**
 * `weight` [m, n] divided by its Frobenius norm, or (with `disjointNeurons`) each row by its own. A zero weight stays
 * zero.
 */
export function frobeniusNormalization(weight: Tensor, options: { disjointNeurons?: boolean } = {}): Tensor {
  const { disjointNeurons } = readOptions("frobeniusNormalization", FROBENIUS, options);
  const axes = disjointNeurons ? [1] : undefined;
  // Scaled first, so that no square leaves the range of float32; what does not depend on the scale has a gradient without it.
  const largest = asTensor("frobeniusNormalization", weight).stopGradient().abs().max(axes, { keepdims: true });
  const scaled = weight.div(orOne(largest));
  const squares = scaled.square().sum(axes, { keepdims: true });
  return scaled.div(orOne(squares).sqrt()).mul(squares.greater(0).cast("f32"));
}
