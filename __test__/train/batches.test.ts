// The order of samples and how it is cut.
import { describe, expect, it } from "vitest";
import { batchSizes, inOrder, shuffledOrder } from "../../src/train/batches.js";

describe("shuffledOrder", () => {
  it("names every sample once, in an order that depends on seed and epoch", () => {
    const orders = [
      [0, 1],
      [0, 2],
      [1, 1],
      [-1, 1],
      [2 ** 53 - 1, 1],
    ].map(([seed = 0, epoch = 0]) => shuffledOrder(500, seed, epoch));
    for (const order of orders) expect([...order].sort((a, b) => a - b)).toEqual([...inOrder(500)]);
    expect(new Set(orders.map((order) => order.join())).size).toBe(orders.length);
    expect([...shuffledOrder(500, 0, 1)]).toEqual([...(orders[0] ?? [])]);
  });

  it("puts every sample everywhere equally often", () => {
    const [length, epochs] = [5, 4000];
    const counts = new Float64Array(length * length);
    for (let epoch = 0; epoch < epochs; epoch++) {
      shuffledOrder(length, 9, epoch).forEach((sample, place) => {
        const at = sample * length + place;
        counts[at] = (counts[at] ?? 0) + 1;
      });
    }
    // Binomial(4000, 1/5): standard deviation 25; five of them.
    for (const count of counts) expect(Math.abs(count - epochs / length)).toBeLessThan(126);
  });
});

describe("batchSizes", () => {
  it("ends with a smaller batch where the size does not divide the set", () => {
    expect(batchSizes(60_000, 4096)).toEqual([
      { size: 4096, steps: 14 },
      { size: 2656, steps: 1 },
    ]);
    expect(batchSizes(40, 20)).toEqual([{ size: 20, steps: 2 }]);
    expect(batchSizes(7, 20)).toEqual([{ size: 7, steps: 1 }]);
  });
});
