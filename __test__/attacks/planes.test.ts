// Nearest points of planes within bounds against float64 ones, and attacks on a linear classifier whose borders bounds cut off.
import {
  type Attack,
  Generator,
  L0,
  L0BrendelBethgeAttack,
  L1,
  L1ALMAAttack,
  L1BrendelBethgeAttack,
  L1FABAttack,
  L1PDPGDAttack,
  L2,
  L2ALMAAttack,
  L2BrendelBethgeAttack,
  L2FABAttack,
  L2PDGDAttack,
  L2PDPGDAttack,
  Linear,
  Linf,
  LinfFABAttack,
  LinfinityBrendelBethgeAttack,
  LinfPDPGDAttack,
  type Norm,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { projectL1 } from "../../src/attacks/norm.js";
import { toPlanes } from "../../src/attacks/planes.js";

type Row = readonly number[];
const dot = (a: Row, b: Row): number => a.reduce((sum, v, k) => sum + v * (b[k] ?? 0), 0);
const at = (row: ArrayLike<number>, k: number): number => row[k] ?? Number.NaN;
const rowsOf = (x: Tensor): number[][] => {
  const values = [...x.dataSync()];
  const size = x.size / (x.shape[0] ?? 1);
  return Array.from({ length: x.shape[0] ?? 0 }, (_, i) => values.slice(i * size, (i + 1) * size));
};

/** The smallest step by the norm from a point of the box to a plane; the corner where the plane does not meet the box. */
function smallest(
  point: Row,
  gradient: Row,
  gap: number,
  [low, high]: readonly [number, number],
  norm: Norm,
): number[] {
  const side = Math.sign(gap);
  const room = point.map((v, k) => (side * at(gradient, k) > 0 ? high - v : v - low));
  const slopes = gradient.map(Math.abs);
  const signed = (steps: Row): number[] => steps.map((s, k) => s * side * Math.sign(at(gradient, k)));
  const wanted = Math.abs(gap);
  if (dot(slopes, room) <= wanted) return signed(room);
  if (norm === L1 || norm === L0) {
    const worth = norm === L1 ? slopes : slopes.map((slope, k) => slope * at(room, k));
    const order = slopes.map((_, k) => k).sort((a, b) => at(worth, b) - at(worth, a));
    const steps = room.map(() => 0);
    let left = wanted;
    for (const k of order) {
      steps[k] = at(slopes, k) === 0 ? 0 : Math.min(at(room, k), left / at(slopes, k));
      left -= at(slopes, k) * at(steps, k);
      // What rounding leaves is no step.
      if (left < 1e-12 * wanted) break;
    }
    return signed(steps);
  }
  const after = (time: number): number[] =>
    room.map((r, k) => Math.min(r, time * (norm === L2 ? at(slopes, k) : Number(at(slopes, k) > 0))));
  let [short, long] = [0, 1e6];
  for (let i = 0; i < 200; i++) {
    const middle = (short + long) / 2;
    if (dot(slopes, after(middle)) < wanted) short = middle;
    else long = middle;
  }
  return signed(after(long));
}

const norms = [L2, Linf, L1, L0];
/** Of float32, and of the sums of a few dozens of products. */
const ROUNDING = 1e-5;

describe.each(norms.map((norm) => ({ name: norm.name, norm })))("planes in $name", ({ norm }) => {
  it.each([1, 5, 40])("are met where that is nearest within the bounds, in %i dimensions", async (size) => {
    const generator = new Generator({ seed: size });
    const bounds = [-0.25, 1] as const;
    for (const reach of [0.01, 0.3, 0.9, 2]) {
      const points = generator
        .uniform([30, size])
        .mul(1.75)
        .sub(0.5)
        .clip(...bounds);
      const gradients = generator.normal([30, size]);
      const [images, slopes] = [
        rowsOf(tensor(await points.data(), [30, size])),
        rowsOf(tensor(await gradients.data(), [30, size])),
      ];
      const gaps = images.map((x, i) => {
        const side = i % 2 ? 1 : -1;
        return (
          side *
          reach *
          x.reduce((sum, v, k) => {
            const g = side * at(slopes[i] ?? [], k);
            return sum + Math.abs(g) * (g > 0 ? bounds[1] - v : v - bounds[0]);
          }, 0)
        );
      });
      const steps = rowsOf(toPlanes(tensor(images), tensor(slopes), tensor(gaps), bounds, norm));
      steps.forEach((step, i) => {
        const [image = [], slope = [], gap = 0] = [images[i], slopes[i], gaps[i]];
        const wanted = smallest(image, slope, gap, bounds, norm);
        const zero = wanted.map(() => 0);
        expect(Math.abs(dot(step, slope) - dot(wanted, slope))).toBeLessThan(ROUNDING * (1 + Math.abs(gap)));
        expect(norm.between(step, zero)).toBeLessThan(norm.between(wanted, zero) * (1 + ROUNDING) + ROUNDING);
        step.forEach((d, k) => {
          expect(at(image, k) + d).toBeGreaterThan(bounds[0] - 1e-6);
          expect(at(image, k) + d).toBeLessThan(bounds[1] + 1e-6);
        });
      });
    }
  });

  it("take no step where nothing moves, nothing is missing or everything is on its bound, and keep slopes of any size", () => {
    const points = tensor([
      [0.5, 0.5],
      [0.5, 0.5],
      [1, 0],
      [0.5, 0.5],
      [0.5, 0.5],
    ]);
    const slopes = tensor([
      [0, 0],
      [1, 2],
      [1, -1],
      [1e-30, 2e-30],
      [1e30, 2e30],
    ]);
    const gaps = tensor([1, 0, 1, 3e-31, 3e29]);
    const [still, met, bound, small, large] = rowsOf(toPlanes(points, slopes, gaps, [0, 1], norm));
    for (const step of [still, met, bound]) expect(step?.map(Math.abs)).toEqual([0, 0]);
    for (const step of [small, large]) expect(dot(step ?? [], [1, 2])).toBeCloseTo(0.3, 5);
  });
});

it("an L1 ball is projected onto within room, to a point that no other of both is nearer than", async () => {
  const generator = new Generator({ seed: 3 });
  const draw = async (scale: number): Promise<number[][]> =>
    rowsOf(tensor(await generator.uniform([20, 6]).mul(scale).data(), [20, 6]));
  const [size, room, tries] = [await draw(2), await draw(1), await draw(1)];
  const given = size.map((row, i) => row.map((v, k) => ((i + k) % 2 ? -v : v)));
  const radii = size.map((_, i) => [0.01, 0.5, 1.5, 100][i % 4] ?? 0);
  const found = rowsOf(projectL1(tensor(given), tensor(radii), tensor(room)));
  found.forEach((point, i) => {
    const [d = [], most = [], radius = 0] = [given[i], room[i], radii[i]];
    expect(point.reduce((sum, v) => sum + Math.abs(v), 0)).toBeLessThanOrEqual(radius);
    point.forEach((v, k) => {
      expect(Math.abs(v)).toBeLessThanOrEqual(at(most, k));
    });
    const away = Math.hypot(...d.map((v, k) => v - at(point, k)));
    for (const shares of tries) {
      for (const part of [1, 0.01]) {
        const other = point.map((v, k) => v + part * (Math.sign(at(d, k)) * at(most, k) * at(shares, k) - v));
        const sum = other.reduce((all, v) => all + Math.abs(v), 0);
        const inside = other.map((v) => v * Math.min(1, radius / sum));
        expect(away).toBeLessThanOrEqual(Math.hypot(...d.map((v, k) => v - at(inside, k))) * (1 + ROUNDING));
      }
    }
  });
});

const [PIXELS, IMAGES] = [12, 16];

/** Images many pixels of which are on or near their bounds, and the least distances to other classes within these. */
async function cut(
  norm: Norm,
  classes: number,
): Promise<{ model: Linear; images: Tensor; labels: number[]; nearest: number[] }> {
  const generator = new Generator({ seed: 21 });
  const [w, b, pixels] = await Promise.all([
    generator.normal([classes, PIXELS]).data(),
    generator.normal([classes]).mul(0.1).data(),
    generator.uniform([IMAGES, PIXELS]).mul(1.6).sub(0.3).clip(0, 1).data(),
  ]);
  const [weight, bias, images] = [tensor(w, [classes, PIXELS]), tensor(b), tensor(pixels, [IMAGES, PIXELS])];
  const model = new Linear(PIXELS, classes, {}, { weight, bias });
  const rows = rowsOf(weight);
  const labels: number[] = [];
  const nearest = rowsOf(images).map((image) => {
    const logits = rows.map((row, c) => dot(row, image) + at(b, c));
    const own = logits.indexOf(Math.max(...logits));
    labels.push(own);
    const zero = image.map(() => 0);
    const distances = rows.map((row, c) => {
      if (c === own) return Number.POSITIVE_INFINITY;
      const gradient = row.map((v, k) => v - at(rows[own] ?? [], k));
      const gap = at(logits, own) - at(logits, c);
      const step = smallest(image, gradient, gap, [0, 1], norm);
      return dot(step, gradient) < gap * (1 - 1e-9) ? Number.POSITIVE_INFINITY : norm.between(step, zero);
    });
    return Math.min(...distances);
  });
  return { model, images, labels, nearest };
}

it.each<[string, () => Attack, number, number?]>([
  ["FAB in L2", () => new L2FABAttack(), 1.005],
  ["FAB in Linf", () => new LinfFABAttack(), 1.005],
  ["FAB in L1", () => new L1FABAttack(), 1.005],
  // It follows the border that it comes to first.
  ["Brendel-Bethge in L2", () => new L2BrendelBethgeAttack({ seed: 1, lr: 0.02 }), 1.002, 2],
  ["Brendel-Bethge in Linf", () => new LinfinityBrendelBethgeAttack({ seed: 1, lr: 0.02 }), 1.002, 2],
  ["Brendel-Bethge in L1", () => new L1BrendelBethgeAttack({ seed: 1, lr: 0.02 }), 1.002, 2],
  ["Brendel-Bethge for L0", () => new L0BrendelBethgeAttack({ seed: 1, lr: 0.2 }), 1.002, 2],
  ["ALMA in L2", () => new L2ALMAAttack(), 1.05],
  ["ALMA in L1", () => new L1ALMAAttack(), 1.3],
  ["PDGD", () => new L2PDGDAttack(), 1.05],
  ["PDPGD in L2", () => new L2PDPGDAttack(), 1.05],
  ["PDPGD in Linf", () => new LinfPDPGDAttack(), 1.1],
  ["PDPGD in L1", () => new L1PDPGDAttack(), 1.3],
])(
  "%s finds the nearest adversarials of a linear classifier where bounds cut off the shortest way",
  async (_, make, share, classes = 4) => {
    const attack = make();
    const { model, images, labels, nearest } = await cut(attack.norm, classes);
    const { distances, success } = await attack.run(model, images, labels);
    expect(success.every(Boolean)).toBe(true);
    nearest.forEach((distance, i) => {
      expect(distances[i]).toBeGreaterThan(distance * (1 - 1e-5));
      expect(distances[i]).toBeLessThan(distance * share + 1e-5);
    });
  },
);
