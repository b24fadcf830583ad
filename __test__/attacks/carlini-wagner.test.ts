// The attack of Carlini and Wagner where the nearest adversarial is known, and what it refuses.

import {
  type AttackOptions,
  type AttackResult,
  certify,
  fit,
  L2CarliniWagnerAttack,
  type L2CarliniWagnerOptions,
  Linear,
  Module,
  type Sequential,
  type Tensor,
  tensor,
} from "tslip";
import { beforeAll, describe, expect, it } from "vitest";
import { codeOf, referenceNetwork, referenceOptions, subset, weightsOf } from "../train/subset.js";

const FEATURES = 4;
const WEIGHT = [
  [1, 0, 0.5, 0],
  [0, 1, 0, 0.25],
  [-0.5, -0.5, 0.5, 1],
];
const BIAS = [0.1, 0, -0.1];

/** Three classes by hyperplanes, with the middle of the images' range as origin. */
function linear(scale = 1, shift = 0): Linear {
  const model = new Linear(FEATURES, 3);
  const weight = WEIGHT.map((row) => row.map((w) => w / scale));
  const bias = BIAS.map((b, c) => b - (WEIGHT[c] ?? []).reduce((sum, w) => sum + (w * shift) / scale, 0));
  model.loadStateDict({ weight: tensor(weight), bias: tensor(bias) });
  return model;
}

const IMAGES = [
  [0.7, 0.4, 0.5, 0.3],
  [0.4, 0.8, 0.3, 0.4],
  [0.2, 0.3, 0.5, 0.9],
];
const LABELS = [0, 1, 2];

const logit = (c: number, x: readonly number[]): number =>
  (WEIGHT[c] ?? []).reduce((sum, w, k) => sum + w * (x[k] ?? 0), BIAS[c] ?? 0);

/** Distance of x to the hyperplane where class `other` catches up with class `own`. */
function distanceTo(x: readonly number[], own: number, other: number): number {
  const normal = Math.hypot(...(WEIGHT[own] ?? []).map((w, k) => w - (WEIGHT[other]?.[k] ?? 0)));
  return (logit(own, x) - logit(other, x)) / normal;
}

const exact = IMAGES.map((x, i) =>
  Math.min(...[0, 1, 2].filter((c) => c !== LABELS[i]).map((c) => distanceTo(x, LABELS[i] ?? 0, c))),
);

/** What nine searches of a few hundred steps miss of the exact distance. */
const SEARCH = 0.02;
/** Pixels are kept 1e-6 of the range inside their bounds, and are float32: the attack may end that much nearer. */
const INSIDE = 1e-5;

const attack = (options: L2CarliniWagnerOptions = {}): L2CarliniWagnerAttack =>
  new L2CarliniWagnerAttack({ binarySearchSteps: 9, steps: 300, initialConst: 0.1, ...options });

const norms = (a: Tensor, b: Tensor): number[] => {
  const [x, y] = [Float32Array.from(a.dataSync()), Float32Array.from(b.dataSync())];
  const size = x.length / (a.shape[0] ?? 1);
  return Array.from({ length: a.shape[0] ?? 0 }, (_, i) =>
    Math.sqrt(x.slice(i * size, (i + 1) * size).reduce((sum, v, k) => sum + (v - (y[i * size + k] ?? 0)) ** 2, 0)),
  );
};

