// Normalizations of weight matrices: known singular values, zero, tiny and rank-deficient weights.
import { describe, expect, it } from "vitest";
import { functional, grad, randn, type Tensor, TslipError, tensor, zeros } from "../../src/index.js";

/** Björck in f32 leaves orthonormal rows within a few units of rounding times the row length. */
const ORTHOGONAL = 1e-5;

const list = (t: Tensor): number[] => Array.from(t.dataSync());
const diagonal = tensor([
  [3, 0],
  [0, 1],
]);

describe("spectralNormalization", () => {
  it("finds the largest singular value after enough iterations", () => {
    const { sigma, weight, u } = functional.spectralNormalization(diagonal, tensor([[1, 1]]), { iterations: 20 });
    expect(sigma.item()).toBeCloseTo(3, 6);
    expect(weight.max().item()).toBeCloseTo(1, 6);
    expect(list(u.abs())[0]).toBeCloseTo(1, 6);
  });

  it("stops moving once it moves by less than eps", () => {
    const options = { eps: 0.5, iterations: 50 };
    const { u } = functional.spectralNormalization(diagonal, tensor([[1, 0.01]]), options);
    const [once] = [functional.spectralNormalization(diagonal, tensor([[1, 0.01]]), { iterations: 1 })];
    expect(list(u)).toEqual(list(once.u));
  });

  it("stays finite for zero and for entries whose squares underflow", () => {
    const tiny = diagonal.mul(1e-30);
    const { weight, sigma } = functional.spectralNormalization(tiny, tensor([[1, 1]]), { iterations: 20 });
    expect(weight.max().item()).toBeCloseTo(1, 5);
    expect(sigma.item() / 3e-30).toBeCloseTo(1, 5);
    expect(list(functional.spectralNormalization(zeros([2, 2]), tensor([[1, 1]])).weight)).toEqual([0, 0, 0, 0]);
  });

  it("refuses iterations and eps out of range", () => {
    expect(() => functional.spectralNormalization(diagonal, tensor([[1, 1]]), { iterations: 0 })).toThrow(TslipError);
    expect(() => functional.spectralNormalization(diagonal, tensor([[1, 1]]), { eps: -1 })).toThrow(TslipError);
  });
});

describe("bjorckNormalization after safeSpectralNormalization", () => {
  it("gives orthonormal rows", () => {
    const w = functional.bjorckNormalization(functional.safeSpectralNormalization(randn([3, 8], { seed: 1 })));
    const gram = list(w.matmul(w, { transposeB: true }));
    [1, 0, 0, 0, 1, 0, 0, 0, 1].forEach((want, i) => {
      expect(Math.abs((gram[i] ?? Number.NaN) - want)).toBeLessThan(ORTHOGONAL);
    });
  });

  it("leaves the null space of a rank-deficient weight alone and stays finite", () => {
    const w = tensor([
      [1, 1],
      [1, 1],
    ]);
    const f = functional.bjorckNormalization(functional.safeSpectralNormalization(w), { iterations: 50 });
    for (const value of list(f)) expect(value).toBeCloseTo(0.5, 5);
    const [g] = grad(
      f
        .mul(
          tensor([
            [1, 2],
            [3, 4],
          ]),
        )
        .sum(),
      [w],
    );
    expect(list(g).every(Number.isFinite)).toBe(true);
  });

  it("refuses a beta for which the iteration does not converge", () => {
    for (const beta of [0, 0.6, Number.NaN]) {
      expect(() => functional.bjorckNormalization(diagonal, { beta })).toThrow(TslipError);
    }
  });
});

describe("frobeniusNormalization", () => {
  it("divides the whole or each row, and keeps zero rows", () => {
    const w = tensor([
      [3, 4],
      [0, 0],
    ]);
    const rows = list(functional.frobeniusNormalization(w, { disjointNeurons: true }));
    const whole = list(functional.frobeniusNormalization(w));
    [0.6, 0.8, 0, 0].forEach((want, i) => {
      expect(rows[i]).toBeCloseTo(want, 6);
      expect(whole[i]).toBeCloseTo(want, 6);
    });
  });
});
