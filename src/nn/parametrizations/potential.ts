// Weights W of x - Wᵀ relu(W x + b) with ‖W‖² <= 2, made of any weight: by its norm, or by correlations of its rows.
import { Tensor } from "../../tensor/tensor.js";
import type { AffineValues } from "../affine-layer.js";
import { correlations, inverseRoot, withoutScale } from "./almost-orthogonal.js";
import { asMatrix } from "./parametrization.js";

/** The root of 2, less what float32 rounds in a weight: ‖W‖² stays below 2, so that the layer's bound is its constant. */
const ROOT = Math.SQRT2 * (1 - 2 ** -18);

/** The least share of a q in the largest: below it, it counts as that. A power of 2, so that dividing by it rounds nothing. */
const LEAST_SHARE = 2 ** -40;

/**
 * sqrt(2) / s of the weight and the bias with s >= ‖W‖, by which the layer is x - 2 / s² Wᵀ relu(W x + b) (Meunier et al. 2022): s is the
 * norm of the weight as a matrix, never estimated low, over the factor of the convolution that it is a kernel of; or, where that
 * is less, the root of the largest sum of correlations of a filter with all others.
 */
export function convexPotential({ weight, bias }: AffineValues, factor: number, groups: number): AffineValues {
  const unit = withoutScale(weight);
  const norm = Tensor.make("spectral_norm", {}, [asMatrix(unit)]).div(factor);
  const sums = correlations(filtersOf(unit, groups)).sum([2]).max();
  const scale = inverseRoot(norm.square().minimum(sums)).mul(ROOT);
  return rescaled(weight, bias, scale);
}

/**
 * sqrt(2) T^-1/2 of the weight and the bias, by which the layer is x - 2 Wᵀ T^-1 relu(W x + b) with T_i = Σ_j |W Wᵀ|_ij q_j / q_i, over all
 * distances of two filters in a kernel: T - W Wᵀ is diagonally dominant in a scaling by q, so W Wᵀ <= T (Araujo et al. 2023,
 * whose weight is the transpose). `logarithm` holds ln q.
 */
export function sdpPotential({ weight, bias }: AffineValues, logarithm: Tensor, groups: number): AffineValues {
  const amounts = correlations(filtersOf(withoutScale(weight), groups));
  const [, count = 1] = amounts.shape;
  // In units of the least: multiplied by 1 or more, no correlation falls below 2^-126 before it is divided by a small q.
  const shares = logarithm.sub(logarithm.max().stopGradient()).exp().maximum(LEAST_SHARE);
  const q = shares.div(LEAST_SHARE).reshape([groups, 1, count]);
  const sums = amounts
    .mul(q)
    .sum([2])
    .div(q.reshape([groups, count]));
  const [hidden = 1, ...rest] = weight.shape;
  const scale = inverseRoot(sums)
    .mul(ROOT)
    .reshape([hidden, ...rest.map(() => 1)]);
  return rescaled(weight, bias, scale);
}

/** Rows of a weight as filters `[groups, rows, channels, kh, kw]`. */
function filtersOf(weight: Tensor, groups: number): Tensor {
  const [rows = 1, columns = 1, kh = 1, kw = 1] = weight.shape;
  return weight.reshape([groups, rows / groups, columns, kh, kw]);
}

/** Weight and bias times what a weight without scale is to be multiplied by. */
function rescaled(weight: Tensor, bias: Tensor | undefined, scale: Tensor): AffineValues {
  const largest = weight.abs().max().stopGradient();
  const divisor = largest.greater(0).where(largest, 1);
  const each = scale.rank === 0 ? scale : scale.reshape([-1]);
  return { weight: withoutScale(weight).mul(scale), bias: bias?.mul(each).div(divisor) };
}
