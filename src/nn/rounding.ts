// How float32 rounds in a layer: what certificates take off their margins. The theory is in docs/certificates.md.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { TypedArray } from "../tensor/dtype.js";

/**
 * A promise about the float32 result of a layer f, as the engine computes it whatever the order of its sums:
 * |computed - f(x)| <= g (G |x| + offset) with g = N u / (1 - N u), u = 2^-24, N = `roundings`, G the larger of its Lipschitz bound and
 * `gain`; and that no number on the way to the result is larger than the larger of G and `peak`, times |x|, plus the offset.
 * Ops count as on the CPU (docs/certificates.md); a certificate counts them more often on a device where they are less exact.
 */
export interface Rounding {
  /** 0 for a layer that only moves, drops or chooses values, or sets them to 0. */
  readonly roundings: number;
  /** At least |f(0)|. */
  readonly offset: number;
  /**
   * How much larger than |x| the vector of partial results on the way may be, where that is more than L: 10000 for
   * `x.mul(1e4).sub(x.mul(9999))`, as parts may cancel. By default L.
   */
  readonly gain?: number;
  /**
   * How much larger than |x| a number on the way may be, where that is more than G: 1 for a norm that is scaled down
   * afterwards, 10 for `x.mul(10).mul(0.1)`. By default 0.
   */
  readonly peak?: number;
  /** Most places at which one result reads the same number of x: more than 1 where padding copies pixels. By default 1. */
  readonly copies?: number;
  /**
   * At least the norm of what the result may lose because numbers below 2^-126 count as 0 and something later scales them up,
   * as in `x.mul(1e-20).mul(1e20)`; nothing where no number is scaled up on the way. By default 0.
   */
  readonly lost?: number;
}

/** The rounding of layers that compute nothing. */
export const EXACT: Rounding = { roundings: 0, offset: 0 };

/** What `rounding()` of a class `name` returned, with the defaults filled in. Throws `INVALID_ARGUMENT` for anything else. */
export function checkedRounding(name: string, given: unknown): Required<Rounding> {
  const refused = (what: string): TslipError =>
    new TslipError(
      "INVALID_ARGUMENT",
      `rounding() of ${name} ${what}; return { roundings, offset } as numbers, 0 or more, or a promise of them`,
    );
  if (typeof given !== "object" || given === null) throw refused(`gave ${describe(given)}`);
  const {
    roundings,
    offset,
    gain = 0,
    peak = 0,
    copies = 1,
    lost = 0,
    ...others
  }: Partial<Record<string, unknown>> = given;
  const [unknown] = Object.keys(others);
  // A promise that is misspelt would count as none.
  if (unknown !== undefined)
    throw refused(`gave ${unknown}, which is no promise; there are roundings, offset, gain, peak, copies and lost`);
  const bounds = { offset, gain, peak, lost };
  const counts = { roundings, copies };
  for (const [key, value] of Object.entries({ ...bounds, ...counts })) {
    const fits = typeof value === "number" && value >= 0 && Number.isFinite(value);
    if (!fits) throw refused(`gave the ${key} ${describe(value)}`);
  }
  for (const [key, value] of Object.entries(counts)) {
    if (!Number.isSafeInteger(value) || (key === "copies" && value === 0))
      throw refused(`gave ${describe(value)} ${key}`);
  }
  return { ...bounds, ...counts } as Required<Rounding>;
}

/** Roundings of sums of `terms` products and a bias, ceil(sqrt(rank)) more where products are rounded by themselves. */
export function sumRoundings(terms: number, rank: number): number {
  return terms + 1 + Math.ceil(Math.sqrt(rank));
}

/** At least the norm of a bias that is added at every place of `results` numbers. Throws `NON_FINITE` where it is no number. */
export function biasNorm(bias: TypedArray, results: number): number {
  const values = Float64Array.from(bias);
  const bad = values.findIndex((b) => !Number.isFinite(b));
  if (bad >= 0) {
    throw new TslipError("NON_FINITE", `bias ${bad} is ${values[bad]}; rounding is bounded for finite biases only`);
  }
  // Scaled by the largest, so that no square leaves the range of float64's normal numbers that matter.
  const largest = values.reduce((most, b) => Math.max(most, Math.abs(b)), 0);
  if (largest === 0) return 0;
  const squares = values.reduce((sum, b) => sum + (b / largest) ** 2, 0);
  const places = results / values.length;
  // Each operation of float64 is within half an EPSILON; together they are fewer than the values and ten.
  return largest * Math.sqrt(squares * places) * (1 + (values.length + 10) * Number.EPSILON);
}

/** The error of a layer of a class that does not say how it rounds. */
export function unknownRounding(name: string): TslipError {
  return new TslipError(
    "UNSUPPORTED",
    `${name} does not say how float32 rounds in it, so no margin behind it can be certified; define rounding() in ${name}, ` +
      "or use layers of the library",
  );
}
