// The library's callbacks: when they act, what they leave behind, and that a training that goes on finds what they knew.
import {
  accuracy,
  type Callback,
  CertificateRegularization,
  CrossEntropyLoss,
  compile,
  EarlyStopping,
  EMA,
  type FitOptions,
  fit,
  HKRMulticlassLoss,
  Linear,
  type Loss,
  LossParameterSchedule,
  type Metrics,
  MonitorSingularValues,
  manualSeed,
  Parameter,
  ReduceLROnPlateau,
  SGD,
  State,
  StepLR,
  scalar,
  state,
  type Tensor,
  TrainingPosition,
  TrainingState,
  tensor,
  WeightedLoss,
} from "tslip";
import { describe, expect, it } from "vitest";
import { singularValues } from "../../src/native.js";
import { bytesOf } from "../../src/tensor/dtype.js";
import { clouds, codeOf, smallNetwork, weightsOf } from "./subset.js";

const data = clouds(30);

const options = (callbacks: readonly Callback<never>[], more: Partial<FitOptions<Metrics>> = {}) => ({
  epochs: 20,
  batchSize: 10,
  loss: new CrossEntropyLoss(),
  optimizer: new SGD({ lr: 0.1 }),
  verbose: false,
  ...more,
  callbacks: callbacks as readonly Callback[],
});

/** Ends epochs with these figures for `loss`, whatever the training is like. */
async function told(callback: Callback, figures: readonly number[], optimizer = new SGD({ lr: 0.1 })) {
  const rates: number[] = [];
  const weights: number[][] = [];
  const model = smallNetwork();
  const tells: Callback = {
    async onEpochEnd(record, control, steps) {
      weights.push(weightsOf(model));
      await callback.onEpochEnd?.({ ...record, loss: figures[record.epoch - 1] ?? Number.NaN }, control, steps);
      rates.push(optimizer.lr);
    },
    ...(callback.onEpochStart ? { onEpochStart: (...args) => callback.onEpochStart?.(...args) } : {}),
    ...(callback.onTrainingEnd ? { onTrainingEnd: (...args) => callback.onTrainingEnd?.(...args) } : {}),
  };
  const { epochs } = await fit(model, data, options([tells], { epochs: figures.length, optimizer }));
  return { epochs: epochs.length, rates, weights, model };
}

