// fit and evaluate: what they compute, record and call back.

import {
  Adam,
  accuracy,
  CrossEntropyLoss,
  evaluate,
  type FitOptions,
  fit,
  fromArrays,
  GroupSort2,
  grad,
  HKRMulticlassLoss,
  krMulticlass,
  Linear,
  type Metrics,
  Module,
  OneCycleLR,
  Sequential,
  SGD,
  type Tensor,
  type TrainingControl,
  TrainingPosition,
  tensor,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { clouds, codeOf, referenceNetwork, referenceOptions, smallNetwork, subset, weightsOf } from "./subset.js";

/** Float32 sums over a batch, in whatever order. */
const FLOAT32_SUMS = 1e-5;

const small = () => ({
  epochs: 1,
  batchSize: 20,
  optimizer: new SGD({ lr: 0.1 }),
  loss: new CrossEntropyLoss(),
  verbose: false,
});

describe("fit", () => {
  it("learns Fashion-MNIST with the reference network", async () => {
    const { train, test } = await subset();
    const model = referenceNetwork();
    const { epochs } = await fit(model, train, {
      ...referenceOptions(),
      epochs: 2,
      batchSize: 256,
      metrics: { acc: accuracy(), KR: krMulticlass() },
      validation: test,
    });
    const [first, second] = epochs;
    expect(second?.loss).toBeLessThan(first?.loss ?? 0);
    expect(second?.val_acc).toBeGreaterThan(0.5);
    expect(second?.val_KR).toBeGreaterThan(first?.val_KR ?? 1);
  });

  it("records means over samples, of batches of different size too, and validation of the whole set", async () => {
    const data = clouds(50);
    const held = clouds(33, 8);
    const model = smallNetwork();
    const twin = smallNetwork();
    const history = await fit(model, data, {
      ...small(),
      shuffle: false,
      metrics: { acc: accuracy(), KR: krMulticlass() },
      validation: held,
    });
    expect(history.epochs).toHaveLength(1);
    const [record] = history.epochs;
    if (record === undefined) throw new Error("no record");
    const fields = ["KR", "acc", "epoch", "imagesPerSecond", "loss", "seconds", "val_KR", "val_acc", "val_loss"];
    expect(Object.keys(record).sort()).toEqual(fields);
    expect(record.epoch).toBe(1);
    expect(record.imagesPerSecond).toBeCloseTo(50 / record.seconds, 6);

    // The same three steps of 20, 20 and 10 samples, one fit each.
    const steps: { loss: number; acc: number; KR: number }[] = [];
    for (const indices of [range(0, 20), range(20, 40), range(40, 50)]) {
      const one = await fit(twin, data.subset(indices), {
        ...small(),
        shuffle: false,
        metrics: { acc: accuracy(), KR: krMulticlass() },
      });
      const [step] = one.epochs;
      if (step !== undefined) steps.push(step);
    }
    expect(steps).toHaveLength(3);
    expect(weightsOf(model)).toEqual(weightsOf(twin));
    for (const name of ["loss", "acc", "KR"] as const) {
      const [one = 0, two = 0, three = 0] = steps.map((step) => step[name]);
      expect(record[name]).toBeCloseTo((20 * one + 20 * two + 10 * three) / 50, 12);
    }

    const logits = await model.predict({ data: held.imagesRaw, shape: [33, 8] });
    const labels = tensor(held.labelsRaw);
    expect(record.val_acc).toBeCloseTo(accuracy()(logits, labels).item(), 6);
    expect(Math.abs((record.val_KR ?? 0) - krMulticlass()(logits, labels).item())).toBeLessThan(FLOAT32_SUMS);
    const loss = new CrossEntropyLoss().forward(logits, labels).item();
    expect(Math.abs((record.val_loss ?? 0) - loss)).toBeLessThan(FLOAT32_SUMS);
  });

  it("counts each sample once in figures: two right ones of three are two thirds", async () => {
    const data = fromArrays(Float32Array.of(1, 1, -1), [3, 1], [1, 1, 1]);
    const model = new Linear(1, 2, { bias: false });
    model.loadStateDict({ weight: tensor([-1, 1], [2, 1]) });
    const { epochs } = await fit(model, data, {
      ...small(),
      batchSize: 2,
      shuffle: false,
      optimizer: new SGD({ lr: 0 }),
      metrics: { acc: accuracy() },
      validation: data,
    });
    const [record] = epochs;
    expect(record?.acc).toBeCloseTo(2 / 3, 12);
    // Two logits that are 2 apart, the right one above or below.
    const mean = (2 * Math.log(1 + Math.exp(-2)) + Math.log(1 + Math.exp(2))) / 3;
    expect(record?.loss).toBeCloseTo(mean, 6);
    expect(record?.val_loss).toBeCloseTo(mean, 6);
    expect(record?.val_acc).toBeCloseTo(2 / 3, 6);
  });

  it("gives figures of all samples to an epoch that goes on in the middle", async () => {
    const data = fromArrays(Float32Array.of(1, 1, 1, 1, 7), [5, 1], Float32Array.of(0, 0, 0, 0, 0));
    const seen = (outputs: Tensor): Tensor => outputs.stopGradient().mean();
    const model = new Linear(1, 1, { bias: false });
    model.loadStateDict({ weight: tensor([1], [1, 1]) });
    const options = { ...small(), batchSize: 2, shuffle: false, optimizer: new SGD({ lr: 0 }), metrics: { seen } };
    const training = { ...options, loss: { forward: (y: Tensor) => y.mean() }, position: new TrainingPosition() };
    expect((await fit(model, data, { ...training, maxSteps: 1 })).epochs).toEqual([]);
    const { epochs } = await fit(model, data, training);
    expect(epochs[0]?.seen).toBeCloseTo((1 + 1 + 1 + 1 + 7) / 5, 6);
  });

  it("gives the same bits for the same seed, and others for another seed or order", async () => {
    const runs = [{ seed: 3 }, { seed: 3 }, { seed: 4 }, { shuffle: false }].map(async (options) => {
      const model = smallNetwork();
      await fit(model, clouds(), { ...small(), epochs: 3, batchSize: 7, ...options });
      return weightsOf(model);
    });
    const [a, b, c, d] = await Promise.all(runs);
    expect(b).toEqual(a);
    expect(c).not.toEqual(a);
    expect(d).not.toEqual(a);
  });

  it("visits every sample once an epoch", async () => {
    // The weight of sample i moves by lr for each visit: images are rows of the identity.
    const n = 10;
    const identity = Float32Array.from({ length: n * n }, (_, k) => (k % (n + 1) === 0 ? 1 : 0));
    const data = fromArrays(
      identity,
      [n, n],
      Array.from({ length: n }, () => 0),
    );
    const model = new Linear(n, 1, { bias: false });
    const before = Array.from(model.weight.dataSync());
    const loss = { forward: (logits: Tensor) => logits.sum() };
    await fit(model, data, { ...small(), epochs: 2, batchSize: 4, loss, optimizer: new SGD({ lr: 1 }) });
    const moved = Array.from(model.weight.dataSync(), (w, i) => (before[i] ?? 0) - w);
    for (const by of moved) expect(by).toBeCloseTo(2, 5);
  });

  it("divides u8 images by 255, to the last bit as evaluation and prediction do, and takes f32 images as they are", async () => {
    const bytes = Uint8Array.from({ length: 40 }, (_, i) => (i * 37) % 256);
    const labels = Array.from({ length: 10 }, (_, i) => i % 2);
    const weights: number[][] = [];
    for (const images of [bytes, Float32Array.from(bytes, (b) => b / 255)]) {
      const model = new Linear(4, 2);
      model.loadStateDict({ weight: tensor([1, 2, 3, 4, 4, 3, 2, 1], [2, 4]), bias: tensor([0, 1]) });
      await fit(model, fromArrays(images, [10, 4], labels), { ...small(), batchSize: 5 });
      weights.push(weightsOf(model));
    }
    const [u8 = [], f32 = []] = weights;
    u8.forEach((w, i) => {
      expect(Math.abs(w - (f32[i] ?? Number.NaN))).toBeLessThan(FLOAT32_SUMS);
    });

    const pixels = Uint8Array.from({ length: 256 }, (_, i) => i);
    const scaled = tensor(
      Float32Array.from(pixels, (value) => value / 255),
      [256, 1],
    );
    const itself = new Linear(1, 1, { bias: false });
    itself.loadStateDict({ weight: tensor([1], [1, 1]) });
    const differences = (logits: Tensor) => logits.equal(scaled).not().cast("f32").sum();
    const data = fromArrays(pixels, [256, 1], new Int32Array(256));
    expect(await evaluate(itself, data, { metrics: { differences } })).toEqual({ differences: 0 });
    expect((await itself.predict(tensor(pixels, [256, 1]))).held()).toEqual(scaled.held());
    expect(await data.batch(0, 256).images.data()).toEqual(scaled.held());
  });

  it("trains a module and a loss of one's own", async () => {
    class Squares extends Module {
      readonly inner = new Linear(8, 3);
      forward(x: Tensor): Tensor {
        return this.inner.forward(x.square());
      }
    }
    const loss = {
      forward: (logits: Tensor, labels: Tensor) => logits.softmax(1).sub(labels.oneHot(3)).square().sum(1).mean(),
    };
    const model = new Squares();
    const options: FitOptions<{ acc: ReturnType<typeof accuracy> }> = {
      ...small(),
      epochs: 30,
      optimizer: new Adam({ lr: 0.02 }),
      loss,
      metrics: { acc: accuracy() },
    };
    const { epochs } = await fit(model, clouds(), options);
    expect(epochs[29]?.loss).toBeLessThan((epochs[0]?.loss ?? 0) / 2);
    expect(epochs[29]?.acc).toBeGreaterThan(0.8);
  });

  it("calls callbacks in order, awaits them, and ends with what they throw", async () => {
    const calls: string[] = [];
    const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
    await fit(smallNetwork(), clouds(), {
      ...small(),
      epochs: 2,
      metrics: { acc: accuracy() },
      callbacks: [
        {
          async onEpochStart(epoch) {
            await pause();
            calls.push(`start ${epoch}`);
          },
          onProgress(step, total, values) {
            if (step === total) calls.push(`progress ${step}/${total} ${Object.keys(values).join()}`);
          },
          async onEpochEnd(record) {
            await pause();
            calls.push(`end ${record.epoch} ${Number.isFinite(record.acc)}`);
          },
        },
      ],
    });
    expect(calls).toEqual([
      "start 1",
      "progress 3/3 loss,acc",
      "end 1 true",
      "start 2",
      "progress 3/3 loss,acc",
      "end 2 true",
    ]);
    const reason = new Error("enough");
    let epochs = 0;
    const failing = fit(smallNetwork(), clouds(), {
      ...small(),
      epochs: 5,
      callbacks: [
        {
          onEpochEnd() {
            epochs += 1;
            throw reason;
          },
        },
      ],
    });
    await expect(failing).rejects.toBe(reason);
    expect(epochs).toBe(1);
  });

  it("rejects with what onProgress throws", async () => {
    const reason = new Error("seen enough");
    const failing = fit(smallNetwork(), clouds(), {
      ...small(),
      callbacks: [
        {
          onProgress() {
            throw reason;
          },
        },
      ],
    });
    await expect(failing).rejects.toBe(reason);
  });

  it("rejects with NON_FINITE when the loss becomes NaN or infinite", async () => {
    const diverging = { ...small(), epochs: 5, optimizer: new SGD({ lr: 1e30 }) };
    const run = (): Promise<unknown> => fit(smallNetwork(), clouds(), diverging);
    expect(await codeOf(run)).toBe("NON_FINITE");
    const infinite = { forward: (logits: Tensor) => logits.sum().mul(Number.POSITIVE_INFINITY) };
    expect(await codeOf(() => fit(smallNetwork(), clouds(), { ...small(), loss: infinite }))).toBe("NON_FINITE");
  });

  it("rejects with NON_FINITE for the loss of a step in the middle, which it names", async () => {
    // Of three batches the second has a sample that is 0.
    const data = fromArrays(Float32Array.of(1, 0, 1), [3, 1], Float32Array.of(1, 1, 1));
    const model = new Linear(1, 1, { bias: false });
    const loss = { forward: (y: Tensor) => y.mean().mul(0).div(y.mean()).stopGradient().add(y.mean().mul(0)) };
    const options = { ...small(), epochs: 2, batchSize: 1, shuffle: false, loss };
    await expect(fit(model, data, options)).rejects.toThrow(/the loss became NaN in epoch 1, step 2/);
    const late = { ...options, position: new TrainingPosition(), maxSteps: 1 };
    await fit(model, data, late);
    await expect(fit(model, data, { ...late, maxSteps: 3 })).rejects.toThrow(/in epoch 1, step 2/);
  });

  it("ends with what a promise of onProgress rejects with, waits for promises, and leaves no rejection unhandled", async () => {
    const unhandled: unknown[] = [];
    const watch = (reason: unknown): number => unhandled.push(reason);
    process.on("unhandledRejection", watch);
    const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 10));
    try {
      const reason = new Error("seen enough");
      for (const before of [async () => undefined, wait]) {
        let epochs = 0;
        const callback = {
          async onProgress() {
            await before();
            throw reason;
          },
          onEpochEnd: () => {
            epochs += 1;
          },
        };
        const failing = fit(smallNetwork(), clouds(), {
          ...small(),
          epochs: 3,
          callbacks: [callback, { ...callback }],
        });
        await expect(failing).rejects.toBe(reason);
        expect(epochs).toBe(0);
      }
      const done: string[] = [];
      const slow = {
        async onProgress() {
          await wait();
          done.push("progress");
        },
        onEpochEnd: () => {
          done.push("end");
        },
      };
      await fit(smallNetwork(), clouds(), { ...small(), callbacks: [slow] });
      expect(done.at(-1)).toBe("end");
      const never = { onProgress: () => new Promise<void>(() => undefined) };
      const [end, enough] = [new AbortController(), new Error("enough")];
      const stuck = fit(smallNetwork(), clouds(), { ...small(), callbacks: [never], signal: end.signal });
      setTimeout(() => end.abort(enough), 100);
      await expect(stuck).rejects.toBe(enough);
      await wait();
      expect(unhandled).toEqual([]);
    } finally {
      process.off("unhandledRejection", watch);
    }
  });

  it("records validation once, and again where a setting that it rests on has changed", async () => {
    let recordings = 0;
    class Scaled extends Module {
      factor = 1;
      readonly inner = smallNetwork();

      forward(x: Tensor): Tensor {
        if (!this.training) recordings += 1;
        return this.inner.forward(x).mul(this.factor);
      }
    }
    const [model, held] = [new Scaled(), clouds(33, 8)];
    const counts: number[] = [];
    const callback = {
      onEpochEnd: ({ epoch, val_loss }: { epoch: number; val_loss?: number }) => {
        counts.push(recordings);
        if (epoch === 2) model.factor = 0;
        // Of logits that are all 0.
        if (epoch > 2) expect(val_loss).toBeCloseTo(Math.log(3), 6);
        else expect(val_loss).not.toBeCloseTo(Math.log(3), 6);
      },
    };
    await fit(model, clouds(50), { ...small(), epochs: 4, validation: held, callbacks: [callback] });
    expect(counts).toEqual([1, 1, 2, 2]);
  });

  it("leaves the model in training mode, its validation in evaluation mode", async () => {
    const modes = new Set<string>();
    class Watching extends Module {
      readonly inner = new Linear(8, 3);
      forward(x: Tensor): Tensor {
        modes.add(`${this.training} ${x.shape[0]}`);
        return this.inner.forward(x);
      }
    }
    const model = new Watching().eval();
    await fit(model, clouds(60), { ...small(), batchSize: 60, validation: clouds(33) });
    expect(modes).toEqual(new Set(["true 60", "false 33"]));
    expect(model.training).toBe(true);
  });

  it("cycles the momentum of SGD with the rate", async () => {
    const optimizer = new SGD({ lr: 1, momentum: 0.5 });
    const schedule = new OneCycleLR({ maxLr: 0.01, totalSteps: 9 });
    await fit(smallNetwork(), clouds(), { ...small(), epochs: 3, optimizer, schedule });
    const last = schedule.at(8);
    expect(optimizer.lr).toBe(Math.fround(last.lr));
    expect(optimizer.momentumState?.item()).toBe(Math.fround(last.momentum ?? 0));
  });

  it("warns once where no parameter is trained, and not where one is by the first step", async () => {
    const said = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const warned = async (model: Module, more: Partial<FitOptions<Metrics>> = {}) => {
      said.mockClear();
      await fit(model, clouds(), { ...small(), epochs: 2, ...more });
      return said.mock.calls.map(([message, options]) => [message, options]);
    };
    const frozen = () => {
      const model = smallNetwork();
      model.trainable = false;
      return model;
    };
    const options = { type: "TslipWarning", code: "NOTHING_TRAINED" };
    try {
      const model = frozen();
      const before = weightsOf(model);
      const message = /^fit changes no parameter of this Sequential: all 4 are frozen; set trainable = true/;
      expect(await warned(model)).toEqual([[expect.stringMatching(message), options]]);
      expect(weightsOf(model)).toEqual(before);
      const empty = new Sequential([new GroupSort2()]);
      expect(await warned(empty)).toEqual([[expect.stringMatching(/this Sequential: it has none/), options]]);
      const one = frozen();
      const [first] = one.parameters();
      if (first !== undefined) first.trainable = true;
      expect(await warned(one)).toEqual([]);
      const onEpochStart = (_: number, { model: trained }: TrainingControl) => {
        trained.trainable = true;
      };
      expect(await warned(frozen(), { callbacks: [{ onEpochStart }] })).toEqual([]);
    } finally {
      said.mockRestore();
    }
  });

  it("makes no gradient for what the loss does not reach, and trains the rest", async () => {
    class Spare extends Module {
      readonly used = new Linear(8, 3);
      readonly spare = new Linear(5, 5);
      forward(x: Tensor): Tensor {
        return this.used.forward(x);
      }
    }
    const model = new Spare();
    const before = weightsOf(model.spare);
    const used = weightsOf(model.used);
    await fit(model, clouds(), { ...small(), optimizer: new Adam() });
    expect(weightsOf(model.spare)).toEqual(before);
    expect(weightsOf(model.used)).not.toEqual(used);
  });
});

