// Double-double numbers against numbers that are known to more digits.
import { describe, expect, it } from "vitest";
import { Double, squaredDistance } from "../../trials/double.js";

/** What an operation may lose of its result; functions a little more. */
const EXACT = 2 ** -102;
const FUNCTION = 2 ** -90;

const double = (hi: number, lo = 0): Double => new Double().set(hi, lo);

/** The size of a difference over that of the second. */
function apart(a: Double, b: Double): number {
  const size = Math.abs(b.hi);
  const { hi } = double(a.hi, a.lo).add(-b.hi, -b.lo);
  return Math.abs(hi) / (size === 0 ? 1 : size);
}

describe("A double", () => {
  it("keeps sums of numbers that are far apart, in any order", () => {
    const sum = double(1e16)
      .add(1)
      .add(2 ** -50)
      .add(-1e16)
      .add(-1);
    expect(sum.hi).toBe(2 ** -50);
    expect(double(2 ** 60).add(2 ** -40).hi).toBe(2 ** 60);
    expect(double(2 ** 60).add(2 ** -40).lo).toBe(2 ** -40);
  });

  it("keeps products of float32 exactly", () => {
    const [a, b] = [Math.fround(1 / 3), Math.fround(1e30 / 7)];
    const { hi, lo } = double(0).addProduct(a, 0, b, 0);
    // 48 bits have room in a float64.
    expect([hi, lo]).toEqual([a * b, 0]);
    // (1 + e)² - 1 - 2 e = e².
    const e = 2 ** -40;
    expect(
      double(1 + e)
        .multiply(1 + e)
        .add(-1)
        .add(-2 * e).hi,
    ).toBe(e * e);
  });

  it("divides and takes roots to its last digits", () => {
    for (const [a, b] of [
      [1, 3],
      [-2, 7e30],
      [5e-30, 11],
    ] as const) {
      const quotient = double(a).divide(b);
      expect(apart(double(quotient.hi, quotient.lo).multiply(b), double(a))).toBeLessThan(EXACT);
      const root = double(b).root();
      expect(apart(double(root.hi, root.lo).multiply(root.hi, root.lo), double(b))).toBeLessThan(EXACT);
    }
    expect(double(0).root().hi).toBe(0);
  });

  it("has the exponential of 1, and that of a sum as a product", () => {
    // e, of which the second part is what the float64 lacks.
    expect(apart(double(1).exp(), double(Math.E, 1.4456468917292502e-16))).toBeLessThan(FUNCTION);
    for (const [x, y] of [
      [0.3, -4.7],
      [-30, 12.25],
      [1e-20, 2],
    ] as const) {
      const [a, b] = [double(x).exp(), double(y).exp()];
      const sum = double(x).add(y);
      expect(apart(a.multiply(b.hi, b.lo), sum.exp())).toBeLessThan(FUNCTION);
    }
    expect([double(-1000).exp().hi, double(1000).exp().hi]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it("has a tanh and a sigmoid that agree, small or large", () => {
    for (const x of [3, -0.5, 2 ** -9, -(2 ** -11), 40, 1e-25]) {
      const { hi, lo } = double(2 * x).sigmoid();
      const by = double(2 * hi, 2 * lo).add(-1);
      // The difference has the digits of 1, not of itself.
      expect(Math.abs(double(by.hi, by.lo).add(-double(x).tanh().hi, -double(x).tanh().lo).hi)).toBeLessThan(FUNCTION);
    }
    expect(apart(double(1e-25).tanh(), double(1e-25))).toBeLessThan(EXACT);
    // Where exp is near the end of float64.
    for (let x = -750; x < -400; x += 1.7) expect(double(x).sigmoid().hi).toBeCloseTo(0, 100);
    expect([double(-1e4).sigmoid().hi, double(1e4).sigmoid().hi, double(-1e4).tanh().hi]).toEqual([0, 1, -1]);
  });

  it("compares and rounds down by both parts", () => {
    expect(double(1, -(2 ** -60)).less(1)).toBe(true);
    expect(double(1, 2 ** -60).less(1)).toBe(false);
    expect([double(2, -(2 ** -60)).floor().hi, double(-1.5).floor().hi, double(2.5).floor().hi]).toEqual([1, -2, 2]);
  });

  it("has distances that float64 loses", () => {
    // 1 and the float32 after it, beside a number that no float64 sum of squares would keep.
    const [a, b] = [Float32Array.of(1e15, 1 + 2 ** -23), Float32Array.of(0, 1)];
    const { hi, lo } = squaredDistance(a, b);
    expect(double(hi, lo).add(-1e30 - ((a[0] ?? 0) ** 2 - 1e30)).hi).toBe(2 ** -46);
  });
});
