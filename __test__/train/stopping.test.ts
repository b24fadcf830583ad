// Callbacks end a training: fit resolves with what has been reached.
import {
  accuracy,
  type Callback,
  CrossEntropyLoss,
  type FitOptions,
  fit,
  type Metrics,
  SGD,
  type TrainingControl,
  TrainingPosition,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork, weightsOf } from "./subset.js";

const SAMPLES = 60;
const BATCH = 20;

function training(callbacks: Callback[], more: Partial<FitOptions<Metrics>> = {}) {
  const model = smallNetwork();
  const position = new TrainingPosition();
  const options = { epochs: 50, batchSize: BATCH, loss: new CrossEntropyLoss(), verbose: false, position };
  const optimizer = new SGD({ lr: 0.1 });
  const history = fit(model, clouds(SAMPLES), { ...options, optimizer, callbacks, ...more });
  return { model, position, history };
}

/** A training of so many steps that nobody stops. */
async function weightsAfter(steps: number, more: Partial<FitOptions<Metrics>> = {}): Promise<number[]> {
  const { model, history } = training([], { ...more, maxSteps: steps });
  await history;
  return weightsOf(model);
}

describe("a callback that stops a training", () => {
  it("at the end of an epoch: fit resolves with the records so far, of validation too", async () => {
    const seen: number[] = [];
    const stops: Callback = {
      onEpochEnd: async ({ epoch }, control) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (epoch === 3) control.stop();
      },
    };
    const other: Callback = { onEpochEnd: ({ epoch }) => void seen.push(epoch) };
    const { model, history } = training([stops, other], { metrics: { acc: accuracy() }, validation: clouds(12, 8) });
    const { epochs } = await history;
    expect(epochs.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    expect(epochs.every(({ val_loss = Number.NaN }) => Number.isFinite(val_loss))).toBe(true);
    expect(seen).toEqual([1, 2, 3]);
    expect(weightsOf(model)).toEqual(await weightsAfter(9));
  });

  it("where the loss no longer falls, as one would write it", async () => {
    let [best, waited] = [Number.POSITIVE_INFINITY, 0];
    const patience: Callback = {
      onEpochEnd({ val_loss = Number.NaN }, { stop }) {
        if (val_loss < best) [best, waited] = [val_loss, 0];
        else waited += 1;
        if (waited === 2) stop();
      },
    };
    // A rate of 0 makes nothing better.
    const { history } = training([patience], { optimizer: new SGD({ lr: 0 }), validation: clouds(12, 8) });
    expect((await history).epochs).toHaveLength(3);
  });

  it("at the beginning of an epoch: none of its steps is made", async () => {
    const { model, position, history } = training([
      { onEpochStart: (epoch, control) => (epoch === 2 ? control.stop() : undefined) },
    ]);
    expect((await history).epochs.map(({ epoch }) => epoch)).toEqual([1]);
    expect(position.steps.item()).toBe(3);
    expect(weightsOf(model)).toEqual(await weightsAfter(3));
  });

  it("in the middle of an epoch: whole steps are kept and counted, and the epoch has no record", async () => {
    let ended = 0;
    const stops: Callback = {
      onProgress: (_step, _total, _values, control) => control.stop(),
      onEpochEnd: () => {
        ended += 1;
      },
    };
    const many = { batchSize: 1, epochs: 1 };
    const data = clouds(60_000);
    const model = smallNetwork();
    const position = new TrainingPosition();
    const options = { ...many, loss: new CrossEntropyLoss(), verbose: false, position };
    const history = await fit(model, data, { ...options, optimizer: new SGD({ lr: 0.01 }), callbacks: [stops] });
    expect(history.epochs).toEqual([]);
    expect(ended).toBe(0);
    const made = position.steps.item();
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(data.length);
    const twin = smallNetwork();
    const again = { ...options, position: new TrainingPosition(), maxSteps: made };
    await fit(twin, data, { ...again, optimizer: new SGD({ lr: 0.01 }) });
    expect(weightsOf(model)).toEqual(weightsOf(twin));
    expect(await fit(model, data, { ...options, maxSteps: made + 5, optimizer: new SGD({ lr: 0.01 }) })).toBeDefined();
    expect(position.steps.item()).toBe(made + 5);
  });

  it("at the last step of an epoch: that one has its record", async () => {
    const { history, position } = training([
      { onProgress: (step, total, _values, control) => (step === total ? control.stop() : undefined) },
    ]);
    expect((await history).epochs.map(({ epoch }) => epoch)).toEqual([1]);
    expect(position.steps.item()).toBe(3);
  });

  it("from outside, with the control that it was given", async () => {
    let kept: TrainingControl | undefined;
    const callback: Callback = {
      onEpochStart: (_epoch, control) => {
        kept = control;
      },
    };
    const { history } = training([callback], { epochs: 10_000_000 });
    setTimeout(() => kept?.stop(), 50);
    const { epochs } = await history;
    expect(epochs.length).toBeGreaterThan(0);
    kept?.stop();
  });

  it("and throws: fit rejects with its error", async () => {
    const reason = new Error("after all");
    const { history } = training([
      { onProgress: (_step, _total, _values, control) => control.stop() },
      {
        onProgress: () => {
          throw reason;
        },
      },
    ]);
    await expect(history).rejects.toBe(reason);
  });

  it("and a signal that is aborted: fit rejects with its reason", async () => {
    const [abort, reason] = [new AbortController(), new Error("away")];
    const { history } = training(
      [
        {
          onProgress: (_step, _total, _values, control) => {
            control.stop();
            abort.abort(reason);
          },
        },
      ],
      { signal: abort.signal },
    );
    await expect(history).rejects.toBe(reason);
  });

  it("ends its own training alone", async () => {
    const model = smallNetwork();
    const options = { epochs: 3, batchSize: BATCH, loss: new CrossEntropyLoss(), verbose: false };
    const optimizer = new SGD({ lr: 0.1 });
    const stops: Callback = { onEpochEnd: (_record, control) => control.stop() };
    const [one, two] = await Promise.all([
      fit(model, clouds(SAMPLES), { ...options, optimizer, callbacks: [stops] }),
      fit(model, clouds(SAMPLES), { ...options, optimizer }),
    ]);
    expect([one.epochs.length, two.epochs.length]).toEqual([1, 3]);
  });
});

it("an epoch of which all steps were made has its record, however late in it the training was stopped", async () => {
  for (let i = 0; i < 30; i++) {
    let control: TrainingControl | undefined;
    const { position, history } = training([
      {
        onEpochStart(_, given) {
          control = given;
        },
      },
    ]);
    for (let turns = 0; turns < i; turns++) await new Promise((resolve) => setImmediate(resolve));
    control?.stop();
    const { epochs } = await history;
    expect(Math.floor(position.steps.item() / (SAMPLES / BATCH))).toBe(epochs.length);
  }
});
