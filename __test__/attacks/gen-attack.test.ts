// GenAttack: who has children, what these are, and how often it asks, by questions whose answers are chosen.
import { BlackBox, GenAttack, type GenAttackOptions, Linear, tensor } from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

const WIDTH = 400;
const RADIUS = 0.25;
/** Roundings of what is added to pixels and taken away again, as shares of the radius. */
const ROUNDING = 1e-6;

/** Perturbations of an image of 0.5 that are asked for, as multiples of the radius, and how many at a time; `[question][pixel]`. */
async function asked(
  options: GenAttackOptions,
  score: (noise: Float32Array) => number,
  shape: readonly number[] = [WIDTH],
): Promise<{ questions: Float32Array[]; calls: number[]; queries: number }> {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const questions: Float32Array[] = [];
  const calls: number[] = [];
  const box = new BlackBox(
    (values, [n = 0]) => {
      calls.push(n);
      return Float32Array.from({ length: 2 * n }, (_, k) => {
        if (k % 2 === 1) return 0;
        const noise = values.slice((k / 2) * size, (k / 2 + 1) * size).map((value) => (value - 0.5) / RADIUS);
        questions.push(noise);
        // The logit of the label: the less the better.
        return 1000 - score(noise);
      });
    },
    { shape, classes: 2 },
  );
  const image = tensor(new Float32Array(size).fill(0.5), [1, ...shape]);
  const [result] = await new GenAttack({ seed: 1, ...options }).run(box, image, [0], { epsilons: [RADIUS] });
  return { questions: questions.slice(1), calls: calls.slice(1), queries: result?.queries?.[0] ?? 0 };
}

const largest = (values: Iterable<number>): number => Math.max(...Array.from(values, Math.abs));

describe("generations", () => {
  it("begin with uniform noise, then have children of two parents each, half of whose pixels are mutated", async () => {
    const children = 5;
    const { questions } = await asked({ steps: 2, population: children + 1 }, () => 0);
    expect(questions.length).toBe(2 * children);
    const [first, second] = [questions.slice(0, children), questions.slice(children)];
    for (const noise of first) {
      expect(largest(noise)).toBeGreaterThan(0.97);
      expect(largest(noise)).toBeLessThanOrEqual(1 + ROUNDING);
      // The mean of squares of uniform numbers in [-1, 1] is 1/3.
      expect(noise.reduce((sum, value) => sum + value * value, 0) / WIDTH).toBeCloseTo(1 / 3, 1);
    }
    const parents = [new Float32Array(WIDTH), ...first];
    for (const child of second) {
      const same = parents.map(
        (parent) => child.filter((value, k) => Math.abs(value - (parent[k] ?? 0)) < ROUNDING).length,
      );
      const [one = 0, other = 0, ...rest] = same.toSorted((a, b) => b - a);
      // All parents score alike: half of the pixels are of each, and half of these are not mutated; of one parent alone half are.
      expect(one + other).toBeGreaterThan(0.4 * WIDTH);
      expect(one + other).toBeLessThan(0.6 * WIDTH);
      expect(largest(rest)).toBeLessThan(0.02 * WIDTH);
      const far = child.map((value, k) => Math.min(...parents.map((parent) => Math.abs(value - (parent[k] ?? 0)))));
      expect(largest(far)).toBeLessThan(0.4 + ROUNDING);
      expect(largest(child)).toBeLessThanOrEqual(1 + ROUNDING);
    }
  });

  it("are bred of those that score best, the colder the more", async () => {
    const children = 3;
    // The sum of pixels: what is bred grows.
    const sum = (noise: Float32Array): number => noise.reduce((total, value) => total + value, 0);
    const { questions } = await asked({ steps: 40, population: children + 1, samplingTemperature: 1e-3 }, sum);
    const sums = questions.map(sum);
    for (let k = children; k < sums.length; k += children) {
      // Nearly all have the best so far, the image itself being the first, for both parents.
      const parent = [new Float32Array(WIDTH), ...questions.slice(0, k)].reduce((a, b) => (sum(b) > sum(a) ? b : a));
      for (const child of questions.slice(k, k + children)) {
        const same = child.filter((value, pixel) => Math.abs(value - (parent[pixel] ?? 0)) < ROUNDING).length;
        expect(same).toBeGreaterThan(0.4 * WIDTH);
      }
    }
    expect(Math.max(...sums.slice(-children))).toBeGreaterThan(2 * Math.max(0, ...sums.slice(0, children)));
  });

  it("mutate fewer pixels, and less, after every hundred without a better one, down to what is asked for", async () => {
    // The image itself remains the best, so that children are mutations alone.
    const score = (noise: Float32Array): number => -1e3 * largest(noise);
    const options = { steps: 420, population: 2, samplingTemperature: 1e-3 };
    const { questions } = await asked({ ...options, mutationProbability: 0.4, mutationRange: 0.3 }, score);
    expect(questions.length).toBe(420);
    for (let plateaus = 0; plateaus <= 4; plateaus++) {
      // The first generation is no mutation.
      const own = questions.slice(Math.max(1, 100 * plateaus), Math.min(100 * (plateaus + 1), 420));
      const range = Math.max(0.3, 0.4 * 0.9 ** plateaus);
      const share = Math.max(0.4, 0.5 * 0.9 ** plateaus);
      const moved = own.flatMap((noise) => [...noise].filter((value) => Math.abs(value) > ROUNDING));
      expect(largest(own.flatMap((noise) => [...noise]))).toBeLessThan(range + ROUNDING);
      expect(largest(own.flatMap((noise) => [...noise]))).toBeGreaterThan(0.99 * range);
      // Of 8,000 pixels and more the share is within four standard deviations, 0.56 %, of what is expected each.
      expect(Math.abs(moved.length / (own.length * WIDTH) - share)).toBeLessThan(0.025);
    }
  });
});

