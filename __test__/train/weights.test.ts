// Weights of samples and classes in a training: a sample of weight 2 is two of them, one of weight 0 is none.
import {
  CrossEntropyLoss,
  Flatten,
  fit,
  fromArrays,
  HKRMulticlassLoss,
  Linear,
  manualSeed,
  Sequential,
  SGD,
} from "tslip";
import { describe, expect, it } from "vitest";
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

it.each<[string, unknown]>([
  ["too few", { sampleWeights: [1, 2] }],
  ["a negative one", { sampleWeights: [1, 2, -1] }],
  ["none that counts", { sampleWeights: [0, 0, 0] }],
  ["what is no array", { sampleWeights: 3 }],
  ["NaN", { sampleWeights: [1, Number.NaN, 1] }],
  ["a negative one of a class", { classWeights: [1, -2, 1] }],
])("refuses %s before anything changes", async (_, weights) => {
  expect(await codeOf(() => trained([0, 1, 2], new CrossEntropyLoss(), weights as Weights))).toBe("INVALID_ARGUMENT");
});
