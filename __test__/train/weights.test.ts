// Weights of samples and classes in a training: a sample of weight 2 is two of them, one of weight 0 is none.
import {
  accuracy,
  type Callback,
  CategoricalHingeLoss,
  CertificateRegularization,
  CrossEntropyLoss,
  type Dataset,
  EMMALoss,
  Flatten,
  fit,
  fromArrays,
  HingeMulticlassLoss,
  HKRMulticlassLoss,
  Linear,
  type Loss,
  manualSeed,
  OffsetCrossEntropyLoss,
  Sequential,
  SGD,
  SoftHKRMulticlassLoss,
  TauCrossEntropyLoss,
  tensor,
  WeightedLoss,
} from "tslip";
import { describe, expect, it } from "vitest";
import { Pass } from "../../src/train/pass.js";
import { codeOf } from "./subset.js";

const SIZE = 4;
const pixels = (sample: number): number[] => Array.from({ length: SIZE }, (_, i) => Math.sin(3 * sample + i * i));

function dataOf(samples: readonly number[]) {
  const values = Float32Array.from(samples.flatMap(pixels));
  return fromArrays(
    values,
    [samples.length, SIZE],
    samples.map((sample) => sample % 3),
    { classNames: ["a", "b", "c"] },
  );
}

function network(): Sequential {
  manualSeed(3);
  return new Sequential([new Flatten(), new Linear(SIZE, 3)], { constrained: false });
}

type Weights = { classWeights?: number[]; sampleWeights?: ArrayLike<number> };

async function trained(
  samples: readonly number[],
  loss: CrossEntropyLoss | HKRMulticlassLoss,
  weights: Weights,
  batchSize = samples.length,
) {
  const model = network();
  const options = { epochs: 2, batchSize, loss, optimizer: new SGD({ lr: 0.3 }), verbose: false, shuffle: false };
  const { epochs } = await fit(model, dataOf(samples), { ...options, ...weights });
  return {
    loss: epochs.map((epoch) => epoch.loss),
    weights: model.parameters().flatMap((p) => Array.from(p.dataSync())),
  };
}

function expectSame(one: Awaited<ReturnType<typeof trained>>, other: Awaited<ReturnType<typeof trained>>): void {
  one.weights.forEach((weight, i) => {
    expect(Math.abs(weight - (other.weights[i] ?? Number.NaN))).toBeLessThan(2e-6);
  });
  one.loss.forEach((loss, i) => {
    expect(Math.abs(loss - (other.loss[i] ?? Number.NaN))).toBeLessThan(1e-4 * (1 + Math.abs(loss)));
  });
}

describe.each([
  ["cross-entropy", () => new CrossEntropyLoss()],
  ["HKR", () => new HKRMulticlassLoss({ alpha: 10, minMargin: 0.5 })],
] as const)("weights in the training of %s", (_, loss) => {
  it("of samples count as repetitions", async () => {
    const weighted = await trained([0, 1, 2, 3, 4, 5], loss(), { sampleWeights: [1, 2, 1, 0, 1, 3] });
    const repeated = await trained([0, 1, 1, 2, 4, 5, 5, 5], loss(), {});
    expectSame(weighted, repeated);
  });

  it("of samples follow them into their batches, shuffled, the last smaller", async () => {
    const train = async (samples: readonly number[], weights: Weights) => {
      const model = network();
      const options = {
        epochs: 3,
        batchSize: 4,
        loss: loss(),
        optimizer: new SGD({ lr: 0.3 }),
        verbose: false,
        seed: 5,
      };
      await fit(model, dataOf(samples), { ...options, ...weights });
      return model.parameters().flatMap((p) => Array.from(p.dataSync()));
    };
    // One whose weights are those of its classes: both ways of giving them are the same.
    const samples = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    const byClass = await train(samples, { classWeights: [1, 0.5, 2] });
    const bySample = await train(samples, {
      sampleWeights: Float64Array.from(samples, (i) => [1, 0.5, 2][i % 3] ?? 0),
    });
    bySample.forEach((weight, i) => {
      expect(Math.abs(weight - (byClass[i] ?? Number.NaN))).toBeLessThan(2e-6);
    });
    const unweighted = await train(samples, {});
    expect(bySample.some((weight, i) => Math.abs(weight - (unweighted[i] ?? 0)) > 1e-3)).toBe(true);
  });
});

