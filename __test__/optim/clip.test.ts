// Clipped gradients, by PyTorch's formulas in float64.
import { clipGradNorm, clipGradValue, compile, gradNorm, type Tensor, tensor } from "tslip";
import { describe, expect, it } from "vitest";

/** Roundings of a sum of a few squares. */
const FLOAT32 = 1e-6;
const EPS = 1e-6;

const values = [[3, -4, 0.5], [12], [-0.25, 2]];
const flat = values.flat();
const given = () => values.map((row) => tensor(row));

const read = (tensors: readonly Tensor[]): number[] => tensors.flatMap((t) => Array.from(t.dataSync()));

function expectNear(got: readonly number[], want: readonly number[]): void {
  expect(got).toHaveLength(want.length);
  got.forEach((value, i) => {
    expect(Math.abs(value - (want[i] ?? Number.NaN))).toBeLessThanOrEqual(FLOAT32 * Math.abs(want[i] ?? 0));
  });
}

const norm = (numbers: readonly number[], p: number): number =>
  p === Number.POSITIVE_INFINITY
    ? Math.max(...numbers.map(Math.abs))
    : numbers.reduce((sum, x) => sum + Math.abs(x) ** p, 0) ** (1 / p);

describe.each([2, 1, 3, 0.5, Number.POSITIVE_INFINITY])("the %d-norm of gradients", (normType) => {
  it("is that of all their entries", () => {
    expectNear([gradNorm(given(), { normType }).item()], [norm(flat, normType)]);
  });

  it.each([0.1, 1, 1000])("is limited to %d", (max) => {
    const factor = Math.min(1, max / (norm(flat, normType) + EPS));
    expectNear(
      read(clipGradNorm(given(), max, { normType })),
      flat.map((x) => x * factor),
    );
  });
});

describe("clipGradNorm", () => {
  it.each([1e-20, 1e20, 1e30])("limits gradients of the size of %d, whose squares float32 does not hold", (size) => {
    const numbers = [3 * size, 4 * size].map(Math.fround);
    const max = size / 2;
    const factor = Math.min(1, max / (norm(numbers, 2) + EPS));
    expectNear(
      read(
        clipGradNorm(
          numbers.map((x) => tensor([x])),
          max,
        ),
      ),
      numbers.map((x) => x * factor),
    );
  });

  it("leaves gradients of 0 at 0, and hides none that are not finite", () => {
    expect(read(clipGradNorm([tensor([0, 0])], 1))).toEqual([0, 0]);
    expect(read(clipGradNorm([tensor([Number.POSITIVE_INFINITY, 1])], 1))[0]).toBeNaN();
    expect(read(clipGradNorm([tensor([Number.NaN, 1])], 1))).toEqual([Number.NaN, Number.NaN]);
  });

  it("does so in a compiled function", () => {
    const clip = compile((g: Tensor) => clipGradNorm([g], 1)[0] ?? g);
    expectNear(
      [...clip.sync(tensor([3, 4])).data()],
      [3, 4].map((x) => x / (5 + EPS)),
    );
  });
});

it("clipGradValue limits each entry", () => {
  expect(read(clipGradValue(given(), 2))).toEqual([2, -2, 0.5, 2, -0.25, 2]);
});

it.each([
  [() => clipGradNorm([], 1), /takes an array of gradients/],
  [() => clipGradNorm(tensor([1]) as never, 1), /takes an array of gradients.*given/],
  [() => clipGradNorm([tensor([1])], 0), /limit of clipGradNorm must be finite and above 0; given 0/],
  [() => clipGradValue([tensor([1])], -1), /limit of clipGradValue must be finite and above 0; given -1/],
  [() => gradNorm([tensor([1])], { normType: 0 }), /normType must be above 0, or Infinity; given 0/],
])("limits that make no sense are refused", (run, message) => {
  expect(run).toThrow(message);
});
