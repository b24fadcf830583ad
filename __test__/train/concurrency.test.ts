// While training runs: the event loop turns, aborts end it, other calls are answered.

import {
  Adam,
  assign,
  CrossEntropyLoss,
  compile,
  fit,
  Linear,
  type Parameter,
  Sequential,
  SGD,
  state,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, referenceNetwork, referenceOptions, smallNetwork, subset, weightsOf } from "./subset.js";

/** An optimizer that adds 1 to every parameter. */
class Counting extends SGD {
  protected override updateOne(parameter: Parameter): void {
    assign(parameter, parameter.add(1));
  }
}

/** Two sums of 256 terms in float32 one after another; neighbouring numbers of steps c differ by 3 / c. */
const ROUNDING = 3e-5;

/** The logit nearest to `logit` of three layers whose weights and biases are all the same whole number; x = 0. */
const logitOf = (c: number, wide: number): number => (c * wide * c + c) * wide * c + c;
const nearest = (logit: number, wide: number): number => {
  const about = Math.cbrt(logit / wide ** 2);
  const candidates = [-1, 0, 1].map((shift) => logitOf(Math.round(about) + shift, wide));
  return candidates.reduce((best, value) => (Math.abs(value - logit) < Math.abs(best - logit) ? value : best), 0);
};

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("while an epoch trains", () => {
  it("timers of 20 ms keep firing, at least half as often as time allows", async () => {
    const { train } = await subset();
    let fired = 0;
    const model = referenceNetwork();
    const options = { ...referenceOptions(), epochs: 1, batchSize: 2000 };
    await fit(model, train.subset(first(2000)), options);
    const timer = setInterval(() => {
      fired += 1;
    }, 20);
    const started = performance.now();
    await fit(model, train, options);
    const elapsed = performance.now() - started;
    clearInterval(timer);
    expect(elapsed).toBeGreaterThan(100);
    expect(fired).toBeGreaterThanOrEqual(elapsed / 20 / 2);
  });

  it("predict, stateDict and vanillaExport answer before it ends, each with the weights of one step", async () => {
    const wide = 256;
    const layer = (input: number, out: number): Linear =>
      new Linear(input, out, {}, { weight: zeros([out, input]), bias: zeros([out]) });
    const model = new Sequential([layer(8, wide), layer(wide, wide), layer(wide, 3)], { constrained: false });
    const train = clouds(2000);
    const controller = new AbortController();
    const loss = new CrossEntropyLoss();
    const options = {
      epochs: 10_000,
      batchSize: 50,
      optimizer: new Counting({ lr: 1 }),
      loss,
      signal: controller.signal,
    };
    let ended = false;
    const training = fit(model, train, options).catch(() => {
      ended = true;
    });
    await pause(50);
    const steps = new Set<number>();
    for (let i = 0; i < 20; i++) {
      // After c steps all parameters are c, in float32 up to rounding.
      const [logit = 0] = (await model.predict(zeros([1, 8]))).held();
      expect(Math.abs(nearest(logit, wide) - logit)).toBeLessThanOrEqual(ROUNDING * logit);
      const dictionary = Object.values(await model.stateDict()).map((value) => value.held()[0]);
      const exported = model
        .vanillaExport()
        .parameters()
        .map((parameter) => parameter.dataSync()[0]);
      for (const values of [dictionary, exported]) expect(new Set(values).size, String(values)).toBe(1);
      steps.add(exported[0] ?? 0);
      await pause(5);
    }
    expect(ended).toBe(false);
    expect(steps.size).toBeGreaterThan(3);
    controller.abort();
    await training;
  });
});

describe("small calls", () => {
  it("let timers fire when they are awaited in a loop", async () => {
    const model = smallNetwork();
    const x = zeros([1, 8]);
    let fired = 0;
    const timer = setInterval(() => {
      fired += 1;
    }, 5);
    const started = performance.now();
    while (performance.now() - started < 200) await model.predict(x);
    clearInterval(timer);
    expect(fired).toBeGreaterThanOrEqual(10);
  });

  it("made after a long one, without awaiting it, see what it has assigned", async () => {
    const count = state(tensor(0));
    const long = compile((x: Tensor) => {
      assign(count, count.add(x.matmul(x).sum().mul(0)).add(1));
      return {};
    });
    const small = compile(() => ({ count }));
    for (let round = 1; round <= 5; round++) {
      const first = long(zeros([400, 400]));
      const second = small();
      expect((await second).count.item()).toBe(round);
      await first;
    }
  });
});