it("the loss of an epoch is the mean over what its samples weigh", async () => {
  const model = network();
  const samples = [0, 1, 2, 3, 4];
  const weights = [1, 0.5, 4, 2, 3];
  const options = { epochs: 1, loss: new CrossEntropyLoss(), optimizer: new SGD({ lr: 0 }), verbose: false };
  const inBatches = await fit(model, dataOf(samples), { ...options, batchSize: 2, sampleWeights: weights });
  const whole = await fit(model, dataOf(samples), { ...options, batchSize: 5, sampleWeights: weights });
  expect(inBatches.epochs[0]?.loss).toBeCloseTo(whole.epochs[0]?.loss ?? Number.NaN, 6);
});

describe("the loss of an epoch in batches is that of all samples at once", () => {
  const samples = [0, 1, 2, 3, 4, 5, 6];
  const labels = [0, 2, 2, 1, 0, 2, 2];
  const classWeights = [1, 0.25, 6];
  const hot = labels.map((label) => [0, 1, 2].map((c) => (c === label ? 1 : 0)));
  const soft = labels.map((label, i) => [0, 1, 2].map((c) => (c === label ? 0.4 + 0.05 * i : 0.3 - 0.025 * i)));
  const images = Float32Array.from(samples.flatMap(pixels));
  const rows = (of: number[][]) =>
    fromArrays(images, [samples.length, SIZE], tensor(of.flat(), [samples.length, 3]), { classNames: ["a", "b", "c"] });
  const indices = (more: object = {}) =>
    fromArrays(images, [samples.length, SIZE], labels, { classNames: ["a", "b", "c"], ...more });
  const ce = () => new CrossEntropyLoss();
  const sampleWeights = [1, 2, 0, 5, 0.5, 1, 3];

  it.each<[string, () => Dataset, () => Loss, Weights]>([
    ["one-hot rows", () => rows(hot), ce, { classWeights }],
    ["probabilities", () => rows(soft), ce, { classWeights }],
    ["probabilities and weights of samples", () => rows(soft), ce, { classWeights, sampleWeights }],
    ["a weighted loss", indices, () => new WeightedLoss(ce(), { classWeights }), {}],
    [
      "a weighted loss, weighted again",
      indices,
      () => new WeightedLoss(ce(), { classWeights }),
      { classWeights, sampleWeights },
    ],
    ["weights of the loss itself", indices, () => new CrossEntropyLoss({ classWeights }), {}],
    [
      "weights of the loss itself and of samples",
      indices,
      () => new CrossEntropyLoss({ classWeights }),
      { sampleWeights },
    ],
    // PyTorch's mean over rows is not divided by them.
    [
      "weights of the loss itself and rows",
      () => rows(soft),
      () => new CrossEntropyLoss({ classWeights }),
      { sampleWeights },
    ],
    ["a temperature", indices, () => new TauCrossEntropyLoss({ tau: 3, classWeights }), {}],
    ["an offset", indices, () => new OffsetCrossEntropyLoss({ classWeights }), {}],
    ["EMMA", indices, () => new EMMALoss({ epsilon: 0.2, classWeights }), {}],
    ["soft HKR", indices, () => new SoftHKRMulticlassLoss({ classWeights, alphaMean: 1 }), { sampleWeights }],
    ["a categorical hinge", indices, () => new CategoricalHingeLoss({ classWeights }), { sampleWeights }],
    ["a hinge of rows", () => rows(hot), () => new HingeMulticlassLoss({ classWeights }), {}],
    [
      "regularization",
      indices,
      () => new CertificateRegularization({ loss: new CrossEntropyLoss({ classWeights }), gamma: 0.5 }),
      { sampleWeights },
    ],
    [
      "samples that do not count",
      () => indices({ ignoreIndex: 1 }),
      () => new CrossEntropyLoss({ classWeights, ignoreIndex: 1 }),
      { sampleWeights },
    ],
    ["a loss that gives one value a sample", indices, () => ({ forward: (x) => x.square().sum(1) }), { sampleWeights }],
  ])("for %s", async (_, data, loss, weights) => {
    const of = async (batchSize: number) => {
      const options = { epochs: 1, batchSize, loss: loss(), optimizer: new SGD({ lr: 0 }), verbose: false };
      const { epochs } = await fit(network(), data(), { ...options, ...weights });
      return epochs[0]?.loss ?? Number.NaN;
    };
    const whole = await of(samples.length);
    expect(Math.abs((await of(2)) - whole)).toBeLessThan(2e-6 * (1 + Math.abs(whole)));
  });

  it("whatever becomes of the array of weights meanwhile", async () => {
    const options = { epochs: 2, batchSize: 2, loss: ce(), optimizer: new SGD({ lr: 0 }), verbose: false };
    const given = Float32Array.from(sampleWeights);
    const callbacks = [{ onEpochStart: () => void given.reverse() }];
    const { epochs } = await fit(network(), indices(), { ...options, sampleWeights: given, callbacks });
    const { epochs: right } = await fit(network(), indices(), { ...options, sampleWeights });
    for (const [i, { loss }] of epochs.entries()) expect(loss).toBeCloseTo(right[i]?.loss ?? Number.NaN, 6);
  });

  it("with steps and progress that name the loss and the metrics alone", async () => {
    const names = new Set<string>();
    const callbacks: Callback[] = [
      {
        onProgress: (_, __, values) => void Object.keys(values).forEach((name) => names.add(name)),
        onEpochEnd: (record, _, steps) => {
          Object.keys(steps).forEach((name) => names.add(name));
          expect(steps["loss"]).toHaveLength(4);
          expect(record["acc"]).toBeLessThanOrEqual(1);
        },
      },
    ];
    const options = { epochs: 1, batchSize: 2, loss: ce(), optimizer: new SGD({ lr: 0 }), verbose: false, callbacks };
    await fit(network(), indices(), { ...options, classWeights, metrics: { acc: accuracy() } });
    expect([...names].sort()).toEqual(["acc", "loss"]);
  });
});

