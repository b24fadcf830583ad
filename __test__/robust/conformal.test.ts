// Conformal sets: their threshold and members by definition, how often they have the class, and that perturbed samples keep it.
import {
  Adam,
  ConformalClassifier,
  type ConformalJson,
  type ConformalScore,
  CrossEntropyLoss,
  type Dataset,
  fit,
  fromArrays,
  GroupSort2,
  Linear,
  type Module,
  manualSeed,
  randn,
  Sequential,
  Softmax,
  SpectralLinear,
  TslipError,
  tensor,
  zeros,
} from "tslip";
import { beforeAll, describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { farthest, pushed } from "./pushed.js";

const CLASSES = 3;
const SCORES: readonly ConformalScore[] = ["logit", "margin"];

/** Points around as many corners as there are classes, of which some lie among those of others. */
function clouds(samples: number, seed: number): Dataset {
  const labels = Int32Array.from({ length: samples }, (_, i) => i % CLASSES);
  const points = Float32Array.from(randn([samples, 2], { seed }).dataSync(), (noise, k) => {
    const angle = (2 * Math.PI * (labels[k >> 1] ?? 0)) / CLASSES;
    return 1.2 * (k % 2 === 0 ? Math.cos(angle) : Math.sin(angle)) + 0.7 * noise;
  });
  return fromArrays(points, [samples, 2], labels);
}

const of = ({ imagesRaw, length }: Dataset) => tensor(imagesRaw as Float32Array, [length, 2]);

let model: Sequential;

beforeAll(async () => {
  manualSeed(1);
  model = new Sequential([new SpectralLinear(2, 16), new GroupSort2(), new SpectralLinear(16, CLASSES)]);
  const optimizer = new Adam({ lr: 0.03 });
  const loss = new CrossEntropyLoss();
  await fit(model, clouds(90, 1), { epochs: 30, batchSize: 30, loss, optimizer, verbose: false });
});

/** Scores of all classes of each sample. */
async function scoresOf(of: Module, x: Parameters<Module["predict"]>[0], score: ConformalScore): Promise<number[][]> {
  const logits = await of.predict(x);
  const [samples = 0, classes = 0] = logits.shape;
  return Array.from({ length: samples }, (_, i) => {
    const row = Array.from(logits.held().subarray(i * classes, (i + 1) * classes));
    return row.map((own, y) => (score === "logit" ? 0 : Math.max(...row.filter((_, j) => j !== y))) - own);
  });
}

describe("ConformalClassifier", () => {
  it.each(SCORES)(
    "has the ⌈(n + 1)(1 - alpha)⌉-th smallest %s score for its threshold, and classes up to it",
    async (score) => {
      const test = clouds(60, 3);
      const tested = await scoresOf(model, of(test), score);
      for (const [samples, alpha, rank] of [
        [99, 0.1, 90],
        [99, 0.05, 95],
        [19, 0.05, 19],
        [30, 0.5, 16],
        [9, 0.3, 7],
      ] as const) {
        const calibration = clouds(samples, 2);
        const scores = (await scoresOf(model, of(calibration), score))
          .map((row, i) => row[calibration.labelsRaw[i] ?? -1] ?? Number.NaN)
          .sort((a, b) => a - b);
        const conformal = await ConformalClassifier.calibrate(model, calibration, { alpha, score, batchSize: 8 });
        expect(conformal).toMatchObject({ alpha, score, samples, threshold: scores[rank - 1] });
        const sets = await conformal.sets(of(test));
        sets.forEach((set, i) => {
          const row = tested[i] ?? [];
          // What is closer to the threshold than float32 rounds may be in or out.
          const clear = row.flatMap((own, y) => (Math.abs(own - conformal.threshold) > 1e-4 ? [y] : []));
          expect(set.filter((y) => clear.includes(y))).toEqual(
            clear.filter((y) => (row[y] ?? 0) <= conformal.threshold),
          );
        });
      }
    },
  );

  it("has every class where it was calibrated on too few samples to leave any out", async () => {
    const conformal = await ConformalClassifier.calibrate(model, clouds(8, 2), { alpha: 0.1 });
    expect(conformal.threshold).toBe(Number.POSITIVE_INFINITY);
    expect(await conformal.sets(tensor([[50, 50]]), { radius: 0 })).toEqual([[0, 1, 2]]);
    const one = await ConformalClassifier.calibrate(model, clouds(1, 2), { alpha: 0.5 });
    expect(Number.isFinite(one.threshold)).toBe(true);
  });

  it.each(SCORES)("has the class at least as often as it says, on average over calibrations (%s)", async (score) => {
    const [alpha, rounds] = [0.2, 40];
    let covered = 0;
    let size = 0;
    for (let round = 0; round < rounds; round++) {
      const options = { alpha, score, batchSize: 1000 };
      const conformal = await ConformalClassifier.calibrate(model, clouds(60, 100 + round), options);
      const found = await conformal.evaluate(clouds(300, 1000 + round), [0], { batchSize: 1000 });
      covered += (found.coverage[0] ?? 0) / rounds;
      size += (found.meanSize[0] ?? 0) / rounds;
    }
    // ⌈61 · 0.8⌉ / 61 = 0.803 is expected; the standard error of the average is some 0.009.
    expect(covered).toBeGreaterThan(0.8 - 0.03);
    expect(covered).toBeLessThan(0.803 + 0.03);
    expect(size).toBeLessThan(1.6);
  });

  it.each(SCORES)(
    "has at a radius all that a perturbed sample had before, whatever attack moved it (%s)",
    async (score) => {
      const conformal = await ConformalClassifier.calibrate(model, clouds(200, 2), { alpha: 0.1, score });
      const test = clouds(120, 5);
      const [x, network] = [of(test), model.vanillaExport()];
      const before = await conformal.sets(x);
      let lost = 0;
      for (const radius of [0.1, 0.4, 1]) {
        // Away from each class, alone and against each other one.
        for (let y = 0; y < CLASSES; y++) {
          for (let other = 0; other < CLASSES; other++) {
            const row = Array.from({ length: CLASSES }, (_, i) => (i === other ? 1 : 0) - (i === y ? 1 : 0));
            const weights = tensor(other === y ? row.map((_, i) => (i === y ? -1 : 0)) : row);
            const moved = await pushed(network, x, radius, (logits) => logits.mul(weights).sum(1), 15);
            expect(farthest(moved, x)).toBeLessThanOrEqual(radius);
            const [plain, robust] = [await conformal.sets(moved), await conformal.sets(moved, { radius })];
            before.forEach((set, i) => {
              expect(robust[i]).toEqual(expect.arrayContaining(set));
              if (set.includes(y) && !plain[i]?.includes(y)) lost++;
            });
          }
        }
      }
      // Sets that do not reckon with perturbations lose classes to them.
      expect(lost).toBeGreaterThan(50);
      const { coverage, meanSize, samples } = await conformal.evaluate(test, [0, 0.1, 0.4, 1e6]);
      expect(samples).toBe(120);
      expect(coverage).toEqual([...coverage].sort((a, b) => a - b));
      expect([coverage[3], meanSize[3]]).toEqual([1, CLASSES]);
      const has = before.filter((set, i) => set.includes(test.labelsRaw[i] ?? -1)).length;
      expect(coverage[0]).toBe(has / 120);
      expect(meanSize[0]).toBe(before.reduce((sum, set) => sum + set.length, 0) / 120);
    },
  );

  it("has sets by margins no larger for a linear model than where a class can win so much within the radius", async () => {
    // Rows of equal norm that are near one another: logits change much, differences little.
    const weight = tensor([
      [10, 0.1],
      [10, -0.1],
    ]);
    const close = new Linear(2, 2, { bias: false }, { weight, bias: undefined });
    const calibration = fromArrays(
      Float32Array.from({ length: 80 }, (_, k) => ((k * 37) % 80) / 80 - 0.5),
      [40, 2],
      new Array(40).fill(0),
    );
    const x = tensor([[0.1, 0.45]]);
    const sizes: number[] = [];
    for (const score of SCORES) {
      const conformal = await ConformalClassifier.calibrate(close, calibration, { alpha: 0.5, score });
      sizes.push((await conformal.sets(x, { radius: 0.2 }))[0]?.length ?? 0);
    }
    expect(sizes).toEqual([2, 1]);
  });

  it("of probabilities is the score of least ambiguous sets", async () => {
    const probabilities = new Sequential([model.vanillaExport(), new Softmax()], { constrained: false });
    const calibration = clouds(100, 2);
    const { threshold } = await ConformalClassifier.calibrate(probabilities, calibration, { alpha: 0.1 });
    const p = (await probabilities.predict(of(calibration))).held();
    const scores = Array.from(calibration.labelsRaw, (label, i) => 1 - (p[CLASSES * i + label] ?? 0)).sort(
      (a, b) => a - b,
    );
    expect(1 + threshold).toBeCloseTo(scores[Math.ceil(101 * 0.9) - 1] ?? Number.NaN, 6);
  });

  it("leaves out samples that do not count, and speaks of the network at its calibration", async () => {
    const all = clouds(60, 2);
    const some = Int32Array.from(all.labelsRaw, (label, i) => (i % 4 === 0 ? -1 : label));
    const partly = fromArrays(all.imagesRaw, [60, 2], some, { ignoreIndex: -1 });
    const conformal = await ConformalClassifier.calibrate(model, partly, { alpha: 0.1 });
    const counted = all.subset(Array.from(some.keys()).filter((i) => some[i] !== -1));
    const same = await ConformalClassifier.calibrate(model, counted, { alpha: 0.1 });
    expect([conformal.samples, conformal.threshold]).toEqual([45, same.threshold]);
    const { samples, coverage } = await conformal.evaluate(partly, [0.2]);
    expect([samples, coverage]).toEqual([45, (await conformal.evaluate(counted, [0.2])).coverage]);
    const before = await conformal.sets(of(all));
    const weights = await model.stateDict();
    model.loadStateDict(Object.fromEntries(Object.entries(weights).map(([key, value]) => [key, zeros(value.shape)])));
    expect(await conformal.sets(of(all))).toEqual(before);
    model.loadStateDict(weights);
  });

  it.each(SCORES)("comes back from JSON with the sets that it had: %s", async (score) => {
    for (const [samples, alpha] of [
      [40, 0.2],
      // So few that the threshold is infinite.
      [3, 0.05],
    ] as const) {
      const conformal = await ConformalClassifier.calibrate(model, clouds(samples, 2), { alpha, score });
      expect(Number.isFinite(conformal.threshold)).toBe(samples === 40);
      const stored = JSON.stringify({ conformal });
      const back = ConformalClassifier.fromJSON(model, JSON.parse(stored).conformal as ConformalJson);
      expect({ ...back }).toEqual({ ...conformal });
      expect(JSON.stringify({ conformal: back })).toBe(stored);
      const x = of(clouds(50, 3));
      expect(await back.sets(x, { radius: 0.1 })).toEqual(await conformal.sets(x, { radius: 0.1 }));
      // The fields themselves, as structuredClone has them.
      expect({ ...ConformalClassifier.fromJSON(model, { ...conformal } as ConformalJson) }).toEqual({ ...conformal });
    }
  });

  it("refuses JSON that no calibration gives", () => {
    const good: ConformalJson = { alpha: 0.1, score: "logit", threshold: 0.5, samples: 9 };
    expect(ConformalClassifier.fromJSON(model, good)).toMatchObject(good);
    const { score: _, ...noScore } = good;
    const wrong: [unknown, RegExp][] = [
      [undefined, /alpha must be above 0 and below 1; given undefined/],
      [JSON.stringify(good), /fromJSON takes its options as a record \{ alpha, score, threshold, samples \}; given "/],
      [noScore, /score must be "logit" or "margin"; given undefined/],
      [{ ...good, alpha: 1 }, /alpha must be above 0/],
      [{ ...good, score: "aps" }, /score must be "logit" or "margin"; given "aps"/],
      [{ ...good, threshold: null }, /threshold must be a number, or "Infinity"; given null/],
      [{ ...good, threshold: "0.5" }, /threshold must be a number/],
      [{ ...good, threshold: Number.NaN }, /threshold must be a number/],
      [{ ...good, threshold: "Infinity" }, /threshold must be finite for alpha 0\.1 and 9 samples; given Infinity/],
      [{ ...good, samples: 8 }, /threshold must be Infinity for alpha 0\.1 and 8 samples; given 0\.5/],
      [{ ...good, samples: 9.5 }, /samples must be/],
      [{ ...good, classes: 3 }, /fromJSON has no option "classes"/],
    ];
    for (const [json, message] of wrong) {
      const call = () => ConformalClassifier.fromJSON(model, json as ConformalJson);
      expect(call).toThrow(message);
      expect(call).toThrow(TslipError);
    }
    expect(() => ConformalClassifier.fromJSON(good as never, model as never)).toThrow(
      /fromJSON takes a Module and what toJSON\(\) gave; the first argument is \{ alpha/,
    );
  });

  it("tells of progress, is ended by its signal, and refuses what is no calibration", async () => {
    const shares: number[] = [];
    const options = { alpha: 0.1, batchSize: 20, onProgress: (share: number) => shares.push(share) };
    const conformal = await ConformalClassifier.calibrate(model, clouds(50, 2), options);
    expect(shares).toEqual([0.4, 0.8, 1]);
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(conformal.evaluate(clouds(50, 2), [0], { signal })).rejects.toThrow("enough");
    const numbers = fromArrays(Float32Array.of(0, 1), [1, 2], [[0.5]]);
    const none = fromArrays(Float32Array.of(0, 1, 1, 1), [2, 2], [-1, 0], { ignoreIndex: -1 }).subset([0]);
    const refused: [string, () => Promise<unknown>][] = [
      ["INVALID_ARGUMENT", () => ConformalClassifier.calibrate(model, clouds(9, 1), {} as never)],
      ["INVALID_ARGUMENT", () => ConformalClassifier.calibrate(model, clouds(9, 1), { alpha: 1 })],
      [
        "INVALID_ARGUMENT",
        () => ConformalClassifier.calibrate(model, clouds(9, 1), { alpha: 0.1, score: "aps" as never }),
      ],
      ["INVALID_ARGUMENT", () => ConformalClassifier.calibrate({} as Module, clouds(9, 1), { alpha: 0.1 })],
      ["INVALID_ARGUMENT", () => ConformalClassifier.calibrate(model, of(clouds(9, 1)) as never, { alpha: 0.1 })],
      ["INVALID_ARGUMENT", () => ConformalClassifier.calibrate(model, numbers, { alpha: 0.1 })],
      ["EMPTY_DATASET", () => ConformalClassifier.calibrate(model, none, { alpha: 0.1 })],
      ["LABEL_OUT_OF_RANGE", () => ConformalClassifier.calibrate(new Linear(2, 2), clouds(9, 1), { alpha: 0.1 })],
      ["SHAPE_MISMATCH", () => ConformalClassifier.calibrate(new Linear(2, 1), clouds(9, 1), { alpha: 0.1 })],
      ["INVALID_ARGUMENT", () => conformal.sets(tensor([[0, 0]]), { radius: -1 })],
      ["NON_FINITE", () => conformal.sets(tensor([[0, Number.NaN]]))],
      ["EMPTY_DATASET", () => conformal.sets(zeros([0, 2]))],
      ["INVALID_ARGUMENT", () => conformal.evaluate(clouds(9, 1), [-1])],
    ];
    for (const [code, call] of refused) expect(await codeOf(call)).toBe(code);
    await expect(ConformalClassifier.calibrate(new Linear(2, 2), clouds(9, 1), { alpha: 0.1 })).rejects.toThrow(
      /sample 2 has the label 2; the model has 2 classes/,
    );
  });
});
