// Constants that are promised: overlap of windows, shares, float32 scales, bounds for one size of image.
import { describe, expect, it } from "vitest";
import { Conv2d, ScaledL2NormPool2d, SpectralConv2d, tensor, zeros } from "../../src/index.js";
import { coefficientShare, roundDownToFloat32 } from "../../src/nn/lipschitz.js";

/** Scales and sums in float32. */
const ROUNDING = 1e-6;

describe("ScaledL2NormPool2d", () => {
  it.each([
    [3, 2],
    [2, 1],
    [3, 1],
    [5, 3],
    [2, 3],
  ])("of kernel %d and stride %d moves its output no further than its one shared pixel moves", (kernelSize, stride) => {
    const side = 15;
    const pool = new ScaledL2NormPool2d({ kernelSize, stride });
    let furthest = 0;
    for (let at = 0; at < side * side; at++) {
      const values = new Float32Array(side * side);
      values[at] = 1;
      furthest = Math.max(furthest, Math.hypot(...pool.forward(tensor(values, [1, 1, side, side])).dataSync()));
    }
    // Some pixel is in as many windows as the overlap says: the bound is reached and not passed.
    expect(furthest).toBeLessThan(1 + ROUNDING);
    expect(furthest).toBeGreaterThan(1 - ROUNDING);
    expect(pool.lipschitzBound()).toBeGreaterThanOrEqual(1);
  });
});

describe("shares of kCoefLip", () => {
  it("never multiply to more than the whole", () => {
    for (let count = 1; count <= 12; count++) {
      for (let i = 1; i < 100; i++) {
        const [total, fixed] = [i / 7, [3 / 11, 1.1]] as const;
        const share = coefficientShare(total, fixed, count);
        let product = fixed.reduce((p, k) => p * k, 1);
        for (let n = 0; n < count; n++) product *= share;
        expect(product, `${count} shares of ${total}`).toBeLessThanOrEqual(total);
        expect(product).toBeGreaterThan(total * (1 - 1e-13));
      }
    }
  });
});

describe("a scale in float32", () => {
  it("is never above the exact one, and next to it", () => {
    for (let i = 1; i < 500; i++) {
      for (const value of [i / 7, 1 / i, Math.sqrt(i) * 1e-20]) {
        const scale = roundDownToFloat32(value);
        expect(scale).toBe(Math.fround(scale));
        expect(scale, `of ${value}`).toBeLessThanOrEqual(value);
        expect(scale).toBeGreaterThan(value * (1 - 2 ** -22));
      }
    }
  });
});

describe("inputSize", () => {
  const options = { kernelSize: 3, stride: 2, padding: 1, paddingMode: "circular" } as const;

  it("gives a convolution the bound of that size, which is below that of all sizes", () => {
    const weight = zeros([1, 1, 3, 3]).add(1);
    const bound = (inputSize?: readonly [number, number]): number =>
      new Conv2d(
        1,
        1,
        { ...options, bias: false, ...(inputSize && { inputSize }) },
        { weight, bias: undefined },
      ).lipschitzBound();
    // Windows of three at every second pixel: with the classes of pixels that they read once and twice, 1 + 2^2 along an axis squared;
    // the only pixel of an image is in three taps of one.
    expect(bound([4, 4])).toBeGreaterThanOrEqual(1 + 2 ** 2);
    expect(bound([4, 4])).toBeLessThan((1 + 2 ** 2) * 1.001);
    expect(bound([1, 1])).toBeCloseTo(3 * 3, 8);
    expect(bound()).toBeCloseTo(3 * 3, 8);
  });

  it("gives a spectral convolution the larger weight that this size allows", () => {
    const norm = (layer: SpectralConv2d): number => Math.sqrt(layer.effectiveWeight().square().sum().item());
    expect(norm(new SpectralConv2d(1, 1, { ...options, inputSize: [4, 4] }))).toBeCloseTo(1 / 2, 5);
    expect(norm(new SpectralConv2d(1, 1, options))).toBeCloseTo(1 / 3, 5);
  });
});