describe("evaluate", () => {
  it("gives loss and metrics of the whole set, the last image included", async () => {
    const data = clouds(41);
    const model = smallNetwork();
    const metrics = { acc: accuracy(), KR: krMulticlass() };
    const values = await evaluate(model, data, { loss: new HKRMulticlassLoss({ alpha: 10 }), metrics });
    const logits = await model.predict({ data: data.imagesRaw, shape: [41, 8] });
    const labels = tensor(data.labelsRaw);
    expect(Object.keys(values).sort()).toEqual(["KR", "acc", "loss"]);
    expect(values.acc).toBeCloseTo(accuracy()(logits, labels).item(), 6);
    expect(Math.abs(values.KR - krMulticlass()(logits, labels).item())).toBeLessThan(FLOAT32_SUMS);
    const loss = new HKRMulticlassLoss({ alpha: 10 }).forward(logits, labels).item();
    expect(Math.abs((values.loss ?? 0) - loss)).toBeLessThan(FLOAT32_SUMS * 10);
    expect(await evaluate(model, data, { metrics })).not.toHaveProperty("loss");
  });

  it("changes neither parameters nor mode", async () => {
    const model = smallNetwork().train();
    const before = weightsOf(model);
    await evaluate(model, clouds(), { metrics: { acc: accuracy() } });
    expect(weightsOf(model)).toEqual(before);
    expect(model.training).toBe(true);
  });
});

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

// grad is what a hand-written step uses; fit's own is checked against it.
describe("a step of fit", () => {
  it("is a step of the optimizer along the gradient of the loss", async () => {
    const data = clouds(12);
    const [model, twin] = [smallNetwork(), smallNetwork()];
    await fit(model, data, { ...small(), batchSize: 12, shuffle: false });
    const x = tensor(data.imagesRaw as Float32Array, [12, 8]);
    const loss = new CrossEntropyLoss().forward(twin.forward(x), tensor(data.labelsRaw));
    const gradients = grad(loss, twin.parameters()).flatMap((g) => Array.from(g.dataSync()));
    weightsOf(twin).forEach((w, i) => {
      expect(Math.abs(w - 0.1 * (gradients[i] ?? 0) - (weightsOf(model)[i] ?? 0))).toBeLessThan(FLOAT32_SUMS);
    });
  });
});