describe("on a linear model", () => {
  it("the distance approaches that to the nearest hyperplane, from above", async () => {
    const images = tensor(IMAGES);
    const { distances, success, clipped, raw } = await attack().run(linear(), images, LABELS);
    expect(success).toEqual([true, true, true]);
    expect(await linear().classify(images)).toEqual(Int32Array.from(LABELS));
    expect((await linear().classify(clipped)).every((c, i) => c !== LABELS[i])).toBe(true);
    distances.forEach((distance, i) => {
      expect(distance).toBeGreaterThan((exact[i] ?? 0) - INSIDE);
      expect(distance).toBeLessThan((exact[i] ?? 0) * (1 + SEARCH));
    });
    norms(clipped, images).forEach((norm, i) => {
      expect(norm).toBeCloseTo(distances[i] ?? Number.NaN, 12);
    });
    expect(raw.dataSync()).toEqual(clipped.dataSync());
  });

  it("a targeted attack reaches the class it was given, at the distance to its hyperplane", async () => {
    const targets = [2, 0, 0];
    const { distances, success, clipped } = await attack().run(linear(), tensor(IMAGES), LABELS, { targets });
    expect(success).toEqual([true, true, true]);
    expect(Array.from(await linear().classify(clipped))).toEqual(targets);
    distances.forEach((distance, i) => {
      const known = distanceTo(IMAGES[i] ?? [], LABELS[i] ?? 0, targets[i] ?? 0);
      // The target must lead the third class too, so this is a bound from below only.
      expect(distance).toBeGreaterThan(known - INSIDE);
    });
    const nearest = await attack().run(linear(), tensor(IMAGES), LABELS);
    distances.forEach((distance, i) => {
      expect(distance).toBeGreaterThan((nearest.distances[i] ?? 0) * (1 - SEARCH));
    });
  });

  it("other bounds change the distance by their width alone", async () => {
    const [low, high] = [-3, 5];
    const width = high - low;
    const images = tensor(IMAGES.map((row) => row.map((x) => low + width * x)));
    const model = linear(width, low);
    const { distances, success, clipped } = await attack().run(model, images, LABELS, { bounds: [low, high] });
    expect(success).toEqual([true, true, true]);
    distances.forEach((distance, i) => {
      const known = width * (exact[i] ?? 0);
      expect(distance).toBeGreaterThan(known - width * INSIDE);
      expect(distance).toBeLessThan(known * (1 + SEARCH));
    });
    const pixels = Array.from(clipped.dataSync());
    expect(Math.min(...pixels)).toBeGreaterThanOrEqual(low);
    expect(Math.max(...pixels)).toBeLessThanOrEqual(high);
  });

  it("a list of epsilons gives one result each, success exactly where epsilon suffices", async () => {
    const images = tensor(IMAGES);
    const all = await attack().run(linear(), images, LABELS);
    const sorted = [...all.distances].sort((a, b) => a - b);
    const between = ((sorted[0] ?? 0) + (sorted[1] ?? 0)) / 2;
    const epsilons = [1e-3, between, 10];
    const results = await attack().run(linear(), images, LABELS, { epsilons });
    expect(results).toHaveLength(3);
    const [none, some, every] = results as [AttackResult, AttackResult, AttackResult];
    expect(none.success).toEqual([false, false, false]);
    expect(some.success).toEqual(Array.from(all.distances, (distance) => distance < between));
    expect(every.distances).toEqual(all.distances);
    for (const result of results) expect(result.raw.dataSync()).toEqual(all.raw.dataSync());
    expect(none.clipped.dataSync()).toEqual(images.dataSync());
    expect([...none.distances]).toEqual(new Array(3).fill(Number.POSITIVE_INFINITY));
    expect(await attack().run(linear(), images, LABELS, { epsilons: [] })).toEqual([]);
  });

  it("a confidence makes the other class lead by as much", async () => {
    const confidence = 0.2;
    const options = { confidence, steps: 500, initialConst: 1 };
    const { clipped, success } = await attack(options).run(linear(), tensor(IMAGES), LABELS);
    expect(success).toEqual([true, true, true]);
    const logits = Array.from((await linear().predict(clipped)).held());
    LABELS.forEach((label, i) => {
      const row = logits.slice(3 * i, 3 * i + 3);
      const others = row.filter((_, c) => c !== label);
      expect(Math.max(...others) - (row[label] ?? 0)).toBeGreaterThanOrEqual(confidence - INSIDE);
    });
  });

  it("an image that is misclassified already is its own adversarial", async () => {
    const { distances, success } = await attack().run(linear(), tensor(IMAGES), [1, 1, 2]);
    expect(success).toEqual([true, true, true]);
    expect(distances[0]).toBe(0);
    expect(distances[1]).toBeGreaterThan(0.05);
  });

  it("with a confidence, an image that leads by it already comes back as it is; one that leads by less is moved", async () => {
    const images = tensor(IMAGES);
    const logits = [...(await linear().predict(images)).held()];
    // The label is that of the class behind the largest logit of each image.
    const order = IMAGES.map((_, i) => [0, 1, 2].sort((a, b) => (logits[3 * i + b] ?? 0) - (logits[3 * i + a] ?? 0)));
    const wrong = order.map(([, second = 0]) => second);
    const leads = order.map(
      ([first = 0, second = 0], i) => (logits[3 * i + first] ?? 0) - (logits[3 * i + second] ?? 0),
    );
    const confidence = 0.5;
    expect(leads.map((lead) => lead > confidence)).toEqual([true, false, false]);
    for (const targets of [undefined, order.map(([first = 0]) => first)]) {
      const result = await attack({ confidence }).run(linear(), images, wrong, targets && { targets });
      expect(result.success).toEqual([true, true, true]);
      expect(result.distances[0]).toBe(0);
      expect(result.raw.dataSync().slice(0, FEATURES)).toEqual(images.dataSync().slice(0, FEATURES));
      expect(Math.min(...result.distances.slice(1))).toBeGreaterThan(0.1);
    }
  });

  it("where there is no adversarial the distance is Infinity and the image the original", async () => {
    const model = new Linear(FEATURES, 3);
    model.loadStateDict({ weight: tensor(new Float32Array(12), [3, 4]), bias: tensor([1, 0, 0]) });
    const images = tensor(IMAGES);
    const { distances, success, clipped, raw } = await attack({ steps: 20 }).run(model, images, [0, 0, 0]);
    expect(success).toEqual([false, false, false]);
    expect([...distances]).toEqual(new Array(3).fill(Number.POSITIVE_INFINITY));
    expect(clipped.dataSync()).toEqual(images.dataSync());
    expect(raw.dataSync()).toEqual(images.dataSync());
  });

  it("pixels on their bounds are moved off them where steps allow", async () => {
    // Adam moves atanh(0.999999) = 7.25 by 0.01 a step, and no loss tells of the first hundreds.
    const patient = { abortEarly: false, steps: 1500, initialConst: 1 };
    const images = tensor([
      [1, 0, 1, 0],
      [0, 1, 0, 1],
    ]);
    const labels = await linear().classify(images);
    const { distances, clipped } = await attack(patient).run(linear(), images, labels);
    expect([...distances].every((distance) => distance > 0.05 && distance < 2)).toBe(true);
    expect(Array.from(clipped.dataSync()).every((x) => x >= 0 && x <= 1)).toBe(true);
  });

  it("pixels driven to their bounds end on them, where the sum of center and half width is rounded beyond", async () => {
    let driven = 0;
    for (let i = 0; i < 40; i++) {
      const [low, high] = [-0.1 - 0.013 * i, 0.9 + 0.029 * i];
      const top = Math.fround(high);
      if (Math.fround(Math.fround((low + high) / 2) + Math.fround((high - low) / 2)) <= Math.max(high, top)) continue;
      /** Class 1 for pixels on their upper bound alone, and beyond it. */
      class AtTheTop extends Module {
        forward(x: Tensor): Tensor {
          return x
            .mul(0)
            .add(1)
            .concat(x.sub(top).greaterEqual(0).where(2, x.sub(100)), 1);
        }
      }
      const driving = { stepsize: 5, initialConst: 1e4, binarySearchSteps: 2, steps: 40, abortEarly: false };
      const image = tensor([[(low + high) / 2]]);
      const { raw, success } = await attack(driving).run(new AtTheTop(), image, [0], { bounds: [low, high] });
      expect(success).toEqual([true]);
      expect(raw.item()).toBe(top);
      driven += 1;
    }
    expect(driven).toBeGreaterThan(2);
  });

  it("an image whose logits are equal moves to either side, in two steps too", async () => {
    const model = new Linear(
      2,
      2,
      {},
      {
        weight: tensor([
          [1, 0],
          [0, 1],
        ]),
        bias: tensor([0, 0]),
      },
    );
    const images = tensor([
      [0.5, 0.5],
      [0.25, 0.25],
      [0.75, 0.75],
    ]);
    for (const options of [{}, { confidence: 0.125 }, { binarySearchSteps: 1, steps: 2 }, { abortEarly: false }]) {
      const { success, distances } = await attack(options).run(model, images, [0, 0, 0]);
      expect(success).toEqual([true, true, true]);
      for (const distance of distances)
        expect(distance).toBeLessThan(((options.confidence ?? 0) + 0.02) * Math.SQRT1_2);
      const to = await attack(options).run(model, images, [0, 0, 0], { targets: [1, 1, 1] });
      expect(to.success).toEqual([true, true, true]);
    }
    // A lead of exactly the confidence, where the second class must come first.
    const leading = tensor([[0.375, 0.5]]);
    expect((await attack({ confidence: 0.125 }).run(model, leading, [0])).success).toEqual([true]);
  });

  it("repetition gives the same bits", async () => {
    const [a, b] = await Promise.all([0, 1].map(() => attack().run(linear(), tensor(IMAGES), LABELS)));
    expect(b?.clipped.dataSync()).toEqual(a?.clipped.dataSync());
    expect(b?.distances).toEqual(a?.distances);
  });

  it("progress rises to 1 and counts what was fooled", async () => {
    const shares: number[] = [];
    const counts: number[] = [];
    await attack({ abortEarly: false }).run(linear(), tensor(IMAGES), LABELS, {
      onProgress: (share, found) => {
        shares.push(share);
        counts.push(found);
      },
    });
    expect(shares.length).toBeGreaterThanOrEqual(9);
    expect(shares.every((share, i) => share >= (shares[i - 1] ?? 0))).toBe(true);
    expect(shares.at(-1)).toBe(1);
    expect(counts.every((count, i) => count >= (counts[i - 1] ?? 0))).toBe(true);
    expect(counts.at(-1)).toBe(3);
  });

  it("progress counts what was found within a search, and before it", async () => {
    const reports: [share: number, found: number][] = [];
    const options = { abortEarly: false, initialConst: 1e4, binarySearchSteps: 2, steps: 20_000 };
    await attack(options).run(linear(), tensor(IMAGES), LABELS, {
      onProgress: (share, found) => {
        reports.push([share, found]);
      },
    });
    // The first weight fools all images at once, and the next is half of it.
    const [first, second] = [reports.filter(([share]) => share < 0.5), reports.filter(([share]) => share > 0.5)];
    expect(first.length).toBeGreaterThan(2);
    expect(first.slice(1).every(([, found]) => found === 3)).toBe(true);
    expect(second.every(([, found]) => found === 3)).toBe(true);
  });

  it("binary search from ten steps on tries the largest weight last", async () => {
    const { success } = await attack({ binarySearchSteps: 10, steps: 200, initialConst: 1e-9 }).run(
      linear(),
      tensor(IMAGES),
      LABELS,
    );
    expect(success).toEqual([true, true, true]);
  });
});

