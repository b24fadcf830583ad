// Steps to a plane with the fewest pixels, held against all choices of pixels in float64.
import { Generator, type Tensor, tensor } from "tslip";
import { describe, expect, it } from "vitest";
import { partly, towardsFewest } from "../../src/attacks/fewest.js";

const [SIZE, TRIALS] = [7, 60];
const BOUNDS = [-0.5, 1] as const;
const [LOW, HIGH] = BOUNDS;
/** Of float32 and its sums. */
const ROUNDING = 1e-5;

type Row = readonly number[];
const dot = (a: Row, b: Row): number => a.reduce((sum, v, k) => sum + v * (b[k] ?? 0), 0);
const minus = (a: Row, b: Row): number[] => a.map((v, k) => v - (b[k] ?? 0));

/** Of all choices of pixels that stay the fewest with which a step keeps to the gap and the region; Infinity where none does. */
function fewest(here: Row, original: Row, gradient: Row, gap: number, region: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let chosen = 0; chosen < 2 ** SIZE; chosen++) {
    const stays = here.map((_, k) => (chosen >> k) % 2 === 1);
    const count = stays.filter(Boolean).length;
    if (count >= best) continue;
    const after = (time: number): number[] =>
      here.map((v, k) =>
        stays[k] ? Math.min(Math.max(v - time * (gradient[k] ?? 0), LOW), HIGH) - v : (original[k] ?? 0) - v,
      );
    const keeps = (time: number): boolean => dot(after(time), gradient) <= gap;
    if (!keeps(1e9)) continue;
    let [short, long] = [0, keeps(0) ? 0 : 1e9];
    for (let i = 0; i < 200; i++) {
      const middle = (short + long) / 2;
      if (keeps(middle)) long = middle;
      else short = middle;
    }
    // The shortest of these steps.
    if (Math.hypot(...after(long)) <= region) best = count;
  }
  return best;
}

describe("a step to the near side of a plane", () => {
  const problems = async (): Promise<{ here: number[][]; originals: number[][]; gradients: number[][] }> => {
    const generator = new Generator({ seed: 8 });
    const drawn = async (scale: number, from: number): Promise<number[][]> => {
      const values = await generator.uniform([TRIALS, SIZE]).mul(scale).add(from).clip(LOW, HIGH).data();
      return Array.from({ length: TRIALS }, (_, i) => [...values.slice(i * SIZE, (i + 1) * SIZE)]);
    };
    const gradients = (await drawn(1.5, LOW)).map((row) => row.map((v) => 2 * v - 0.5));
    const [originals, other] = [await drawn(2, -0.7), await drawn(2, -0.7)];
    // Some pixels are those of the image already.
    const here = other.map((row, i) => row.map((v, k) => ((i + k) % 4 === 0 ? (originals[i]?.[k] ?? 0) : v)));
    return { here, originals, gradients };
  };

  it.each([0.3, 0.8, 5])(
    "leaves about as few pixels as any within a region of %d, and keeps to it and to the gap",
    async (length) => {
      const { here, originals, gradients } = await problems();
      const gaps = here.map((row, i) => {
        const [gradient = [], original = []] = [gradients[i], originals[i]];
        // A part of the way that the original goes up; every third image is beyond the plane.
        return (i % 3 === 0 ? -0.1 : 0.3) * Math.abs(dot(gradient, minus(original, row)));
      });
      const moved = towardsFewest({
        here: tensor(here),
        originals: tensor(originals),
        gradients: tensor(gradients),
        gaps: tensor(gaps),
        region: tensor(length),
        bounds: BOUNDS,
      }).dataSync();
      let [equal, met, over] = [0, 0, 0];
      here.forEach((row, i) => {
        const [gradient = [], original = [], gap = 0] = [gradients[i], originals[i], gaps[i]];
        const after = [...moved.slice(i * SIZE, (i + 1) * SIZE)];
        for (const value of after) {
          expect(value).toBeGreaterThan(LOW - ROUNDING);
          expect(value).toBeLessThan(HIGH + ROUNDING);
        }
        const step = minus(after, row);
        expect(Math.hypot(...step)).toBeLessThan(length * (1 + ROUNDING));
        const least = fewest(row, original, gradient, gap, length * (1 - ROUNDING));
        if (least === Number.POSITIVE_INFINITY) return;
        met += 1;
        expect(dot(step, gradient)).toBeLessThan(gap + ROUNDING);
        const count = after.filter((v, k) => v !== Math.fround(original[k] ?? 0)).length;
        // A multiplier of the Lagrangian parts pixels by their worth alone.
        expect(count).toBeLessThanOrEqual(least + 2);
        equal += Number(count <= least);
        over += count - least;
      });
      expect(met).toBe(TRIALS);
      expect(equal).toBeGreaterThan(0.9 * met);
      expect(over).toBeLessThan(0.1 * met);
    },
  );

  it.each([2 ** 12, 2 ** -12])("finds the same in units of pixels %d times as large", async (unit) => {
    const { here, originals, gradients } = await problems();
    const gaps = here.map((row, i) => 0.3 * dot(gradients[i] ?? [], minus(originals[i] ?? [], row)));
    const moved = (by: number) => {
      const bounds = BOUNDS.map((bound) => bound * by) as [number, number];
      const [at, from, most] = [here, originals, [gaps]].map((rows) => tensor(rows).mul(by)) as [
        Tensor,
        Tensor,
        Tensor,
      ];
      const plane = { gradients: tensor(gradients), gaps: most.reshape([-1]), region: tensor(0.8 * by) };
      return towardsFewest({ here: at, originals: from, bounds, ...plane })
        .div(by)
        .dataSync();
    };
    expect(moved(unit)).toEqual(moved(1));
  });

  it("goes as far as the region, of pixels that differ already, where it is too short for the plane", () => {
    const here = tensor([[0.2, 0.5, 0]]);
    const originals = tensor([[0, 0.5, 0]]);
    const plane = { gradients: tensor([[1, 5, 2]]), gaps: tensor([-2]), region: tensor(0.125), bounds: BOUNDS };
    const moved = towardsFewest({ here, originals, ...plane });
    expect([...moved.dataSync()].map((v) => Math.round(v * 1e6) / 1e6)).toEqual([0.075, 0.5, 0]);
    // Where none differs all may.
    const first = towardsFewest({ here: originals, originals, ...plane });
    expect(Math.hypot(...minus([...first.dataSync()], [0, 0.5, 0]))).toBeCloseTo(0.125, 6);
  });
});

it("the part of the way from a step to another one is as long as the region", () => {
  const first = tensor([
    [3, 0],
    [0.3, 0],
    [0.3, 0],
  ]);
  const end = tensor([
    [0, 4],
    [0.3, 4],
    [0.3, 0.1],
  ]);
  const parts = partly(first, end, tensor(0.5)).dataSync();
  [0.5, 0, 0.3, 0.4, 0.3, 0.1].forEach((wanted, k) => {
    expect(parts[k]).toBeCloseTo(wanted, 6);
  });
});