it("perturbations of smaller sides are enlarged bilinearly, as areas of pixels", async () => {
  const { questions } = await asked({ steps: 3, population: 3, reducedDims: [2, 2] }, () => 0, [2, 4, 4]);
  expect(questions.length).toBe(6);
  const weights = [
    [1, 0],
    [0.75, 0.25],
    [0.25, 0.75],
    [0, 1],
  ];
  for (const noise of questions) {
    for (const channel of [0, 16]) {
      const corner = (y: number, x: number): number => noise[channel + 12 * y + 3 * x] ?? 0;
      weights.forEach(([up = 0, down = 0], row) => {
        weights.forEach(([left = 0, right = 0], column) => {
          const wanted =
            up * (left * corner(0, 0) + right * corner(0, 1)) + down * (left * corner(1, 0) + right * corner(1, 1));
          expect(noise[channel + 4 * row + column]).toBeCloseTo(wanted, 5);
        });
      });
    }
  }
});

describe("questions", () => {
  it("are of children alone, a generation at a time, and end with the generation that has an adversarial", async () => {
    const { calls, queries } = await asked({ steps: 4, population: 6 }, () => 0);
    expect(calls).toEqual([5, 5, 5, 5]);
    expect(queries).toBe(21);
    // The second child of the third generation is adversarial.
    let count = 0;
    const found = await asked({ steps: 4, population: 6 }, () => (count++ === 12 ? 2000 : 0));
    expect(found.calls).toEqual([5, 5, 5]);
    expect(found.queries).toBe(16);
  });

  it("reach a target that the scores lead to, by few of them", async () => {
    const weight = Array.from({ length: 3 }, (_, c) =>
      Array.from({ length: 20 }, (__, k) => Math.sin(7 * c + k * (c + 1))),
    );
    const model = new Linear(20, 3, { bias: false }, { weight: tensor(weight), bias: undefined });
    const images = tensor(new Float32Array(80).fill(0.5), [4, 20]);
    const labels = await model.classify(images);
    const targets = labels.map((label) => (label + 1) % 3);
    const [result] = await new GenAttack({ steps: 200, seed: 3 }).run(model, images, labels, {
      epsilons: [0.4],
      targets,
    });
    expect(result?.success).toEqual([true, true, true, true]);
    expect([...(await model.classify(result?.clipped ?? images))]).toEqual([...targets]);
    for (const count of result?.queries ?? []) expect(count).toBeLessThan(1 + 9 * 100);
  });
});

it("refuses sides that are none, or larger than those of the images, and a population without children", async () => {
  for (const [options, message] of [
    [{ reducedDims: [7] }, "reducedDims must be a whole number >= 1 or a pair [height, width] of them; given [7]"],
    [
      { reducedDims: [0, 2] },
      "reducedDims must be a whole number >= 1 or a pair [height, width] of them; given [0, 2]",
    ],
    [{ population: 1 }, "population must be"],
    [{ mutationProbability: 1.5 }, "mutationProbability must be at least 0 and at most 1; given 1.5"],
    [{ epsilon: 0.1 }, 'GenAttack has no option "epsilon"; radii are given where it runs'],
  ] as const) {
    expect(await codeOf(() => new GenAttack(options as GenAttackOptions))).toBe("INVALID_ARGUMENT");
    expect(() => new GenAttack(options as GenAttackOptions)).toThrow(message);
  }
  await expect(asked({ reducedDims: [2, 5] }, () => 0, [1, 4, 4])).rejects.toThrow(
    "reducedDims of GenAttack are [2,5]; expected images [n, channels, height, width] with sides as large or larger; given images [n, 1, 4, 4]",
  );
});
