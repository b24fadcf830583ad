// Gradients that are limited before an optimizer follows them, by PyTorch's formulas.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { isPlain, number, type Option, optional, positive, readOptions } from "../options.js";
import { scalar, Tensor } from "../tensor/index.js";

/** Limit of the norm of all gradients together, or of each of their entries. */
export type GradientClip = { readonly norm: number } | { readonly value: number };

/** What PyTorch adds to a norm that it divides by. */
const EPS = 1e-6;
const NORM = { normType: number("above 0, or Infinity", (value) => value > 0, 2) };

/** The p-norm of all gradients as one vector, 0-d; by default p = 2. No power of a large or small gradient leaves the range of float32. */
export function gradNorm(gradients: readonly Tensor[], options: { normType?: number } = {}): Tensor {
  const { normType } = readOptions("gradNorm", NORM, options);
  const peaks = checked("gradNorm", gradients).map((gradient) => gradient.abs().max());
  const peak = peaks.reduce((one, other) => one.maximum(other));
  if (normType === Number.POSITIVE_INFINITY) return peak;
  const unit = peak.greater(0).and(peak.isFinite()).where(peak, 1);
  const powers = gradients.map((gradient) => {
    const part = gradient.div(unit);
    return (normType === 2 ? part.square() : part.abs().pow(normType)).sum();
  });
  const sum = powers.reduce((one, other) => one.add(other));
  return (normType === 2 ? sum.sqrt() : sum.pow(1 / normType)).mul(unit);
}

/**
 * Gradients whose norm together is at most `max`: all are multiplied by min(1, max / (norm + 1e-6)), as by PyTorch's `clip_grad_norm_`.
 * Inside a compiled function, between `grad` and `update`. Throws `INVALID_ARGUMENT` for a limit that is not above 0.
 */
export function clipGradNorm(gradients: readonly Tensor[], max: number, options: { normType?: number } = {}): Tensor[] {
  positive().read("the limit of clipGradNorm", max);
  const factor = scalar(max).div(gradNorm(gradients, options).add(EPS)).minimum(1);
  return gradients.map((gradient) => gradient.mul(factor));
}

/** Gradients with each entry limited to [-max, max], as by PyTorch's `clip_grad_value_`. Throws as {@link clipGradNorm}. */
export function clipGradValue(gradients: readonly Tensor[], max: number): Tensor[] {
  positive().read("the limit of clipGradValue", max);
  return checked("clipGradValue", gradients).map((gradient) => gradient.clip(-max, max));
}

const LIMITS = { norm: optional(positive()), value: optional(positive()) };

/** A limit of gradients, as what limits them. */
export const gradientClip: Option<(gradients: readonly Tensor[]) => readonly Tensor[]> = {
  read(name, given) {
    if (given === undefined) return (gradients) => gradients;
    const { norm, value } = isPlain(given) ? readOptions(name, LIMITS, given) : {};
    // Where all parameters are frozen there are no gradients.
    const clipping = (clip: (gradients: readonly Tensor[]) => readonly Tensor[]) => (gradients: readonly Tensor[]) =>
      gradients.length === 0 ? gradients : clip(gradients);
    if (norm !== undefined && value === undefined) return clipping((gradients) => clipGradNorm(gradients, norm));
    if (value !== undefined && norm === undefined) return clipping((gradients) => clipGradValue(gradients, value));
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be { norm } or { value }, one of them; given ${describe(given)}`,
    );
  },
};

function checked(owner: string, gradients: readonly Tensor[]): readonly Tensor[] {
  if (Array.isArray(gradients) && gradients.length > 0 && gradients.every((one) => one instanceof Tensor)) {
    return gradients;
  }
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} takes an array of gradients, as grad() gives them; given ${describe(gradients)}`,
  );
}
