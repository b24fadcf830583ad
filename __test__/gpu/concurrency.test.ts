// While a GPU trains: other calls see whole steps, trainings share it, and what fails or is stopped leaves whole steps behind.
import {
  Adam,
  assign,
  CrossEntropyLoss,
  devices,
  fit,
  GroupSort2,
  Linear,
  manualSeed,
  onDevice,
  ones,
  type Parameter,
  Sequential,
  SGD,
  state,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { expect, it } from "vitest";
import { clouds, codeOf, smallNetwork, weightsOf } from "../train/subset.js";
import { describeGpu } from "./gpu.js";

/** An optimizer that adds 1 to every parameter. */
class Counting extends SGD {
  protected override updateOne(parameter: Parameter): void {
    assign(parameter, parameter.add(1));
  }
}

const training = { batchSize: 10, verbose: false, device: "gpu" as const };
const adam = () => ({ ...training, optimizer: new Adam({ lr: 0.01 }), loss: new CrossEntropyLoss() });
const FEATURES = 8;

describeGpu("while a GPU trains", () => {
  it("predict, predictSync, stateDict and vanillaExport answer before it ends, with the weights of one step", async () => {
    const zeroed = { weight: zeros([3, FEATURES]), bias: zeros([3]) };
    const model = new Sequential([new Linear(FEATURES, 3, {}, zeroed)], { constrained: false });
    const controller = new AbortController();
    let ended = false;
    const running = fit(model, clouds(60), {
      ...training,
      epochs: 100_000,
      optimizer: new Counting({ lr: 1 }),
      loss: new CrossEntropyLoss(),
      signal: controller.signal,
    }).catch(() => {
      ended = true;
    });
    const x = ones([1, FEATURES]);
    /** After c steps every parameter is c, exactly, and every logit eight times c and once more. */
    const stepOf = (logits: Tensor): number => {
      const values = Array.from(logits.dataSync());
      expect(new Set(values).size, String(values)).toBe(1);
      return (values[0] ?? Number.NaN) / (FEATURES + 1);
    };
    const seen: number[] = [];
    for (let i = 0; i < 8; i++) {
      seen.push(stepOf(await onDevice("gpu", () => model.predict(x))));
      seen.push(stepOf(onDevice("gpu", () => model.predictSync(x))));
      seen.push(stepOf(await onDevice("cpu", () => model.predict(x))));
      const dictionary = Object.values(await model.stateDict()).flatMap((value) => Array.from(value.dataSync()));
      const exported = weightsOf(model.vanillaExport());
      for (const values of [dictionary, exported]) {
        expect(new Set(values).size, String(values)).toBe(1);
        seen.push(values[0] ?? Number.NaN);
      }
    }
    expect(ended).toBe(false);
    controller.abort();
    await running;
    expect(seen.every(Number.isInteger), String(seen)).toBe(true);
    // Time does not run backwards, and does run.
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(new Set(seen).size).toBeGreaterThan(3);
  });

  it("two models end as each would alone", async () => {
    const alone = [smallNetwork(1), smallNetwork(2)];
    for (const model of alone) await fit(model, clouds(), { ...adam(), batchSize: 7, epochs: 3 });
    const together = [smallNetwork(1), smallNetwork(2)];
    await Promise.all(together.map((model) => fit(model, clouds(), { ...adam(), batchSize: 7, epochs: 3 })));
    expect(together.map(weightsOf)).toEqual(alone.map(weightsOf));
  });

  it("a model beside one on the CPU ends as each would alone", async () => {
    const train = (device: "cpu" | "gpu", seed: number) => {
      const model = smallNetwork(seed);
      return fit(model, clouds(), { ...adam(), device, epochs: 3 }).then(() => weightsOf(model));
    };
    const alone = [await train("cpu", 1), await train("gpu", 2)];
    expect(await Promise.all([train("cpu", 1), train("gpu", 2)])).toEqual(alone);
  });

  it("an abort leaves nothing in the losses of the next training", async () => {
    const steps = 3;
    const data = clouds(10 * steps);
    const losses = async (): Promise<number[]> => {
      const { epochs } = await fit(smallNetwork(), data, { ...adam(), epochs: 2, seed: 1 });
      return epochs.map(({ loss }) => loss);
    };
    const undisturbed = await losses();
    // Somewhere between the first and the last step of an epoch, sooner or later.
    for (let delay = 0; delay < 12; delay++) {
      const controller = new AbortController();
      const abort = (): void => {
        setTimeout(() => controller.abort(), delay);
      };
      const options = { ...adam(), epochs: 100_000, signal: controller.signal };
      const aborted = fit(smallNetwork(), data, { ...options, callbacks: [{ onEpochEnd: abort }] });
      await expect(aborted).rejects.toThrow();
      expect(await losses()).toEqual(undisturbed);
    }
  });

  it("an abort in the middle of an epoch keeps the steps that were done, whole", async () => {
    // Every step adds 1 to each of both: a torn step would leave them apart.
    const [a, b] = [state(tensor(0)), state(tensor(0))];
    const optimizer = new (class extends SGD {
      override begin(): void {
        assign(a, a.add(1));
        assign(b, b.add(1));
      }
    })({ lr: 0.01 });
    const samples = 60_000;
    const controller = new AbortController();
    const reason = new Error("enough");
    const options = { ...training, epochs: 1, batchSize: 1, optimizer, loss: new CrossEntropyLoss() };
    const running = fit(smallNetwork(), clouds(samples), {
      ...options,
      signal: controller.signal,
      callbacks: [{ onProgress: () => controller.abort(reason) }],
    });
    await expect(running).rejects.toBe(reason);
    expect(a.item()).toBeGreaterThan(0);
    expect(a.item()).toBeLessThan(samples);
    expect(b.item()).toBe(a.item());
  });
});

describeGpu("a training that fails on a GPU", () => {
  const WIDTH = 4096;
  /** Samples of which a layer of that width takes more than the adapter allows all tensors. */
  const memory = devices().find(({ device }) => device === "gpu:0")?.memory ?? 0;
  const tooMany = Math.ceil(memory / (4 * WIDTH)) + 1;
  const wide = (): Sequential => {
    manualSeed(4);
    const layers = [new Linear(FEATURES, WIDTH), new GroupSort2(), new Linear(WIDTH, 3)];
    return new Sequential(layers, { constrained: false });
  };

  it("for want of memory changes nothing, and goes on with less as if it had not been tried", async () => {
    const [tried, untried] = [wide(), wide()];
    const [options, others] = [adam(), adam()];
    for (const [model, own] of [[tried, options] as const, [untried, others] as const]) {
      await fit(model, clouds(24), { ...own, epochs: 1 });
    }
    const before = weightsOf(tried);
    const large = { ...options, batchSize: tooMany, epochs: 1 };
    expect(await codeOf(() => fit(tried, clouds(tooMany), large))).toBe("OUT_OF_MEMORY");
    expect(weightsOf(tried)).toEqual(before);
    // The optimizer's moments and its count of steps are what they were, too.
    for (const [model, own] of [[tried, options] as const, [untried, others] as const]) {
      await fit(model, clouds(24), { ...own, epochs: 1 });
    }
    expect(weightsOf(tried)).toEqual(weightsOf(untried));
    expect(weightsOf(tried)).not.toEqual(before);
  });

  it("for want of memory after an epoch keeps the epoch", async () => {
    const [model, other] = [wide(), wide()];
    const validation = clouds(tooMany);
    expect(await codeOf(() => fit(model, clouds(24), { ...adam(), epochs: 1, validation }))).toBe("OUT_OF_MEMORY");
    await fit(other, clouds(24), { ...adam(), epochs: 1 });
    expect(weightsOf(model)).toEqual(weightsOf(other));
  });

  it("as its loss is no number says so", async () => {
    const optimizer = new SGD({ lr: 1e38 });
    expect(await codeOf(() => fit(smallNetwork(), clouds(), { ...adam(), optimizer, epochs: 3 }))).toBe("NON_FINITE");
  });
});
