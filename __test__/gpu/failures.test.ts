// What may go wrong with a GPU: each is an error that says what to do, and the process and the model live on.
import { expect, it } from "vitest";
import {
  Adam,
  assign,
  CrossEntropyLoss,
  fit,
  full,
  loop,
  onDevice,
  type State,
  scalar,
  setDefaultDevice,
  state,
  type Tensor,
  TslipError,
  zeros,
} from "../../src/index.js";
import { loseGpu } from "../../src/native.js";
import { describeGpu } from "./gpu.js";
import { images, network } from "./network.js";

const WEIGHT = "0.parametrizations.weight.original";

async function refused(run: () => unknown): Promise<TslipError> {
  try {
    await run();
  } catch (error) {
    if (error instanceof TslipError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describeGpu("a GPU that fails", () => {
  it("that does not exist is named, with those that do", async () => {
    const error = await refused(() => setDefaultDevice("gpu:99"));
    expect([error.code, error.message]).toEqual([
      "UNKNOWN_DEVICE",
      expect.stringMatching(/no device "gpu:99".*"gpu:0"|GPUs 0 to/),
    ]);
  });

  it("that has no room says how much was asked for, and works on", async () => {
    await onDevice("gpu", async () => {
      const side = 20_000;
      const error = await refused(() => zeros([side, side]).add(1).data());
      expect([error.code, error.message]).toEqual(["OUT_OF_MEMORY", expect.stringMatching(/MiB .*smaller batch/)]);
      expect(Array.from(await zeros([3]).add(1).data())).toEqual([1, 1, 1]);
    });
  });

  it("that is lost takes only what nobody had read; a checkpoint brings the model back", async () => {
    const train = { batchSize: 8, verbose: false, device: "gpu" as const, epochs: 1 };
    const model = network();
    const options = { ...train, loss: new CrossEntropyLoss(), optimizer: new Adam({ lr: 1e-3 }) };
    await fit(model, images(16), options);
    const checkpoint = await model.stateDict();
    const known = await checkpoint[WEIGHT]?.data();
    await fit(model, images(16), options);
    loseGpu(0);
    const lost = await refused(async () => await model.stateDict().then((state) => state[WEIGHT]?.data()));
    expect([lost.code, lost.message]).toEqual(["DEVICE_LOST", expect.stringMatching(/lost.*checkpoint/)]);
    await model.loadStateDict(checkpoint);
    expect(known).toBeDefined();
    expect(await model.stateDict().then((state) => state[WEIGHT]?.data())).toEqual(known);
    // The device is opened again, the optimizer begins anew.
    await fit(model, images(16), { ...options, optimizer: new Adam({ lr: 1e-3 }) });
    expect((await model.parameters()[0]?.data())?.every(Number.isFinite)).toBe(true);
  });

  it("that is lost ends the jobs under way on it, whose words mean nothing on the one that is opened again", async () => {
    const side = 64;
    const weights = Array.from({ length: 40 }, (_, k) => state(full([side], k)));
    const flags = [0, 1].map(() => state(zeros([], { dtype: "bool" })));
    for (const one of [...weights, ...flags]) await one.data();
    await onDevice("gpu", async () => {
      let lost = false;
      const lose = (step: number): void => {
        if (!lost && step > 20) loseGpu(0);
        lost ||= step > 20;
      };
      const sum = (): Tensor => weights.reduce((all: Tensor, one) => all.add(one), zeros([side]));
      const job = (until: State | undefined) =>
        loop(() => ({ v: sum(), f: until?.cast("f32") ?? zeros([]) }), {
          steps: 3000,
          ...(until === undefined ? {} : { until }),
          onProgress: lose,
        });
      const jobs = [job(flags[0]), job(flags[1])].map((running) =>
        running.then(
          ({ values }) => Array.from(values.v.held()),
          (error: unknown) => (error instanceof TslipError ? error.code : String(error)),
        ),
      );
      const right = Array.from({ length: side }, () => 780);
      for (const ended of await Promise.all(jobs)) expect([right, "DEVICE_LOST"]).toContainEqual(ended);
      expect(lost).toBe(true);
      // The device that was opened again computes what is right.
      expect(Array.from(await sum().data())).toEqual(right);
    });
  });

  it("keeps what a CPU's step has set by a table, where that fails: the newest value, which the GPU had", async () => {
    const [rate, x] = [state(scalar(1)), state(zeros([400, 400]))];
    await onDevice("gpu", () => loop(() => assign(rate, rate.add(41)), { steps: 1 }));
    const control = new AbortController();
    const tables = [{ state: rate, values: new Float32Array(5000).fill(7) }];
    const running = onDevice("cpu", () =>
      loop(() => assign(x, x.matmul(x)), { steps: 5000, signal: control.signal, tables }),
    );
    control.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    // No step was made, or some.
    expect([42, 7]).toContain(rate.item());
  });

  it("stops within a step of an abort, and keeps the last whole step", async () => {
    const model = network();
    const control = new AbortController();
    const running = fit(model, images(64), {
      epochs: 1000,
      batchSize: 8,
      verbose: false,
      device: "gpu",
      loss: new CrossEntropyLoss(),
      optimizer: new Adam({ lr: 1e-3 }),
      signal: control.signal,
      callbacks: [{ onEpochEnd: () => control.abort(new Error("enough")) }],
    });
    await expect(running).rejects.toThrow("enough");
    expect((await model.parameters()[0]?.data())?.every(Number.isFinite)).toBe(true);
  });
});