it("a loss whose samples count alike costs no further figure of a step", () => {
  const training = (more: object) =>
    Pass.training(network(), dataOf([0, 1, 2]), {
      batchSize: 3,
      loss: new HKRMulticlassLoss({ alpha: 10 }),
      optimizer: new SGD({ lr: 0.1 }),
      ...more,
    });
  return Promise.all(
    [training({}), training({ classWeights: [1, 2, 3] })].map(async (pass, weighs) => {
      const { scalars } = await pass.run();
      expect(scalars).toHaveLength(1 + weighs);
    }),
  );
});

it.each<[string, unknown]>([
  ["too few", { sampleWeights: [1, 2] }],
  ["a negative one", { sampleWeights: [1, 2, -1] }],
  ["none that counts", { sampleWeights: [0, 0, 0] }],
  ["what is no array", { sampleWeights: 3 }],
  ["NaN", { sampleWeights: [1, Number.NaN, 1] }],
  ["no class that counts", { classWeights: [0, 0, 0] }],
  ["a negative one of a class", { classWeights: [1, -2, 1] }],
])("refuses %s before anything changes", async (_, weights) => {
  expect(await codeOf(() => trained([0, 1, 2], new CrossEntropyLoss(), weights as Weights))).toBe("INVALID_ARGUMENT");
});
