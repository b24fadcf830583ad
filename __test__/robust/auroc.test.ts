// Certified AUROC: its definition pair by pair, ties, and that no perturbation within the radius makes it less.
import {
  certifiedAuroc,
  fromArrays,
  GroupSort2,
  Linear,
  type Module,
  manualSeed,
  outputBounds,
  randn,
  Sequential,
  SpectralLinear,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { farthest, pushed } from "./pushed.js";

/** A score that is its input. */
const given = new Linear(1, 1, { bias: false }, { weight: tensor([[1]]), bias: undefined });
const column = (values: readonly number[]) => tensor(values.map((value) => [value]));

/** The share of pairs of which the first is the larger, ties half, each looked at. */
function byPairs(high: readonly number[], low: readonly number[]): number {
  let won = 0;
  for (const a of high) for (const b of low) won += a > b ? 1 : a === b ? 0.5 : 0;
  return won / (high.length * low.length);
}

describe("certifiedAuroc", () => {
  it("counts pairs, ties half", async () => {
    for (const [high, low] of [
      [
        [3, 2, 1],
        [2, 0, 0],
      ],
      [[1], [1]],
      [
        [-1, -1, 5],
        [5, 5, -1, 7],
      ],
      [[0], [-0, 1]],
    ] as const) {
      const found = await certifiedAuroc(given, column(high), column(low), []);
      expect(found).toMatchObject({ clean: byPairs(high, low), certified: [], radii: [] });
      expect([found.positives, found.negatives]).toEqual([high.length, low.length]);
    }
  });

  it("is that of scores lowered by L ε for positives and raised for negatives", async () => {
    manualSeed(1);
    const model = new Sequential([new SpectralLinear(3, 8), new GroupSort2(), new SpectralLinear(8, 1)]);
    const [high, low] = [randn([40, 3], { seed: 1 }).add(0.7), randn([50, 3], { seed: 2 })];
    const radii = [0, 0.1, 0.5, 3];
    const found = await certifiedAuroc(model, high, low, radii, { batchSize: 7 });
    for (const [at, radius] of radii.entries()) {
      const lowered = (await outputBounds(model, high, { radius })).map(({ lower: [end = 0] }) => end);
      const raised = (await outputBounds(model, low, { radius })).map(({ upper: [end = 0] }) => end);
      expect(found.certified[at]).toBeCloseTo(byPairs(lowered, raised), 10);
    }
    expect(found.certified).toEqual([...found.certified].sort((a, b) => b - a));
    expect(found.clean).toBeGreaterThanOrEqual(found.certified[0] ?? Number.NaN);
    expect(found.lipschitz).toBeCloseTo(1, 4);
    const sets = [high, low].map((x) =>
      fromArrays(x.dataSync() as Float32Array, x.shape, new Array(x.shape[0]).fill(0)),
    );
    expect(await certifiedAuroc(model, sets[0] as never, sets[1] as never, radii, { batchSize: 7 })).toEqual(found);
  });

  it("is not passed by an attack on every sample, which a linear score comes near to", async () => {
    manualSeed(4);
    const curved = new Sequential([
      new SpectralLinear(3, 8),
      new GroupSort2(),
      new SpectralLinear(8, 1),
    ]).vanillaExport();
    const straight = new Linear(3, 1, { bias: false }, { weight: tensor([[0.6, 0, 0.8]]), bias: undefined });
    const [high, low] = [randn([60, 3], { seed: 1 }).add(0.7), randn([60, 3], { seed: 2 })];
    const [x, y] = [tensor(high.dataSync() as Float32Array, [60, 3]), tensor(low.dataSync() as Float32Array, [60, 3])];
    const radii = [0.05, 0.3, 1];
    for (const model of [curved, straight]) {
      const { certified, clean } = await certifiedAuroc(model, x, y, radii);
      for (const [at, radius] of radii.entries()) {
        const [worse, better] = [
          await pushed(model, x, radius, (scores) => scores.neg()),
          await pushed(model, y, radius, (scores) => scores),
        ];
        expect(Math.max(farthest(worse, x), farthest(better, y))).toBeLessThanOrEqual(radius);
        const attacked = (await certifiedAuroc(model, worse, better, [])).clean;
        expect(attacked).toBeGreaterThanOrEqual(certified[at] ?? Number.NaN);
        expect(attacked).toBeLessThan(clean);
        if (model === straight) expect(attacked).toBeLessThan((certified[at] ?? Number.NaN) + 2e-3);
      }
    }
  });

  it("tells of progress, is ended by its signal, and refuses what is no sample, no score and no radius", async () => {
    const shares: number[] = [];
    const x = column([1, 2, 3]);
    await certifiedAuroc(given, x, x, [1], { batchSize: 2, onProgress: (share) => shares.push(share) });
    expect(shares).toEqual([2 / 6, 3 / 6, 5 / 6, 1]);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(certifiedAuroc(given, x, x, [], { signal })).rejects.toThrow("enough");
    expect(await codeOf(() => certifiedAuroc(given, zeros([0, 1]), x, []))).toBe("EMPTY_DATASET");
    await expect(certifiedAuroc(given, x, zeros([0, 1]), [])).rejects.toThrow(
      /negatives must have at least one sample/,
    );
    expect(await codeOf(() => certifiedAuroc(new Linear(1, 2), x, x, []))).toBe("SHAPE_MISMATCH");
    expect(await codeOf(() => certifiedAuroc(given, x, column([Number.NaN]), []))).toBe("NON_FINITE");
    expect(await codeOf(() => certifiedAuroc(given, x, x.greater(0), []))).toBe("DTYPE_MISMATCH");
    for (const radii of [
      [-1],
      [Number.NaN],
      [Number.POSITIVE_INFINITY],
      1 as never,
      ["1"] as never,
      undefined as never,
    ]) {
      expect(await codeOf(() => certifiedAuroc(given, x, x, radii))).toBe("INVALID_ARGUMENT");
    }
    expect(await codeOf(() => certifiedAuroc({} as Module, x, x, []))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => certifiedAuroc(given, x, x, [], { eps: 1 } as never))).toBe("INVALID_ARGUMENT");
  });
});
