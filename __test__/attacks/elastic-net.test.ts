// The elastic-net attack: its steps by hand and as float64 loops, and what its rule keeps.
import {
  type Bounds,
  EADAttack,
  type EADOptions,
  L1,
  L2,
  L2CarliniWagnerAttack,
  Linear,
  manualSeed,
  ReLU,
  randn,
  Sequential,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { shrunk } from "../../src/attacks/elastic-net.js";
import { codeOf } from "../train/subset.js";

const at = (values: ArrayLike<number>, k: number): number => values[k] ?? Number.NaN;

describe("a step", () => {
  it("shrinks each change by the threshold, to nothing where it is less, and keeps pixels within their bounds", () => {
    const images = tensor([[0.5, 0.5, 0.5, 0.9, 0.1, 1]]);
    const point = tensor([[0.75, 0.4375, 0.25, 1.5, -0.5, 1.0625]]);
    expect([...shrunk(point, images, 0.125, [0, 1]).dataSync()]).toEqual([0.625, 0.5, 0.375, 1, 0, 1]);
    expect([...shrunk(point, images, 0, [-2, 2]).dataSync()]).toEqual([...point.dataSync()]);
  });

  it("goes down the gradient of the weighted lead before", async () => {
    // The lead is x0 - x1 / 20 + x2 / 2 - 1/2; 40 times its gradient, by steps of 0.01, are -0.4, 0.02 and -0.2.
    const weight = tensor([
      [1, -0.05, 0.5],
      [0, 0, 0],
    ]);
    const model = new Linear(3, 2, {}, { weight, bias: tensor([-0.5, 0]) });
    const options = { binarySearchSteps: 1, steps: 1, initialConst: 40, regularization: 0.1 };
    const { raw, success, distances } = await new EADAttack(options).run(model, tensor([[0.5, 0.5, 0.5]]), [0]);
    expect(success).toEqual([true]);
    [0.2, 0.5, 0.4].forEach((pixel, k) => {
      expect(at(raw.dataSync(), k)).toBeCloseTo(pixel, 6);
    });
    expect(distances[0]).toBeCloseTo(0.4, 6);
  });
});

const [PIXELS, CLASSES, IMAGES] = [6, 4, 8];
/** Both searches make the same decisions; what is left is float32 rounding of pixels of order 1 over some hundred steps. */
const FLOAT32_SEARCH = 1e-5;

type Search = Required<EADOptions>;

/** The L1 norm of what the search finds for an image of a linear classifier, in foolbox's order; Infinity where that is nothing. */
function reference(
  [weight, bias]: readonly [number[][], number[]],
  image: number[],
  [chosen, targeted]: readonly [number, boolean],
  [low, high]: Bounds,
  o: Search,
): number {
  const logitsOf = (x: number[]): number[] =>
    weight.map((row, c) => row.reduce((sum, w, k) => sum + w * at(x, k), at(bias, c)));
  const wanted = (x: number[]): boolean => {
    const shifted = logitsOf(x).map((y, c) => (c === chosen ? y + (targeted ? -o.confidence : o.confidence) : y));
    return (shifted.indexOf(Math.max(...shifted)) === chosen) === targeted;
  };
  if (wanted(image)) return 0;
  let [best, found] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let [c, lower, upper] = [o.initialConst, 0, Number.POSITIVE_INFINITY];
  for (let round = 0; round < o.binarySearchSteps; round++) {
    if (round === o.binarySearchSteps - 1 && o.binarySearchSteps >= 10) c = Math.min(upper, 1e10);
    let [x, y, succeeded, previous] = [image, image, false, Number.POSITIVE_INFINITY];
    for (let k = 0; k < o.steps; k++) {
      const logits = logitsOf(y);
      const others = logits.map((value, j) => (j === chosen ? Number.NEGATIVE_INFINITY : value));
      const other = others.indexOf(Math.max(...others));
      const [down, up] = targeted ? [other, chosen] : [chosen, other];
      const lead = at(logits, down) - at(logits, up) + o.confidence;
      const loss = Math.max(0, lead) * c + y.reduce((sum, value, i) => sum + (value - at(image, i)) ** 2, 0);
      const push = lead > 0 ? c : 0;
      const rate = o.initialStepsize * Math.sqrt(1 - k / o.steps);
      const next = y.map((value, i) => {
        const gradient = 2 * (value - at(image, i)) + push * (at(weight[down] ?? [], i) - at(weight[up] ?? [], i));
        const z = value - rate * gradient - at(image, i);
        const kept = Math.sign(z) * Math.max(0, Math.abs(z) - o.regularization);
        return Math.min(Math.max(at(image, i) + kept, low), high);
      });
      y = next.map((value, i) => value + (k / (k + 3)) * (value - at(x, i)));
      x = next;
      if (o.abortEarly && k % Math.ceil(o.steps / 10) === 0) {
        if (!(loss <= 0.9999 * previous)) break;
        previous = loss;
      }
      if (!wanted(x)) continue;
      succeeded = true;
      const l1 = L1.between(x, image);
      const rank = o.decisionRule === "L1" ? l1 : L2.between(x, image) ** 2 + o.regularization * l1;
      if (rank < best) [best, found] = [rank, l1];
    }
    if (succeeded) upper = c;
    else lower = c;
    c = Number.isFinite(upper) ? (lower + upper) / 2 : c * 10;
  }
  return found;
}

const search: Search = {
  binarySearchSteps: 6,
  steps: 100,
  initialStepsize: 0.01,
  confidence: 0,
  initialConst: 1,
  regularization: 0.01,
  decisionRule: "EN",
  abortEarly: true,
};

describe("EADAttack finds what float64 loops find", () => {
  it.each<[string, boolean, Bounds, Partial<Search>]>([
    ["any other class", false, [0, 1], {}],
    ["by the L1 rule", false, [0, 1], { decisionRule: "L1", regularization: 0.03 }],
    ["never aborting", false, [0, 1], { abortEarly: false }],
    ["a target, repeating the last of ten searches", true, [0, 1], { binarySearchSteps: 10, steps: 40 }],
    ["a target in other bounds, with confidence", true, [-1, 2], { confidence: 0.4 }],
    ["fewer steps than checks", false, [0, 1], { steps: 7, confidence: 0.4 }],
  ])("%s", async (_, targeted, [low, high], changed) => {
    const options = { ...search, ...changed };
    const rows = (count: number, seed: number): number[][] => {
      const values = [...randn([count, PIXELS], { seed }).dataSync()];
      return Array.from({ length: count }, (_, i) => values.slice(i * PIXELS, (i + 1) * PIXELS));
    };
    const weight = rows(CLASSES, 11);
    const bias = [0.1, -0.2, 0, 0.15].map(Math.fround);
    const images = rows(IMAGES, 12).map((row) =>
      row.map((z) => Math.fround(low + (high - low) * (0.5 + 0.45 * Math.tanh(z)))),
    );
    const model = new Linear(PIXELS, CLASSES, {}, { weight: tensor(weight), bias: tensor(bias) });
    const labels = [...(await model.classify(tensor(images)))];
    const targets = labels.map((label, i) => (label + 1 + (i % (CLASSES - 1))) % CLASSES);
    const { distances } = await new EADAttack(options).run(model, tensor(images), labels, {
      bounds: [low, high],
      ...(targeted ? { targets } : {}),
    });
    const expected = images.map((image, i) =>
      reference([weight, bias], image, [at(targeted ? targets : labels, i), targeted], [low, high], options),
    );
    expect(expected.filter(Number.isFinite).length).toBeGreaterThan(IMAGES / 2);
    expected.forEach((wanted, i) => {
      if (Number.isFinite(wanted)) expect(Math.abs(at(distances, i) - wanted)).toBeLessThan(FLOAT32_SEARCH);
      else expect(distances[i]).toBe(wanted);
    });
  });
});

/** A network of curved borders, and twelve images that it tells apart. */
function network(features: number): { model: Sequential; images: Tensor; labels: Int32Array } {
  manualSeed(4);
  const model = new Sequential([new Linear(features, 24), new ReLU(), new Linear(24, CLASSES)], { constrained: false });
  const images = randn([12, features], { seed: 6 }).mul(0.2).add(0.5).clip(0, 1);
  return { model, images, labels: model.predictSync(images).argmax(1).dataSync() as Int32Array };
}

describe("of what the search comes by", () => {
  it("the rule keeps the least: elastic-net distance, or L1 norm", async () => {
    const { model, images, labels } = network(8);
    const regularization = 0.03;
    const by = (decisionRule: "EN" | "L1") =>
      new EADAttack({ steps: 200, regularization, decisionRule }).run(model, images, labels);
    const [elastic, sum] = [await by("EN"), await by("L1")];
    expect(sum.success).toEqual(elastic.success);
    expect(sum.success.filter(Boolean).length).toBeGreaterThan(5);
    const size = images.size / labels.length;
    const rankOf = (raw: ArrayLike<number>, i: number): number => {
      const [moved, original] = [raw, images.dataSync()].map((values) =>
        Array.from({ length: size }, (_, k) => at(values, i * size + k)),
      ) as [number[], number[]];
      return L2.between(moved, original) ** 2 + regularization * L1.between(moved, original);
    };
    const found = [...labels.keys()].filter((i) => sum.success[i]);
    for (const i of found) {
      expect(sum.distances[i]).toBeLessThanOrEqual(at(elastic.distances, i) + 1e-6);
      expect(rankOf(elastic.raw.dataSync(), i)).toBeLessThanOrEqual(rankOf(sum.raw.dataSync(), i) + 1e-6);
    }
    expect(found.some((i) => at(sum.distances, i) < at(elastic.distances, i) - 1e-3)).toBe(true);
  });

  it("changes are smaller in L1 norm, and of fewer pixels, than Carlini and Wagner's", async () => {
    const { model, images, labels } = network(40);
    const ead = await new EADAttack({ steps: 300, decisionRule: "L1", regularization: 0.03 }).run(
      model,
      images,
      labels,
    );
    const cw = await new L2CarliniWagnerAttack({ steps: 300 }).run(model, images, labels);
    const original = images.dataSync();
    const size = images.size / labels.length;
    const both = [...labels.keys()].filter((i) => ead.success[i] && cw.success[i]);
    expect(both.length).toBeGreaterThan(labels.length / 2);
    const measured = ({ raw }: typeof cw) =>
      both.map((i) => {
        const moved = Array.from(
          { length: size },
          (_, k) => at(raw.dataSync(), i * size + k) - at(original, i * size + k),
        );
        return { l1: moved.reduce((sum, d) => sum + Math.abs(d), 0), changed: moved.filter((d) => d !== 0).length };
      });
    const total = (values: number[]): number => values.reduce((sum, value) => sum + value, 0);
    const [sparse, dense] = [measured(ead), measured(cw)];
    expect(total(sparse.map(({ l1 }) => l1))).toBeLessThan(0.7 * total(dense.map(({ l1 }) => l1)));
    expect(total(sparse.map(({ changed }) => changed))).toBeLessThan(0.25 * total(dense.map(({ changed }) => changed)));
  });
});

it("options out of range are refused", async () => {
  for (const [options, message] of [
    [{ decisionRule: "L2" }, /decisionRule must be "EN" or "L1"; given "L2"/],
    [{ regularization: -1 }, /regularization must be finite in float32 and at least 0; given -1/],
    [{ initialStepsize: 0 }, /initialStepsize must be finite and above 0 in float32; given 0/],
    [{ initialConst: 1e11 }, /initialConst must be above 0 in float32 and at most 10000000000; given/],
    [{ decision_rule: "L1" }, /EADAttack has no option "decision_rule"; did you mean "decisionRule"/],
  ] as const) {
    expect(await codeOf(async () => new EADAttack(options as EADOptions))).toBe("INVALID_ARGUMENT");
    expect(() => new EADAttack(options as EADOptions)).toThrow(message);
  }
});
