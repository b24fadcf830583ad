// Cosine and sine of angles in sums and products alone, whose rounding is the same on every device.

import { where } from "../tensor/composite.js";
import type { Tensor } from "../tensor/tensor.js";

/** pi / 2 in three parts, of which the first two have so few bits that products with whole numbers below 2^13 are exact (Cody and Waite). */
const PARTS = [201 / 2 ** 7, 2029 / 2 ** 22] as const;
const REST = Math.PI / 2 - PARTS[0] - PARTS[1];

/** Angles up to which {@link direction} is as exact as it says. */
export const LARGEST_ANGLE = 2 ** 13;
/** At least the norm by which cosine and sine together are off in float32, in units of 2^-24; see docs/certificates.md. */
export const DIRECTION_ERROR = 6;

/** Coefficients of r^2, r^4, ... behind the first term; what follows is below 2^-53 for |r| <= pi / 4. */
const series = (first: number, terms: number): number[] => {
  const list = [1];
  for (let k = 1; k < terms; k++) list.push(-(list[k - 1] ?? 0) / ((2 * k + first - 1) * (2 * k + first)));
  return list.slice(1);
};
const SINE = series(1, 9);
const COSINE = series(0, 9);

/** Cosine and sine of f32 angles in radians, of the same shape, each within 4 u for angles up to {@link LARGEST_ANGLE}. */
export function direction(angle: Tensor): { cosine: Tensor; sine: Tensor } {
  const quarters = angle
    .mul(2 / Math.PI)
    .add(0.5)
    .floor();
  const r = [...PARTS, REST].reduce((rest, part) => rest.sub(quarters.mul(part)), angle);
  const square = r.square();
  const horner = (coefficients: readonly number[]): Tensor =>
    coefficients
      .slice(0, -1)
      .reduceRight((sum, c) => sum.mul(square).add(c), square.mul(0).add(coefficients.at(-1) ?? 0))
      .mul(square);
  const sine = r.add(r.mul(horner(SINE)));
  const cosine = horner(COSINE).add(1);
  // Which quarter of the circle, 0 to 3.
  const quarter = quarters.sub(
    quarters
      .mul(1 / 4)
      .floor()
      .mul(4),
  );
  const odd = quarter.equal(1).or(quarter.equal(3));
  const signed = (negative: Tensor, value: Tensor): Tensor => where(negative, value.neg(), value);
  return {
    cosine: signed(quarter.equal(1).or(quarter.equal(2)), odd.where(sine, cosine)),
    sine: signed(quarter.greaterEqual(2), odd.where(cosine, sine)),
  };
}
