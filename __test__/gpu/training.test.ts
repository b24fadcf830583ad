// Training, prediction and certificates on a GPU beside the CPU's.
import { expect, it } from "vitest";
import {
  Adam,
  accuracy,
  certify,
  evaluate,
  fit,
  HKRMulticlassLoss,
  krMulticlass,
  onDevice,
  type Sequential,
  setDefaultDevice,
} from "../../src/index.js";
import { gpuCounters } from "../../src/native.js";
import { describeGpu } from "./gpu.js";
import { images, network } from "./network.js";

/** Twenty steps of rounding, each amplified by the next: weights are of size 1. */
const AFTER_TWENTY_STEPS = 2e-4;
/** One forward pass; logits are of size 1. */
const OF_LOGITS = 5e-6;

const options = { batchSize: 16, loss: () => new HKRMulticlassLoss({ alpha: 10, minMargin: 0.25 }), verbose: false };

async function trained(
  device: "cpu" | "gpu",
  epochs: number,
  lr = 1e-3,
): Promise<{ model: Sequential; losses: number[] }> {
  const model = network();
  const history = await fit(model, images(80), {
    ...options,
    loss: options.loss(),
    epochs,
    device,
    optimizer: new Adam({ lr }),
    metrics: { acc: accuracy(), KR: krMulticlass() },
  });
  return { model, losses: history.epochs.flatMap(({ loss, KR }) => [loss, KR]) };
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0);
}

describeGpu("training on a GPU", () => {
  it("takes twenty steps as the CPU does, within rounding", async () => {
    const [cpu, gpu] = [await trained("cpu", 4), await trained("gpu", 4)];
    expect(worst(cpu.losses, gpu.losses)).toBeLessThan(AFTER_TWENTY_STEPS);
    const theirs = gpu.model.parameters();
    for (const [i, parameter] of cpu.model.parameters().entries()) {
      expect(worst(parameter.dataSync(), theirs[i]?.dataSync() ?? [])).toBeLessThan(AFTER_TWENTY_STEPS);
    }
  });

  it("gives the same bits each time", async () => {
    const runs = [await trained("gpu", 1), await trained("gpu", 1)];
    const bits = runs.map(({ model }) => model.parameters().map((p) => Array.from(p.dataSync())));
    expect(bits[0]).toEqual(bits[1]);
  });

  it("learns, and the model goes on to the CPU and back", async () => {
    const { model } = await trained("gpu", 12, 2e-2);
    const data = images(40);
    const metrics = { acc: accuracy() };
    const { acc } = await evaluate(model, data, { metrics });
    expect(acc).toBeGreaterThan(0.9);
    expect((await onDevice("gpu", () => evaluate(model, data, { metrics }))).acc).toBe(acc);
  });

  it("predicts as the CPU does, in one call or on the caller's time", async () => {
    const model = network();
    const x = new Float32Array(5 * 64).map((_, i) => Math.abs(Math.sin(i)));
    const input = { data: x, shape: [5, 1, 8, 8] as const };
    const cpu = await model.predict(input);
    const gpu = await onDevice("gpu", () => model.predict(input));
    const sync = onDevice("gpu", () => model.predictSync(input));
    expect(worst(cpu.dataSync(), gpu.dataSync())).toBeLessThan(OF_LOGITS);
    expect(Array.from(sync.dataSync())).toEqual(Array.from(gpu.dataSync()));
  });

  it("puts weights in order once, not for every prediction", async () => {
    const model = network().vanillaExport().eval();
    const x = { data: new Float32Array(64).fill(0.5), shape: [1, 1, 8, 8] as const };
    const kernels: number[] = [];
    for (let call = 0; call < 3; call++) {
      const before = gpuCounters(0).dispatches;
      await onDevice("gpu", () => model.predict(x));
      kernels.push(gpuCounters(0).dispatches - before);
    }
    const [first = 0, second = 0, third = 0] = kernels;
    expect(second).toBeLessThan(first);
    expect(third).toBe(second);
  });

  it("certifies no more than the margin that both devices agree on allows", async () => {
    const { model } = await trained("cpu", 2);
    const x = new Float32Array(6 * 64).map((_, i) => Math.abs(Math.sin(3 * i)));
    const input = { data: x, shape: [6, 1, 8, 8] as const };
    const cpu = await certify(model, input);
    const gpu = await onDevice("gpu", () => certify(model, input));
    for (const [i, { radius, predicted }] of gpu.entries()) {
      expect(predicted).toBe(cpu[i]?.predicted);
      expect(Math.abs(radius - (cpu[i]?.radius ?? Number.NaN))).toBeLessThan(OF_LOGITS);
      const { margin = 0, lipschitz = 1 } = cpu[i] ?? {};
      expect(radius).toBeLessThanOrEqual(margin / (Math.SQRT2 * lipschitz) + OF_LOGITS);
    }
  });

  it("is what the default device says", async () => {
    setDefaultDevice("gpu");
    try {
      const model = network();
      await fit(model, images(16), { ...options, loss: options.loss(), epochs: 1, optimizer: new Adam({ lr: 1e-3 }) });
      expect(model.parameters()[0]?.dataSync().every(Number.isFinite)).toBe(true);
    } finally {
      setDefaultDevice("auto");
    }
  });
});