describe("aborting", () => {
  it("rejects with the signal's reason within a step, and the model predicts and trains again", async () => {
    const { train } = await subset();
    const model = referenceNetwork();
    const options = { ...referenceOptions(), epochs: 1, batchSize: 1000 };
    await fit(model, train.subset(first(1000)), options);
    // The slowest of six steps, so that a busy machine is allowed for.
    let slowest = 0;
    let last = performance.now();
    for (let i = 0; i < 6; i++) {
      await fit(model, train.subset(first(1000)), options);
      slowest = Math.max(slowest, performance.now() - last);
      last = performance.now();
    }
    const controller = new AbortController();
    const reason = new Error("stopped by hand");
    const training = fit(model, train, { ...options, epochs: 1000, signal: controller.signal });
    const outcome = training.then(
      () => "ended",
      (error: unknown) => error,
    );
    await pause(2 * slowest);
    const aborted = performance.now();
    controller.abort(reason);
    expect(await outcome).toBe(reason);
    // Two: the timer of a busy event loop may itself be late by as much.
    expect(performance.now() - aborted).toBeLessThan(2 * slowest + 20);

    const logits = await model.predict(tensor(new Float32Array(784), [1, 1, 28, 28]));
    expect(Array.from(logits.held()).every(Number.isFinite)).toBe(true);
    const before = weightsOf(model);
    const { epochs } = await fit(model, train, options);
    expect(Number.isFinite(epochs[0]?.loss)).toBe(true);
    expect(weightsOf(model)).not.toEqual(before);
  });

  it("keeps the steps that were done, whole", async () => {
    // Every step adds 1 to the weight and to its twin: a torn step would leave them apart.
    const model = smallNetwork();
    const [a, b] = [state(tensor(0)), state(tensor(0))];
    const optimizer = new (class extends SGD {
      override begin(): void {
        assign(a, a.add(1));
        assign(b, b.add(1));
      }
    })({ lr: 0.01 });
    const controller = new AbortController();
    const training = fit(model, clouds(6000), {
      epochs: 1000,
      batchSize: 5,
      optimizer,
      loss: new CrossEntropyLoss(),
      verbose: false,
      signal: controller.signal,
    });
    await pause(50);
    controller.abort();
    await expect(training).rejects.toBe(controller.signal.reason);
    expect(a.item()).toBeGreaterThan(0);
    expect(b.item()).toBe(a.item());
  });

  it("ends a training with a schedule too, whose rate is that of a step that was done", async () => {
    const { train } = await subset();
    const controller = new AbortController();
    const reason = new Error("stopped by hand");
    const optimizer = new Adam({ lr: 1 });
    const training = fit(referenceNetwork(), train, {
      ...referenceOptions(),
      epochs: 1000,
      batchSize: 1000,
      optimizer,
      schedule: { at: (step) => ({ lr: 1e-6 * (step + 1) }) },
      signal: controller.signal,
      callbacks: [{ onProgress: (step) => step >= 2 && setTimeout(() => controller.abort(reason), 5) }],
    });
    await expect(training).rejects.toBe(reason);
    const rate = optimizer.rate.item() / 1e-6;
    expect(rate).toBeGreaterThan(1.5);
    expect(rate).toBeCloseTo(Math.round(rate), 3);
  });

  it("before the call changes nothing", async () => {
    const model = smallNetwork();
    const before = weightsOf(model);
    const signal = AbortSignal.abort("never");
    const options = { epochs: 1, batchSize: 10, optimizer: new Adam(), loss: new CrossEntropyLoss(), signal };
    await expect(fit(model, clouds(), { ...options, verbose: false })).rejects.toBe("never");
    expect(weightsOf(model)).toEqual(before);
  });

  it("leaves no listener on the signal", async () => {
    const controller = new AbortController();
    let [added, removed] = [0, 0];
    const { addEventListener, removeEventListener } = controller.signal;
    controller.signal.addEventListener = (...args: Parameters<typeof addEventListener>): void => {
      added += 1;
      addEventListener.apply(controller.signal, args);
    };
    controller.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>): void => {
      removed += 1;
      removeEventListener.apply(controller.signal, args);
    };
    const options = { epochs: 4, batchSize: 10, optimizer: new Adam(), loss: new CrossEntropyLoss(), verbose: false };
    await fit(smallNetwork(), clouds(), { ...options, signal: controller.signal });
    expect(added).toBeGreaterThanOrEqual(4);
    expect(removed).toBe(added);
  });
});

describe("calls made without awaiting", () => {
  it("run in order", async () => {
    const total = state(tensor(1));
    const step = compile((x: Tensor) => {
      assign(total, total.mul(2).add(x));
      return total.mul(1);
    });
    const results = await Promise.all([step(tensor(1)), step(tensor(0)), step(tensor(1))]);
    expect(results.map((value) => value.item())).toEqual([3, 6, 13]);
  });

  it("let two trainings of different models end as each would alone", async () => {
    const options = () => ({
      epochs: 3,
      batchSize: 7,
      optimizer: new Adam({ lr: 0.01 }),
      loss: new CrossEntropyLoss(),
      verbose: false,
    });
    const alone = [smallNetwork(1), smallNetwork(2)];
    for (const model of alone) await fit(model, clouds(), options());
    const together = [smallNetwork(1), smallNetwork(2)];
    await Promise.all(together.map((model) => fit(model, clouds(), options())));
    expect(together.map(weightsOf)).toEqual(alone.map(weightsOf));
  });
});

function first(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
