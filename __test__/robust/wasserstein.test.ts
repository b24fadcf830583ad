// A lower bound of the Wasserstein-1 distance: its formula written out, that it holds as often as it says, and what it does not believe.
import {
  fromArrays,
  GroupSort2,
  Linear,
  type Module,
  manualSeed,
  rand,
  Sequential,
  SpectralLinear,
  type Tensor,
  tensor,
  wassersteinLowerBound,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

/** The first of two numbers, times a constant. */
const first = (factor: number): Linear =>
  new Linear(2, 1, { bias: false }, { weight: tensor([[factor, 0]]), bias: undefined });

/** Pairs of numbers in [0, 1], of which the first is shifted and squeezed. */
function squeezed(samples: number, low: number, width: number, seed: number): Tensor {
  const values = Float32Array.from(rand([samples, 2], { seed }).dataSync(), (value, k) =>
    k % 2 === 0 ? low + width * value : value,
  );
  return tensor(values, [samples, 2]);
}

/** The bound of Maurer and Pontil, written out. */
function deviation(values: readonly number[], range: number, delta: number): number {
  const n = values.length;
  let pairs = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) pairs += ((values[i] ?? 0) - (values[j] ?? 0)) ** 2;
  const variance = pairs / (n * (n - 1));
  return Math.sqrt((2 * variance * Math.log(2 / delta)) / n) + (7 * range * Math.log(2 / delta)) / (3 * (n - 1));
}