describe("EarlyStopping", () => {
  it.each<[string, object, number[], number]>([
    ["after an epoch that is no better", {}, [3, 2, 2, 1], 3],
    ["after as many as its patience in a row", { patience: 2 }, [3, 4, 2, 3, 2, 1], 5],
    ["where no epoch is better by enough", { patience: 2, minDelta: 0.5 }, [3, 2.6, 2.6, 1], 3],
    ["not where each is", { minDelta: 0.5 }, [3, 2.4, 1.8, 1.2], 4],
    ["where larger is better", { mode: "max", patience: 1 }, [1, 2, 1.5, 3], 3],
    ["where figures are NaN", { patience: 2 }, [3, Number.NaN, Number.NaN, 1], 3],
    ["where they are from the beginning", { patience: 2 }, [Number.NaN, Number.NaN, 1], 2],
  ])("ends training %s", async (_, given, figures, end) => {
    const { epochs } = await told(new EarlyStopping({ monitor: "loss", ...given }), figures);
    expect(epochs).toBe(end);
  });

  it("puts back the weights of the best epoch, however training ends", async () => {
    for (const figures of [
      [3, 2, 4, 5, 6],
      [3, 2, 4],
    ]) {
      const callback = new EarlyStopping({ monitor: "loss", patience: 2, restoreBestWeights: true });
      const { weights, model } = await told(callback, figures);
      expect(callback.bestEpoch).toBe(2);
      expect(weightsOf(model)).toEqual(weights[1]);
      expect(weights.at(-1)).not.toEqual(weights[1]);
    }
    const kept = await told(new EarlyStopping({ monitor: "loss", patience: 2 }), [3, 2, 4, 5]);
    expect(weightsOf(kept.model)).toEqual(kept.weights[3]);
    const none = await told(new EarlyStopping({ monitor: "loss", patience: 2, restoreBestWeights: true }), [
      Number.NaN,
    ]);
    expect(weightsOf(none.model)).toEqual(none.weights[0]);
  });

  it("goes on in another process as in one, best weights too", async () => {
    const make = () => {
      const [model, position, optimizer] = [smallNetwork(), new TrainingPosition(), new SGD({ lr: 3, momentum: 0.9 })];
      const stopping = new EarlyStopping({ monitor: "val_loss", patience: 4, restoreBestWeights: true });
      const parts = { model, position, optimizer, callbacks: [stopping] };
      const train = (more: Partial<FitOptions<Metrics>> = {}) =>
        fit(model, data, options([stopping], { optimizer, position, validation: clouds(12, 3), ...more }));
      return { model, stopping, train, state: new TrainingState(parts) };
    };
    const whole = make();
    await whole.train();
    for (const maxSteps of [3, 7]) {
      const first = make();
      await first.train({ maxSteps });
      const second = make();
      second.state.restore(await first.state.snapshot());
      await second.train();
      expect(second.stopping.bestEpoch).toBe(whole.stopping.bestEpoch);
      expect(weightsOf(second.model)).toEqual(weightsOf(whole.model));
    }
  });

  it("ends a training that it has ended at once, also from its states, unless its patience has grown", async () => {
    const make = (patience: number) => {
      const [model, position, optimizer] = [smallNetwork(), new TrainingPosition(), new SGD({ lr: 30, momentum: 0.9 })];
      const stopping = new EarlyStopping({ patience, restoreBestWeights: true });
      const state = new TrainingState({ model, position, optimizer, callbacks: [stopping] });
      const snapshots: Awaited<ReturnType<TrainingState["snapshot"]>>[] = [];
      const saving: Callback = { onEpochEnd: async () => void snapshots.push(await state.snapshot()) };
      const train = () =>
        fit(model, data, options([stopping, saving], { optimizer, position, validation: clouds(12, 3) }));
      return { model, position, stopping, state, snapshots, train };
    };
    const whole = make(3);
    const { epochs } = await whole.train();
    const best = weightsOf(whole.model);
    expect(epochs.length).toBe(whole.stopping.bestEpoch + 3);
    expect((await whole.train()).epochs).toEqual([]);
    expect(weightsOf(whole.model)).toEqual(best);
    const restored = make(3);
    restored.state.restore(whole.snapshots.at(-1) ?? {});
    expect((await restored.train()).epochs).toEqual([]);
    expect([restored.position.steps.item(), weightsOf(restored.model)]).toEqual([3 * epochs.length, best]);
    const [patient, longer] = [make(5), make(5)];
    longer.state.restore(whole.snapshots.at(-1) ?? {});
    const all = (await patient.train()).epochs.map(({ epoch }) => epoch);
    expect((await longer.train()).epochs.map(({ epoch }) => epoch)).toEqual(all.slice(epochs.length));
    expect(weightsOf(longer.model)).toEqual(weightsOf(patient.model));
  });

  it("puts best weights back where another callback stops too, not where maxSteps ends the fit", async () => {
    const best = async (more: Partial<FitOptions<Metrics>>, stopAt?: number) => {
      const [model, stopping] = [smallNetwork(), new EarlyStopping({ patience: 9, restoreBestWeights: true })];
      const ends: number[][] = [];
      const look: Callback = {
        onEpochEnd: ({ epoch }, { stop }) => {
          ends.push(weightsOf(model));
          if (epoch === stopAt) stop();
        },
      };
      const optimizer = new SGD({ lr: 30, momentum: 0.9 });
      await fit(model, data, options([stopping, look], { epochs: 4, optimizer, validation: clouds(12, 3), ...more }));
      expect(ends[stopping.bestEpoch - 1]).not.toEqual(ends.at(-1));
      return { now: weightsOf(model), best: ends[stopping.bestEpoch - 1], last: ends.at(-1) };
    };
    const [whole, stopped, paused] = [await best({}), await best({}, 3), await best({ maxSteps: 9 })];
    expect(whole.now).toEqual(whole.best);
    expect(stopped.now).toEqual(stopped.best);
    expect(paused.now).toEqual(paused.last);
  });

  it("names the figures that there are before the first step", async () => {
    const before = weightsOf(smallNetwork());
    for (const callback of [
      new EarlyStopping({ monitor: "val_accuracy", mode: "max" }),
      new ReduceLROnPlateau({ monitor: "val_accuracy", mode: "max" }),
    ]) {
      const model = smallNetwork();
      const given = options([callback], { validation: data, metrics: { acc: accuracy() } });
      await expect(fit(model, data, given)).rejects.toThrow(
        /monitors val_accuracy, which records do not have \(epoch, loss, acc, seconds, imagesPerSecond, val_loss, val_acc\); monitor one of them, or give fit such a metric/,
      );
      expect(weightsOf(model)).toEqual(before);
    }
  });

  it("is refused a figure that there is not, or of which it is not known what is better", async () => {
    const fitted = fit(smallNetwork(), data, options([new EarlyStopping()]));
    await expect(fitted).rejects.toThrow(
      /EarlyStopping monitors val_loss, which records do not have \(epoch, loss,.*validation set/,
    );
    expect(() => new EarlyStopping({ monitor: "val_acc" })).toThrow(
      /whether a larger val_acc is better; say mode: "max"/,
    );
    expect(() => new EarlyStopping({ patience: -1 })).toThrow(/patience must be/);
    expect(() => new EarlyStopping({ min_delta: 1 } as never)).toThrow(/did you mean "minDelta"/);
  });
});

describe("ReduceLROnPlateau", () => {
  /** PyTorch's scheduler, as it stands there. */
  function reference(
    figures: readonly number[],
    o: {
      factor: number;
      patience: number;
      threshold: number;
      rel: boolean;
      max: boolean;
      cooldown: number;
      minLr: number;
    },
  ) {
    let [best, bad, cooling, lr] = [o.max ? -Infinity : Infinity, 0, 0, 0.1];
    return figures.map((figure) => {
      const limit = o.rel
        ? best * (o.max ? 1 + o.threshold : 1 - o.threshold)
        : best + (o.max ? o.threshold : -o.threshold);
      if (o.max ? figure > limit : figure < limit) {
        best = figure;
        bad = 0;
      } else bad += 1;
      if (cooling > 0) {
        cooling -= 1;
        bad = 0;
      }
      if (bad > o.patience) {
        const next = Math.max(lr * o.factor, o.minLr);
        if (lr - next > 1e-8) lr = next;
        cooling = o.cooldown;
        bad = 0;
      }
      return lr;
    });
  }

  const figures = [3, 2, 2, 2, 1.5, 1.49, 1.48, 1.47, 1.46, 1.45, 1.45, 1.45, 1.45, 1.45];
  it.each([
    { factor: 0.5, patience: 1, threshold: 0, rel: false, max: false, cooldown: 0, minLr: 0 },
    { factor: 0.5, patience: 0, threshold: 0.05, rel: true, max: false, cooldown: 2, minLr: 0.01 },
    { factor: 0.1, patience: 2, threshold: 0.1, rel: false, max: true, cooldown: 1, minLr: 0 },
    { factor: 0, patience: 1, threshold: 0.01, rel: true, max: true, cooldown: 0, minLr: 0.025 },
  ])("lowers the rate as PyTorch does: %o", async (o) => {
    const { factor, patience, threshold, cooldown, minLr } = o;
    const callback = new ReduceLROnPlateau({
      monitor: "loss",
      mode: o.max ? "max" : "min",
      thresholdMode: o.rel ? "rel" : "abs",
      ...{ factor, patience, threshold, cooldown, minLr },
    });
    const { rates } = await told(callback, figures);
    const expected = reference(figures, o);
    expect(new Set(expected).size).toBeGreaterThan(1);
    rates.forEach((rate, i) => expect(rate).toBeCloseTo(expected[i] ?? Number.NaN, 7));
  });

  it.each(["min", "max"] as const)("lowers the rate where a negative figure stays as it is, mode %s", async (mode) => {
    const callback = new ReduceLROnPlateau({ monitor: "loss", mode, patience: 1 });
    const { rates } = await told(callback, new Array(6).fill(-1));
    for (const [i, rate] of [0.1, 0.1, 0.01, 0.01, 0.001, 0.001].entries()) expect(rates[i]).toBeCloseTo(rate, 7);
  });

  it("takes a larger figure for what it takes the smaller one of other sign", async () => {
    const rated = (sign: number, mode: "min" | "max") =>
      told(
        new ReduceLROnPlateau({ monitor: "loss", mode, factor: 0.5, patience: 0, threshold: 0.1 }),
        [3, 2.9, 2, 1.9, 1.7, 0.5, -1, -1.05, -1.2, -1.2, 0].map((figure) => sign * figure),
      );
    const [down, up] = [await rated(1, "min"), await rated(-1, "max")];
    expect(up.rates).toEqual(down.rates);
    expect(down.rates.map((rate) => Math.round(Math.log2(0.1 / rate)))).toEqual([0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5]);
  });

  it("goes on in another process as in one, to the same rates", async () => {
    const make = () => {
      const [model, position, optimizer] = [smallNetwork(), new TrainingPosition(), new SGD({ lr: 0.1 })];
      const plateau = new ReduceLROnPlateau({ monitor: "loss", factor: 0.3, patience: 1, cooldown: 1, threshold: 0.2 });
      const parts = { model, position, optimizer, callbacks: [plateau] };
      const train = (more: Partial<FitOptions<Metrics>> = {}) =>
        fit(model, data, options([plateau], { optimizer, position, epochs: 12, ...more }));
      return { optimizer, train, state: new TrainingState(parts) };
    };
    const whole = make();
    await whole.train();
    expect(whole.optimizer.lr).toBeLessThan(0.02);
    const wanted = await whole.state.snapshot();
    for (const epochs of [2, 5, 8]) {
      const [first, second] = [make(), make()];
      await first.train({ epochs });
      second.state.restore(await first.state.snapshot());
      await second.train();
      expect(await second.state.snapshot()).toEqual(wanted);
    }
  });

  it("is refused beside a schedule", async () => {
    const schedule = new StepLR({ lr: 0.1, stepSize: 1 });
    const fitted = fit(smallNetwork(), data, options([new ReduceLROnPlateau({ monitor: "loss" })], { schedule }));
    await expect(fitted).rejects.toThrow(/ReduceLROnPlateau and a schedule, StepLR, both set the learning rate/);
  });
});

describe("EMA", () => {
  it("keeps the means that float64 gives, of ten steps", async () => {
    const decay = 0.75;
    const model = new Linear(3, 2);
    const [ema, optimizer] = [new EMA({ decay }), new SGD({ lr: 0.1, momentum: 0.9 })];
    const step = compile((g: Tensor) => {
      optimizer.update([model.weight], [g]);
      ema.update(model);
      return model.weight.mul(1);
    });
    let means: number[] | undefined;
    for (let i = 0; i < 10; i++) {
      const now = Array.from(
        step
          .sync(
            tensor(
              [1, 2, 3, -1, -2, -3].map((x) => x / (i + 1)),
              [2, 3],
            ),
          )
          .data(),
      );
      means = means?.map((mean, k) => decay * mean + (1 - decay) * (now[k] ?? 0)) ?? now;
    }
    const own = Array.from(model.weight.dataSync());
    await ema.with(model, () => {
      const averaged = Array.from(model.weight.dataSync());
      averaged.forEach((mean, k) => expect(Math.abs(mean - (means?.[k] ?? Number.NaN))).toBeLessThan(2e-6));
      expect(averaged).not.toEqual(own);
    });
    expect(Array.from(model.weight.dataSync())).toEqual(own);
  });

  it("takes part in fit, leaves the training as it is, and can be exported", async () => {
    const [model, twin] = [smallNetwork(), smallNetwork()];
    const ema = new EMA({ decay: 0.5 });
    const seen: number[][] = [];
    const look: Callback = { onEpochEnd: () => void seen.push(weightsOf(model)) };
    await fit(model, data, options([ema, look], { epochs: 3, batchSize: 30 }));
    await fit(twin, data, options([], { epochs: 3, batchSize: 30 }));
    expect(weightsOf(model)).toEqual(weightsOf(twin));
    const [a = [], b = [], c = []] = seen;
    const vanilla = await ema.with(model, () => model.vanillaExport());
    weightsOf(vanilla).forEach((w, i) => {
      expect(w).toBeCloseTo(0.25 * (a[i] ?? 0) + 0.25 * (b[i] ?? 0) + 0.5 * (c[i] ?? 0), 5);
    });
    expect(weightsOf(model)).toEqual(weightsOf(twin));
  });

  it("goes on in another process as in one, after any step", async () => {
    const make = () => {
      const [model, position, optimizer] = [smallNetwork(), new TrainingPosition(), new SGD({ lr: 0.1 })];
      const ema = new EMA({ decay: 0.9 });
      const train = (more: Partial<FitOptions<Metrics>> = {}) =>
        fit(model, data, options([ema], { optimizer, position, epochs: 2, ...more }));
      return { model, ema, train, state: new TrainingState({ model, position, optimizer, callbacks: [ema] }) };
    };
    const whole = make();
    await whole.train();
    const wanted = await whole.state.snapshot();
    expect(Object.keys(wanted)).toContain("callbacks.0.mean.0.weight");
    for (let stop = 1; stop < 6; stop++) {
      const [first, second] = [make(), make()];
      await first.train({ maxSteps: stop });
      second.state.restore(await first.state.snapshot());
      await second.train();
      expect(await second.state.snapshot()).toEqual(wanted);
    }
  });

  it("refuses what makes no sense", async () => {
    const [model, ema] = [smallNetwork(), new EMA()];
    expect(await codeOf(() => ema.apply(model))).toBe("INVALID_ARGUMENT");
    await fit(model, data, options([ema], { epochs: 1 }));
    expect(await codeOf(() => ema.restore(model))).toBe("INVALID_ARGUMENT");
    await ema.apply(model);
    expect(await codeOf(() => ema.apply(model))).toBe("INVALID_ARGUMENT");
    await ema.restore(model);
    // What was averaged of one model is nothing to another, whether shapes are the same or not.
    for (const other of [smallNetwork(2), new Linear(8, 3)]) {
      const own = weightsOf(other);
      expect(await codeOf(() => ema.with(other, () => undefined))).toBe("INVALID_ARGUMENT");
      expect(await codeOf(() => ema.update(other))).toBe("INVALID_ARGUMENT");
      expect(weightsOf(other)).toEqual(own);
    }
    expect(() => new EMA({ decay: 1 })).toThrow(/decay must be at least 0 and below 1; given 1/);
  });
});

describe("training a model that has means for weights", () => {
  it("is refused, with the EMA among the callbacks or not, until its own are back", async () => {
    const [model, ema] = [smallNetwork(), new EMA({ decay: 0.5 })];
    await fit(model, data, options([ema], { epochs: 2 }));
    const own = weightsOf(model);
    await ema.with(model, async () => {
      const means = weightsOf(model);
      for (const callbacks of [[ema], []]) {
        await expect(fit(model, data, options(callbacks))).rejects.toThrow(/has the means of an EMA.*restore\(\)/);
      }
      expect(await codeOf(() => new EMA().apply(model))).toBe("INVALID_ARGUMENT");
      expect(weightsOf(model)).toEqual(means);
    });
    expect(weightsOf(model)).toEqual(own);
    const forgets: Callback = { onEpochEnd: () => ema.apply(model) };
    await expect(fit(model, data, options([ema, forgets]))).rejects.toThrow(/has the means of an EMA/);
    await ema.restore(model);
    await fit(model, data, options([ema], { epochs: 1 }));
    expect(weightsOf(model)).not.toEqual(own);
  });
});

describe.each<[string, () => Callback]>([
  ["EarlyStopping", () => new EarlyStopping({ monitor: "loss", restoreBestWeights: true, patience: 9 })],
  ["EarlyStopping", () => new EarlyStopping({ monitor: "loss" })],
  ["ReduceLROnPlateau", () => new ReduceLROnPlateau({ monitor: "loss" })],
  ["EMA", () => new EMA()],
])("%s", (name, make) => {
  it("is refused for another model than its own before anything changes, and goes on with that", async () => {
    const [model, callback] = [smallNetwork(), make()];
    await fit(model, data, options([callback], { epochs: 2 }));
    const wide = new Linear(8, 3);
    for (const other of [smallNetwork(2), wide]) {
      const before = weightsOf(other);
      other.eval();
      const given = options([callback]);
      await expect(fit(other, data, given)).rejects.toThrow(`take a new ${name} for each training`);
      expect(() => new TrainingState({ model: other, callbacks: [callback as never] })).toThrow(`take a new ${name}`);
      expect(weightsOf(other)).toEqual(before);
      expect(other.training).toBe(false);
      expect(given.optimizer.epochs.item()).toBe(0);
    }
    const more = await fit(model, data, options([callback], { epochs: 1 }));
    expect(more.epochs.length).toBe(1);
  });
});

describe("MonitorSingularValues", () => {
  it("finds those of matrices that are known", async () => {
    const found = async (values: readonly number[], rows: number) => {
      const bytes = bytesOf(Float32Array.from(values));
      const extremes = await singularValues(bytes, [rows, values.length / rows], { extremes: true });
      return { largest: extremes[0] ?? Number.NaN, smallest: extremes.at(-1) ?? Number.NaN };
    };
    const known: [number[], number, number, number][] = [
      [[3], 1, 3, 3],
      [[-2, 0, 0, 0, 5, 0], 2, 5, 2],
      [[-2, 0, 0, 5, 0, 0], 3, 5 * Math.sqrt(1), 2],
      [[0, 0, 0, 0], 2, 0, 0],
      // Orthogonal columns of lengths 5 and 13, of four rows.
      [[3, 0, 4, 0, 0, 5, 0, 12], 4, 13, 5],
      [[1, 1, 1, 1], 2, 2, 0],
      [Array.from({ length: 9 }, (_, i) => (i % 4 === 0 ? 2 ** 90 : 0)), 3, 2 ** 90, 2 ** 90],
      [Array.from({ length: 9 }, (_, i) => (i % 4 === 0 ? 2 ** -140 : 0)), 3, 2 ** -140, 2 ** -140],
    ];
    for (const [values, rows, largest, smallest] of known) {
      const extremes = await found(values, rows);
      expect(Math.abs(extremes.largest - largest)).toBeLessThanOrEqual(1e-14 * largest);
      expect(Math.abs(extremes.smallest - smallest)).toBeLessThanOrEqual(1e-14 * largest);
    }
    // The second difference matrix: its singular values are 4 sin^2(k pi / (2 (n + 1))).
    const n = 40;
    const second = Array.from({ length: n * n }, (_, i) => [2, -1][Math.abs(Math.floor(i / n) - (i % n))] ?? 0);
    const { largest, smallest } = await found(second, n);
    expect(largest).toBeCloseTo(4 * Math.sin((n * Math.PI) / (2 * (n + 1))) ** 2, 12);
    expect(smallest).toBeCloseTo(4 * Math.sin(Math.PI / (2 * (n + 1))) ** 2, 12);
  });

  it("refuses what is not finite, by its place", async () => {
    const values = bytesOf(Float32Array.of(1, 2, Number.POSITIVE_INFINITY, 4));
    await expect(singularValues(values, [2, 2])).rejects.toThrow(/row 1, column 0 is inf/);
    expect(await codeOf(() => singularValues(values, [2, 2]))).toBe("NON_FINITE");
  });

  it("looks at each layer with a weight, of the epochs it is asked for", async () => {
    const { Sequential, SpectralConv2d, GroupSort2, Flatten, SpectralLinear, fromArrays, manualSeed } = await import(
      "tslip"
    );
    manualSeed(1);
    const model = new Sequential([
      new SpectralConv2d(1, 4, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new Flatten(),
      new SpectralLinear(36, 3),
    ]);
    const images = fromArrays(
      Float32Array.from({ length: 90 }, (_, i) => Math.sin(i)),
      [10, 1, 3, 3],
      [0, 1, 2, 0, 1, 2, 0, 1, 2, 0],
    );
    const monitor = new MonitorSingularValues({ every: 2, verbose: false });
    await fit(model, images, options([monitor], { epochs: 5 }));
    expect(monitor.history.map(({ epoch }) => epoch)).toEqual([2, 4]);
    const { layers = [] } = monitor.history.at(-1) ?? {};
    expect(layers.map(({ name, layer }) => [name, layer])).toEqual([
      ["0", "SpectralConv2d"],
      ["3", "SpectralLinear"],
    ]);
    const [, dense] = layers;
    expect(dense?.largest).toBeCloseTo(1, 4);
    expect(dense?.smallest).toBeCloseTo(1, 4);
  });
});

describe("LossParameterSchedule", () => {
  it("sets a field of the loss in each epoch, which training and validation follow", async () => {
    const loss = new HKRMulticlassLoss({ alpha: 10, minMargin: 1 });
    const seen: number[] = [];
    const schedule = new LossParameterSchedule({ parameter: "alpha", value: (epoch) => 10 * epoch });
    const look: Callback = { onEpochEnd: () => void seen.push(Number(loss.alpha)) };
    const model = smallNetwork();
    const optimizer = new SGD({ lr: 0 });
    const { epochs } = await fit(
      model,
      data,
      options([schedule, look], { loss, optimizer, epochs: 3, batchSize: 30, validation: data }),
    );
    expect(seen).toEqual([10, 20, 30]);
    const [one = 0, two = 0, three = 0] = epochs.map((record) => record.loss);
    expect(two - one).toBeCloseTo(three - two, 3);
    expect(Math.abs(two - one)).toBeGreaterThan(0.1);
    epochs.forEach((record) => expect(record["val_loss"]).toBeCloseTo(record.loss, 3));
  });

  it.each<[string, (of: (alpha: number | State) => Loss, alpha: number | State) => [Loss, string]]>([
    ["the loss itself", (of, alpha) => [of(alpha), "alpha"]],
    ["a weighted loss", (of, alpha) => [new WeightedLoss(of(alpha), { classWeights: [1, 2, 3] }), "loss.alpha"]],
    [
      "one that is regularized and weighted",
      (of, alpha) => [
        new WeightedLoss(new CertificateRegularization({ loss: of(alpha), gamma: 0.1 })),
        "loss.loss.alpha",
      ],
    ],
  ])("sets numbers and states alike of %s", async (_, make) => {
    const of = (alpha: number | State): Loss => new HKRMulticlassLoss({ alpha, form: "additive" });
    const losses: number[][] = [];
    for (const given of [1, state(scalar(1))]) {
      const [loss, parameter] = make(of, given);
      const schedule = new LossParameterSchedule({ parameter, value: (epoch) => 10 * epoch });
      const rest = { loss, optimizer: new SGD({ lr: 0 }), epochs: 2, batchSize: 30, validation: data };
      manualSeed(4);
      const { epochs } = await fit(smallNetwork(), data, options([schedule], rest));
      losses.push(epochs.flatMap((record) => [record.loss, record["val_loss"] ?? Number.NaN]));
      if (given instanceof State) expect(given.item()).toBe(20);
    }
    const [numbers = [], states = []] = losses;
    states.forEach((value, i) => expect(value).toBeCloseTo(numbers[i] ?? Number.NaN, 4));
    expect(Math.abs((numbers[2] ?? 0) - (numbers[0] ?? 0))).toBeGreaterThan(0.1);
  });

  it("names what could be set, also of inner losses, where a tensor is a constant", async () => {
    const inner = new HKRMulticlassLoss({
      alpha: state(scalar(5)),
      minMargin: scalar(1),
      form: "additive",
    });
    const loss = new WeightedLoss(inner);
    for (const parameter of ["alpha", "loss.minMargin"]) {
      const callbacks = [new LossParameterSchedule({ parameter, value: () => 1 })];
      await expect(fit(smallNetwork(), data, options(callbacks, { loss }))).rejects.toThrow(
        `WeightedLoss has no number "${parameter}", nor a 0-d f32 state, that a LossParameterSchedule could set; it has loss.alpha`,
      );
    }
  });

  it.each<[object, RegExp]>([
    [{ parameter: "beta", value: () => 1 }, /HKRMulticlassLoss has no number "beta".*it has alpha, minMargin/],
    [{ parameter: "form", value: () => 1 }, /has no number "form"/],
    [{ parameter: "alpha", value: () => "1" }, /alpha of epoch 1 must be a number; the schedule gave "1"/],
    [{ parameter: "minMargin", value: () => -1 }, /minMargin must be finite and at least 0; given -1/],
    [{ parameter: "alpha" }, /needs the parameter.*and the value/],
    [{ parameter: 1, value: () => 1 }, /needs the parameter/],
  ])("is refused as %o", async (given, message) => {
    const loss = new HKRMulticlassLoss({ alpha: 10 });
    const fitted = async () =>
      await fit(smallNetwork(), data, options([new LossParameterSchedule(given as never)], { loss }));
    await expect(fitted()).rejects.toThrow(message);
  });
});

describe("a callback", () => {
  it("of the library leaves records their metrics' types, which others see", async () => {
    const seen: number[] = [];
    const { epochs } = await fit(smallNetwork(), data, {
      ...{ epochs: 1, batchSize: 10, loss: new CrossEntropyLoss(), optimizer: new SGD({ lr: 0.1 }), verbose: false },
      metrics: { acc: accuracy() },
      callbacks: [
        new EarlyStopping({ monitor: "acc", mode: "max" }),
        new EMA(),
        new LossParameterSchedule({ parameter: "labelSmoothing", value: () => 0.1 }),
        { onEpochEnd: (record) => void seen.push(record.acc) },
      ],
    });
    expect(seen).toEqual(epochs.map(({ acc }) => acc));
  });

  it("takes part in each step, is told what each gave, and when training has ended", async () => {
    const counted = new Parameter(tensor([0]));
    const figures: number[][] = [];
    let ended = 0;
    const callback: Callback = {
      onStep: () => counted.assign(counted.add(1)),
      onEpochEnd: (record, _, { loss }) => {
        figures.push([...(loss ?? [])]);
        expect(record.loss).toBeCloseTo(
          (10 * (loss?.[0] ?? 0) + 10 * (loss?.[1] ?? 0) + 10 * (loss?.[2] ?? 0)) / 30,
          9,
        );
      },
      onTrainingEnd: ({ epochs }) => {
        ended = epochs.length;
      },
    };
    await fit(smallNetwork(), data, options([callback], { epochs: 2 }));
    expect(counted.item()).toBe(6);
    expect(figures.map((row) => row.length)).toEqual([3, 3]);
    expect(ended).toBe(2);
  });
});
