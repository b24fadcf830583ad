// Norms of perturbations against their definitions: nearest points by brute force, steepest directions, random starts.
import { Generator, L0, L1, L2, Linf, type Norm, randn, type Tensor, tensor } from "tslip";
import { describe, expect, it } from "vitest";

const norms = [L2, Linf, L1, L0] as const;
/** float32 sums of a few numbers. */
const ROUNDING = 2e-6;

const awkward = tensor([
  [0, 0, 0, 0],
  [3, -3, 3, -3],
  [1, 0, 0, 0],
  [-2, 5, 5, 0.5],
  [1e-20, -1e-20, 1e-21, 0],
  [1e18, 1e18, -1e18, 1],
  [0.3, -0.2, 0.1, -0.05],
]);
const radii = tensor([1, 2, 5, 3, 1e-20, 2, 0]);

const rowsOf = (x: Tensor): number[][] => {
  const values = [...x.dataSync()];
  const size = x.size / (x.shape[0] ?? 1);
  return Array.from({ length: x.shape[0] ?? 0 }, (_, i) => values.slice(i * size, (i + 1) * size));
};
const l2 = (a: readonly number[], b: readonly number[] = []): number => Math.hypot(...a.map((v, i) => v - (b[i] ?? 0)));
const measure = (norm: Norm, d: readonly number[]): number =>
  norm.between(
    d,
    d.map(() => 0),
  );

describe.each(norms.map((norm) => ({ name: norm.name, norm })))("$name", ({ norm }) => {
  it("measures as it does in float64", () => {
    const distances = norm.distance(awkward).dataSync();
    rowsOf(awkward).forEach((row, i) => {
      const want = measure(norm, row);
      expect(Math.abs((distances[i] ?? 0) - want)).toBeLessThanOrEqual(ROUNDING * want);
    });
  });

  it("projects onto its ball, to a point that no other of the ball is nearer than", () => {
    const projected = rowsOf(norm.project(awkward, radii));
    const limits = [...radii.dataSync()];
    rowsOf(awkward).forEach((row, i) => {
      const [point, radius] = [projected[i] ?? [], limits[i] ?? 0];
      expect(point.every(Number.isFinite)).toBe(true);
      expect(measure(norm, point)).toBeLessThanOrEqual(radius);
      if (measure(norm, row) <= radius) expect(point).toEqual(row);
      // Random points of the ball, many of them near the one that was found.
      const away = l2(row, point);
      for (let trial = 0; trial < 300; trial++) {
        const near = point.map((v, k) => v + (trial % 2 ? radius : radius * 0.01) * Math.sin(trial * 7 + k * 13 + i));
        const size = measure(norm, near);
        const kept = norm.name === "L0" ? near.map((v, k) => (k < Math.floor(radius) ? v : 0)) : near;
        const inside = kept.map((v) => (norm.name === "L0" || size === 0 ? v : v * Math.min(1, radius / size)));
        expect(away).toBeLessThanOrEqual(l2(row, inside) * (1 + 1e-5) + 1e-30);
      }
    });
  });

  it("keeps what it projects and where it starts within the radii to the last bit, for whatever radii and sizes", () => {
    const generator = new Generator({ seed: 8 });
    for (const [size, count] of [
      [1, 200],
      [2, 200],
      [7, 200],
      [100, 100],
      [3072, 10],
    ] as const) {
      const d = generator.normal([count, size]);
      const norms = norm.distance(d);
      const norms64 = rowsOf(d).map((row) => measure(norm, row));
      for (const scale of [1e-6, 0.3, 0.9, 1 - 1e-7, 1, 1 + 1e-7]) {
        const limits = norms.mul(scale);
        const within = limits.dataSync();
        const projected = norm.project(d, limits);
        rowsOf(projected).forEach((point, i) => {
          const distance = measure(norm, point);
          expect(distance).toBeLessThanOrEqual(within[i] ?? 0);
          // Thresholds of L1 are magnitudes of d, to a unit in their last place.
          const reached = Math.min(within[i] ?? 0, norms64[i] ?? 0) * (1 - 1e-5) - (norms64[i] ?? 0) * 2 ** -23;
          if (norm !== L0) expect(distance).toBeGreaterThanOrEqual(reached);
        });
        expect(norm.project(projected, limits).sub(projected).abs().max().item()).toBe(0);
        rowsOf(norm.random(generator, d, limits)).forEach((point, i) => {
          expect(measure(norm, point)).toBeLessThanOrEqual(within[i] ?? 0);
        });
      }
    }
  });

  it("goes up a gradient as steeply as a direction of norm 1 can", () => {
    const gradient = randn([6, 5], { seed: 2 });
    const directions = rowsOf(norm.steepest(gradient));
    rowsOf(gradient).forEach((g, i) => {
      const u = directions[i] ?? [];
      expect(measure(norm, u)).toBeLessThanOrEqual(1 + ROUNDING);
      const rise = u.reduce((sum, v, k) => sum + v * (g[k] ?? 0), 0);
      // The dual norm.
      const best = { L2: l2(g), Linf: measure(L1, g), L1: measure(Linf, g), L0: measure(Linf, g) }[norm.name];
      expect(Math.abs(rise - best)).toBeLessThan(ROUNDING * best);
    });
    expect([...norm.steepest(tensor([[0, 0, 0]])).dataSync()]).toEqual([0, 0, 0]);
  });

  it("starts at random within the radii, others each time", () => {
    const generator = new Generator({ seed: 3 });
    const like = randn([50, 6], { seed: 1 });
    const limits = tensor(Float32Array.from({ length: 50 }, (_, i) => i / 10));
    const points = rowsOf(norm.random(generator, like, limits));
    points.forEach((point, i) => {
      expect(measure(norm, point)).toBeLessThanOrEqual(Math.fround(i / 10));
    });
    expect(points.flat().filter((v) => v !== 0).length).toBeGreaterThan(50);
    expect(rowsOf(norm.random(generator, like, limits))).not.toEqual(points);
  });
});

it("L2 starts are uniform in the ball: half of them beyond the radius that holds half of it", () => {
  const generator = new Generator({ seed: 4 });
  const like = randn([4000, 3], { seed: 1 });
  const points = rowsOf(L2.random(generator, like, tensor(new Float32Array(4000).fill(2))));
  const beyond = points.filter((point) => l2(point) > 2 * 0.5 ** (1 / 3)).length;
  // Six standard errors of 4,000 coins.
  expect(Math.abs(beyond - 2000)).toBeLessThan(6 * Math.sqrt(1000));
});