describe("wassersteinLowerBound", () => {
  it("is the difference of means less what the empirical Bernstein inequality leaves open, over the proved constant", async () => {
    for (const factor of [1, 3, 1e-3]) {
      const [p, q] = [squeezed(400, 0.5, 0.5, 1), squeezed(300, 0, 0.5, 2)];
      const found = await wassersteinLowerBound(first(factor), p, q, { confidence: 0.9, batchSize: 64 });
      const [a, b] = [p, q].map((x) => Array.from(x.dataSync()).filter((_, k) => k % 2 === 0));
      const mean = (values: readonly number[] = []): number => values.reduce((sum, v) => sum + v, 0) / values.length;
      const exact = mean(a) - mean(b) - deviation(a ?? [], Math.SQRT2, 0.05) - deviation(b ?? [], Math.SQRT2, 0.05);
      expect(found.distance).toBeLessThanOrEqual(exact);
      expect(found.distance).toBeGreaterThan(exact - 1e-5);
      expect(found.estimate).toBeCloseTo(mean(a) - mean(b), 6);
      expect(found.means[0]).toBeCloseTo(factor * mean(a), 6);
      expect(found).toMatchObject({ samples: [400, 300], confidence: 0.9 });
      expect(found.lipschitz).toBeGreaterThanOrEqual(Math.fround(factor));
      // It is 1/2, as the first numbers are shifted by that.
      expect(found.distance).toBeGreaterThan(0.2);
    }
  });

  it("holds at least as often as it says, also where a small sample makes it useless", async () => {
    // The first number is 1 for some and 0 for the others: the distance is at least that of the shares.
    const rare = (samples: number, share: number, seed: number): Tensor =>
      tensor(
        Float32Array.from(rand([samples, 2], { seed }).dataSync(), (value, k) =>
          k % 2 === 0 && value < share ? 1 : 0,
        ),
        [samples, 2],
      );
    let [wrong, useful] = [0, 0];
    const rounds = 60;
    const critic = first(1);
    for (let round = 0; round < rounds; round++) {
      const [p, q] = [rare(2000, 0.3, 2 * round), rare(2000, 0.1, 2 * round + 1)];
      const { distance } = await wassersteinLowerBound(critic, p, q, { confidence: 0.8, batchSize: 2000 });
      if (distance > 0.2) wrong++;
      if (distance > 0.1) useful++;
    }
    expect(wrong / rounds).toBeLessThanOrEqual(0.2);
    expect(useful / rounds).toBeGreaterThan(0.9);
    const few = await wassersteinLowerBound(first(1), rare(10, 0.3, 1), rare(10, 0.1, 2));
    expect(few.distance).toBe(0);
  });

  it("is 0 for one distribution, for a critic the other way round and for one that tells nothing", async () => {
    const [p, q] = [squeezed(500, 0.5, 0.5, 1), squeezed(500, 0, 0.5, 2)];
    expect((await wassersteinLowerBound(first(1), p, squeezed(500, 0.5, 0.5, 3))).distance).toBe(0);
    expect((await wassersteinLowerBound(first(1), q, p)).distance).toBe(0);
    expect(await wassersteinLowerBound(first(0), p, q)).toMatchObject({ distance: 0, estimate: 0, lipschitz: 0 });
    const critic = new Sequential([new SpectralLinear(2, 4), new GroupSort2(), new SpectralLinear(4, 1)]);
    expect((await wassersteinLowerBound(critic, p, q)).distance).toBeLessThanOrEqual(0.5);
  });

  it("counts what float32 may have rounded in the critic", async () => {
    const [p, q] = [squeezed(400, 0.5, 0.5, 1), squeezed(300, 0, 0.5, 2)];
    // Near 1e6 float32 knows the critic to 1/16.
    const coarse = new Linear(2, 1, {}, { weight: tensor([[1, 0]]), bias: tensor([1e6]) });
    const [fine, rough] = [await wassersteinLowerBound(first(1), p, q), await wassersteinLowerBound(coarse, p, q)];
    expect(rough.distance).toBeLessThan(fine.distance - 0.05);
    expect(rough.deviations[0]).toBeGreaterThan(fine.deviations[0] + 0.05);
  });

  it("takes bytes, data sets and other bounds, in units of what enters the first layer", async () => {
    manualSeed(2);
    const bytes = (low: number) =>
      Uint8Array.from({ length: 800 }, (_, k) => (k % 2 === 0 ? low + ((7 * k) % 100) : k % 256));
    const [a, b] = [bytes(150), bytes(0)];
    const found = await wassersteinLowerBound(first(1), tensor(a, [400, 2]), tensor(b, [400, 2]));
    expect(found.estimate).toBeCloseTo(150 / 255, 5);
    const labels = new Array(400).fill(0);
    expect(
      await wassersteinLowerBound(first(1), fromArrays(a, [400, 2], labels), fromArrays(b, [400, 2], labels)),
    ).toEqual(found);
    const wide = await wassersteinLowerBound(first(1), tensor(a, [400, 2]), tensor(b, [400, 2]), { bounds: [-1, 1] });
    expect(wide.deviations[0]).toBeGreaterThan(found.deviations[0]);
  });

  it("refuses samples outside of its bounds, single ones, and what is no critic", async () => {
    const x = squeezed(10, 0, 1, 1);
    const outside = tensor([
      [0.5, 1.5],
      [0, 0],
    ]);
    await expect(wassersteinLowerBound(first(1), x, outside)).rejects.toThrow(
      /pixel 1 of image 0 is 1.5, outside the bounds \[0, 1\]/,
    );
    const refused: [string, () => Promise<unknown>][] = [
      ["INVALID_ARGUMENT", () => wassersteinLowerBound(first(1), outside, x)],
      [
        "NON_FINITE",
        () =>
          wassersteinLowerBound(
            first(1),
            x,
            tensor([
              [0, Number.NaN],
              [0, 0],
            ]),
          ),
      ],
      ["EMPTY_DATASET", () => wassersteinLowerBound(first(1), x, tensor([[0, 0]]))],
      ["EMPTY_DATASET", () => wassersteinLowerBound(first(1), zeros([0, 2]), x)],
      ["SHAPE_MISMATCH", () => wassersteinLowerBound(new Linear(2, 2), x, x)],
      ["SHAPE_MISMATCH", () => wassersteinLowerBound(first(1), x, zeros([2, 2, 2]))],
      ["INVALID_ARGUMENT", () => wassersteinLowerBound({} as Module, x, x)],
      ["INVALID_ARGUMENT", () => wassersteinLowerBound(first(1), x, x, { confidence: 1 })],
      ["INVALID_ARGUMENT", () => wassersteinLowerBound(first(1), x, x, { bounds: [1, 0] })],
      ["INVALID_ARGUMENT", () => wassersteinLowerBound(first(1), x, x, { alpha: 0.1 } as never)],
    ];
    for (const [code, call] of refused) expect(await codeOf(call)).toBe(code);
  });
});
