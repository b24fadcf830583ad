// An epoch that goes on in the middle, or whose end was not reported, has the record of the whole epoch.
import {
  accuracy,
  type Callback,
  CrossEntropyLoss,
  EarlyStopping,
  EMA,
  type EpochRecord,
  type FitOptions,
  fit,
  type Metrics,
  ReduceLROnPlateau,
  SGD,
  type StepFigures,
  scalar,
  type Tensor,
  TrainingPosition,
  TrainingState,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork, weightsOf } from "./subset.js";

const [SAMPLES, BATCH, EPOCHS] = [34, 8, 4];
const STEPS = Math.ceil(SAMPLES / BATCH);
const data = clouds(SAMPLES);

type Figures = Record<string, number>;

/** Objects of a training as a program makes them, and what its callbacks are told. */
function fresh(given: Partial<FitOptions<Metrics>> = {}) {
  const [model, position, optimizer] = [smallNetwork(), new TrainingPosition(), new SGD({ lr: 0.5, momentum: 0.9 })];
  const told: Figures[] = [];
  const steps: StepFigures[] = [];
  const look: Callback<Metrics> = {
    onEpochEnd: (record: EpochRecord<Metrics>, _control, ofSteps) => {
      const { seconds: _, imagesPerSecond: __, ...figures } = record;
      told.push(figures);
      steps.push(ofSteps);
    },
  };
  const stopping = new EarlyStopping({ monitor: "loss", patience: 2, minDelta: 0.01, restoreBestWeights: true });
  const plateau = new ReduceLROnPlateau({ monitor: "loss", patience: 0, factor: 0.5, threshold: 0.3 });
  const callbacks = [stopping, plateau, new EMA({ decay: 0.5 }), look];
  const train = (more: Partial<FitOptions<Metrics>> = {}) =>
    fit(model, data, {
      ...{ epochs: EPOCHS, batchSize: BATCH, loss: new CrossEntropyLoss(), metrics: { acc: accuracy() } },
      ...{ optimizer, position, callbacks, verbose: false, ...given, ...more },
    });
  return { model, position, told, steps, train, state: new TrainingState({ model, position, optimizer, callbacks }) };
}

const bits = async ({ state }: ReturnType<typeof fresh>): Promise<Record<string, number[]>> =>
  Object.fromEntries(Object.entries(await state.snapshot()).map(([key, value]) => [key, [...value.held()]]));

const variants: [string, Partial<FitOptions<Metrics>>][] = [
  ["that counts samples alike", {}],
  ["that weighs classes and samples", { classWeights: [1, 2, 0.5], sampleWeights: data.labelsRaw.map((y) => 1 + y) }],
  ["with a metric that is NaN", { metrics: { none: (y: Tensor) => y.stopGradient().mean().mul(Number.NaN) } }],
];

describe.each(variants)("a training %s", (_, options) => {
  it("tells callbacks the same, bit for bit, wherever it was stopped", async () => {
    const whole = fresh(options);
    await whole.train();
    const want = await bits(whole);
    for (let step = 1; step < EPOCHS * STEPS; step++) {
      const [first, second] = [fresh(options), fresh(options)];
      await first.train({ maxSteps: step });
      second.state.restore(await first.state.snapshot());
      await second.train();
      expect([...first.told, ...second.told], `stopped after step ${step}`).toEqual(whole.told);
      expect([...first.steps, ...second.steps]).toEqual(whole.steps);
      expect(await bits(second), `stopped after step ${step}`).toEqual(want);
    }
  });
});

describe("an epoch", () => {
  it("that goes on twice, in the same objects, has the figures of all its steps", async () => {
    const [whole, parts] = [fresh(), fresh()];
    await whole.train({ epochs: 1 });
    for (const maxSteps of [1, 3, STEPS]) await parts.train({ epochs: 1, maxSteps });
    expect(parts.told).toEqual(whole.told);
  });

  it("whose end was not reported is reported by the next fit, once", async () => {
    const validated = { epochs: 2, validation: clouds(12, 3) };
    const [whole, broken] = [fresh(), fresh()];
    await whole.train(validated);
    const reason = new Error("interrupted while the epoch ends");
    const failing: Callback = {
      onProgress: (step, total) => {
        if (step === total) throw reason;
      },
    };
    await expect(broken.train({ ...validated, callbacks: [failing] })).rejects.toBe(reason);
    expect([broken.position.steps.item(), broken.told]).toEqual([STEPS, []]);
    const next = fresh();
    next.state.restore(await broken.state.snapshot());
    const { epochs } = await next.train(validated);
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(next.told).toEqual(whole.told);
    expect(weightsOf(next.model)).toEqual(weightsOf(whole.model));
    expect((await next.train(validated)).epochs).toEqual([]);
    const last = fresh();
    await expect(last.train({ epochs: 1, callbacks: [failing] })).rejects.toBe(reason);
    expect((await last.train({ epochs: 1 })).epochs).toMatchObject([{ epoch: 1, imagesPerSecond: 0 }]);
  });

  it("that its own callback saves is reported already", async () => {
    const one = fresh();
    let saved: Awaited<ReturnType<TrainingState["snapshot"]>> = {};
    const save: Callback = {
      onEpochEnd: async () => {
        saved = await one.state.snapshot();
      },
    };
    await one.train({ epochs: 1, callbacks: [save] });
    const next = fresh();
    next.state.restore(saved);
    await next.train({ epochs: 2 });
    expect(next.told.map(({ epoch }) => epoch)).toEqual([2]);
  });
});

describe("figures that were not kept", () => {
  it("of a place that was assigned, of other batches or metrics, are those of the remaining steps", async () => {
    const assigned = fresh();
    await assigned.train({ maxSteps: STEPS + 2 });
    assigned.position.steps.assign(scalar(2 * STEPS + 3, "i32"));
    await assigned.train({ epochs: 3 });
    expect(assigned.steps.map(({ loss }) => loss?.length)).toEqual([STEPS, STEPS - 3]);
    const other = fresh();
    await other.train({ maxSteps: 2 });
    await other.train({ epochs: 1, batchSize: 4 });
    expect(other.steps[0]?.["loss"]).toHaveLength(Math.ceil(SAMPLES / 4) - 2);
    const unmeasured = fresh();
    await unmeasured.train({ maxSteps: 2 });
    await unmeasured.train({ epochs: 1, metrics: {} });
    expect(unmeasured.steps[0]?.["loss"]).toHaveLength(STEPS - 2);
  });

  it("are none of a snapshot of before, which goes back to where there were none", async () => {
    const one = fresh();
    const before = await one.state.snapshot();
    await one.train({ maxSteps: 2 });
    const after = await bits(one);
    expect(() => one.state.restore({ ...before, stray: scalar(1) })).toThrow(/unexpected keys: stray/);
    expect(await bits(one)).toEqual(after);
    one.state.restore(before);
    expect(Object.keys(await one.state.snapshot())).toEqual(Object.keys(before));
    await one.train({ epochs: 1 });
    expect(one.steps[0]?.["loss"]).toHaveLength(STEPS);
    // At the end of an epoch there are none either.
    expect(Object.keys(await one.state.snapshot())).toEqual(Object.keys(before));
  });
});