describe("on the reference network after a short training", () => {
  let model: Sequential;
  let images: Tensor;
  let labels: Int32Array;

  beforeAll(async () => {
    const { train, test } = await subset();
    model = referenceNetwork();
    await fit(model, train, { ...referenceOptions(), epochs: 4, batchSize: 256 });
    ({ images, labels } = await test.onePerClass(model, { skipMissing: true }));
  });

  it("no adversarial is nearer than the certificate says", async () => {
    const certificates = await certify(model, images);
    const result = await new L2CarliniWagnerAttack({ binarySearchSteps: 6, steps: 150 }).run(model, images, labels);
    expect(result.success.filter(Boolean).length).toBeGreaterThan(labels.length / 2);
    certificates.forEach(({ radius, predicted }, i) => {
      expect(predicted).toBe(labels[i]);
      expect(result.distances[i]).toBeGreaterThan(radius);
    });
    const reached = await model.classify(result.clipped);
    result.success.forEach((fooled, i) => {
      expect(reached[i] !== labels[i]).toBe(fooled);
    });
  });

  it("an abort rejects with the signal's reason and leaves the model as it was", async () => {
    const before = weightsOf(model);
    const controller = new AbortController();
    const reason = new Error("no more attacks");
    const running = new L2CarliniWagnerAttack({ steps: 100_000, abortEarly: false }).run(model, images, labels, {
      signal: controller.signal,
    });
    const outcome = running.then(
      () => "ended",
      (error: unknown) => error,
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    const aborted = performance.now();
    controller.abort(reason);
    expect(await outcome).toBe(reason);
    // A step of ten images takes a few milliseconds.
    expect(performance.now() - aborted).toBeLessThan(500);
    expect(weightsOf(model)).toEqual(before);
    await expect(attack().run(model, images, labels, { signal: AbortSignal.abort("before") })).rejects.toBe("before");
  });

  it("what onProgress throws ends the attack", async () => {
    const reason = new Error("seen enough");
    const running = new L2CarliniWagnerAttack({ steps: 100_000, abortEarly: false }).run(model, images, labels, {
      onProgress: () => {
        throw reason;
      },
    });
    await expect(running).rejects.toBe(reason);
  });

  it("an attack leaves training mode as it found it", async () => {
    model.train();
    await new L2CarliniWagnerAttack({ binarySearchSteps: 1, steps: 2 }).run(model, images, labels);
    expect(model.training).toBe(true);
    expect(model.layers.every((layer) => layer.training)).toBe(true);
  });
});

describe("an attack refuses", () => {
  class Scores extends Module {
    forward(x: Tensor): Tensor {
      return x.sum(1, { keepdims: true });
    }
  }
  const run = (images: unknown, labels: ArrayLike<number> = LABELS, options: AttackOptions = {}): Promise<unknown> =>
    attack().run(linear(), images as Tensor, labels, options);
  const good = tensor(IMAGES);
  const cases: [string, string, () => Promise<unknown>][] = [
    ["a label beyond the classes", "LABEL_OUT_OF_RANGE", () => run(good, [0, 1, 3])],
    ["a negative label", "LABEL_OUT_OF_RANGE", () => run(good, [0, -1, 2])],
    ["a fractional label", "LABEL_OUT_OF_RANGE", () => run(good, [0, 0.5, 2])],
    ["a label of NaN", "LABEL_OUT_OF_RANGE", () => run(good, [0, Number.NaN, 2])],
    ["fewer labels than images", "SHAPE_MISMATCH", () => run(good, [0, 1])],
    ["no labels", "SHAPE_MISMATCH", () => run(good, [])],
    ["labels that are no array", "INVALID_ARGUMENT", () => run(good, null as unknown as number[])],
    ["more targets than images", "SHAPE_MISMATCH", () => run(good, LABELS, { targets: [0, 1, 2, 0] })],
    ["targets beyond the classes", "LABEL_OUT_OF_RANGE", () => run(good, LABELS, { targets: [0, 1, 5] })],
    ["pixels above the bounds", "INVALID_ARGUMENT", () => run(good.add(0.5))],
    ["pixels below the bounds", "INVALID_ARGUMENT", () => run(good, LABELS, { bounds: [0.5, 1] })],
    ["NaN pixels", "NON_FINITE", () => run(tensor([[0, Number.NaN, 0, 0]]), [0])],
    ["infinite pixels", "NON_FINITE", () => run(tensor([[0, Number.POSITIVE_INFINITY, 0, 0]]), [0])],
    ["bounds the wrong way round", "INVALID_ARGUMENT", () => run(good, LABELS, { bounds: [1, 0] })],
    ["infinite bounds", "INVALID_ARGUMENT", () => run(good, LABELS, { bounds: [0, Number.POSITIVE_INFINITY] })],
    ["no images", "EMPTY_DATASET", () => run(tensor(new Float32Array(0), [0, 4]), [])],
    ["images the model does not take", "SHAPE_MISMATCH", () => run(tensor([[0, 0, 0]]), [0])],
    ["images that are no tensor", "INVALID_ARGUMENT", () => run(IMAGES)],
    ["a model with one logit", "SHAPE_MISMATCH", () => attack().run(new Scores(), good, LABELS)],
    ["epsilons below 0", "INVALID_ARGUMENT", () => attack().run(linear(), good, LABELS, { epsilons: [0.1, -1] })],
    ["epsilons of NaN", "INVALID_ARGUMENT", () => attack().run(linear(), good, LABELS, { epsilons: [Number.NaN] })],
    ["0 steps", "INVALID_ARGUMENT", async () => attack({ steps: 0 })],
    ["half a search", "INVALID_ARGUMENT", async () => attack({ binarySearchSteps: 0.5 })],
    ["a step size of 0", "INVALID_ARGUMENT", async () => attack({ stepsize: 0 })],
    ["a first weight of NaN", "INVALID_ARGUMENT", async () => attack({ initialConst: Number.NaN })],
    ["a negative confidence", "INVALID_ARGUMENT", async () => attack({ confidence: -1 })],
  ];
  it.each(cases)("%s", async (_, code, call) => {
    expect(await codeOf(call)).toBe(code);
  });
});
