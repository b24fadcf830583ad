// How float32 rounds in a layer: what certificates take off their margins. The theory is in docs/certificates.md.
import { TslipError } from "../errors.js";
import type { Tensor } from "../tensor/tensor.js";

/**
 * A promise about the float32 result of a layer f, as the engine computes it whatever the order of its sums:
 * |computed - f(x)| <= g (L |x| + offset) with g = N u / (1 - N u), u = 2^-24, N = `roundings`, L its Lipschitz bound.
 * Ops count as on the CPU (docs/certificates.md); a certificate counts them more often on a device where they are less exact.
 */
export interface Rounding {
  /** 0 for a layer that only moves, drops or chooses values, or sets them to 0. */
  readonly roundings: number;
  /** At least |f(0)|. */
  readonly offset: number;
}

/** The rounding of layers that compute nothing. */
export const EXACT: Rounding = { roundings: 0, offset: 0 };

/**
 * Rounding of products with a weight `[out, in, ...]`, of `groups` alike, plus a bias that each of `repeats` places adds:
 * a sum of n products and the bias, and ceil(sqrt(rank)) more where products are rounded by themselves.
 */
export function affineRounding(weight: Tensor, bias: Tensor | undefined, groups: number, repeats: number): Rounding {
  const [out = 1, ...rest] = weight.shape;
  const terms = rest.reduce((n, extent) => n * extent, 1);
  const roundings = terms + 1 + Math.ceil(Math.sqrt(Math.min(out / groups, terms)));
  if (bias === undefined) return { roundings, offset: 0 };
  const values = Float64Array.from(bias.dataSync());
  // Scaled by the largest, so that no square leaves the range of float64's normal numbers that matter.
  const largest = values.reduce((most, b) => Math.max(most, Math.abs(b)), 0);
  if (largest === 0) return { roundings, offset: 0 };
  const squares = values.reduce((sum, b) => sum + (b / largest) ** 2, 0);
  // Each operation of float64 is within half an EPSILON; together they are fewer than the values and ten.
  return { roundings, offset: largest * Math.sqrt(squares * repeats) * (1 + (values.length + 10) * Number.EPSILON) };
}

/** The error of a layer of a class that does not say how it rounds. */
export function unknownRounding(name: string): TslipError {
  return new TslipError(
    "UNSUPPORTED",
    `${name} does not say how float32 rounds in it, so no margin behind it can be certified; define rounding() in ${name}, ` +
      "or use layers of the library",
  );
}
