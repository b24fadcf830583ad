// Pooling, samplings and lower bounds on a GPU: what the CPU gives, with gradients and certificates.
import { expect, it } from "vitest";
import {
  AvgPool2d,
  certify,
  evaluateLipschitz,
  Flatten,
  grad,
  InvertibleDownSampling,
  InvertibleUpSampling,
  Linear,
  MaxPool2d,
  type Module,
  manualSeed,
  onDevice,
  randn,
  ScaledAdaptiveAvgPool2d,
  ScaledAdaptiveL2NormPool2d,
  ScaledAvgPool2d,
  ScaledL2NormPool2d,
  Sequential,
  type Tensor,
  tensor,
} from "../../src/index.js";
import { describeGpu } from "./gpu.js";

/** Some tens of float32 roundings of numbers of order 1. */
const ROUNDING = 1e-5;
const TIMEOUT = 120_000;

const windows = { kernelSize: 3, stride: 2, padding: 1, ceilMode: true } as const;
const LAYERS: [string, () => Module][] = [
  ["MaxPool2d", () => new MaxPool2d(windows)],
  ["MaxPool2d", () => new MaxPool2d({ ...windows, dilation: [2, 1] })],
  ["AvgPool2d", () => new AvgPool2d({ ...windows, countIncludePad: false })],
  ["ScaledAvgPool2d", () => new ScaledAvgPool2d(windows)],
  ["ScaledL2NormPool2d", () => new ScaledL2NormPool2d(windows)],
  ["ScaledAdaptiveAvgPool2d", () => new ScaledAdaptiveAvgPool2d({ outputSize: [3, 2] })],
  ["ScaledAdaptiveL2NormPool2d", () => new ScaledAdaptiveL2NormPool2d({ outputSize: [3, 2] })],
  ["InvertibleDownSampling", () => new InvertibleDownSampling({ kernelSize: [2, 1], kCoefLip: 0.5 })],
  ["InvertibleUpSampling", () => new InvertibleUpSampling({ kernelSize: 2, kCoefLip: 2 })],
];

/** Pixels with ties, and a corner of zeros. */
function images(): Tensor {
  const shape = [2, 4, 6, 5];
  const values = Float32Array.from(randn(shape, { seed: 3 }).dataSync(), (v, i) =>
    i % 30 < 12 ? Math.round(v) : i % 30 > 25 ? 0 : v,
  );
  return tensor(values, shape);
}

describeGpu("layers of images on a GPU", { timeout: TIMEOUT }, () => {
  it.each(LAYERS)("%s gives values, gradients and second derivatives of the CPU", async (_, build) => {
    const all = async (device: "cpu" | "gpu") =>
      await onDevice(device, async () => {
        const x = images();
        const y = build().forward(x);
        const [first] = grad(y.square().sum(), [x]);
        const [second] = grad(first.mul(x).sum(), [x]);
        return await Promise.all([y, first, second].map(async (value) => [...(await value.data())]));
      });
    const [cpu, gpu] = [(await all("cpu")).flat(), (await all("gpu")).flat()];
    expect(gpu).toHaveLength(cpu.length);
    gpu.forEach((value, i) => {
      expect(Math.abs(value - (cpu[i] ?? Number.NaN))).toBeLessThanOrEqual(
        ROUNDING * Math.max(1, Math.abs(cpu[i] ?? 0)),
      );
    });
  });

  it.each(LAYERS)("%s is certified there with nearly the radius of the CPU", async (_, build) => {
    manualSeed(1);
    const features = build().forward(images()).size / 2;
    const model = new Sequential([build(), new Flatten(), new Linear(features, 3)], { constrained: false });
    const on = async (device: "cpu" | "gpu") => await onDevice(device, () => certify(model, images()));
    const [cpu, gpu] = [await on("cpu"), await on("gpu")];
    gpu.forEach(({ predicted, radius }, i) => {
      expect(predicted).toBe(cpu[i]?.predicted);
      expect(Math.abs(radius - (cpu[i]?.radius ?? Number.NaN))).toBeLessThan(1e-3 * (cpu[i]?.radius ?? 0) + 1e-4);
    });
  });

  it("finds the slopes that the CPU finds", async () => {
    const model = new Sequential([new MaxPool2d(windows), new ScaledL2NormPool2d({ kernelSize: 2 })], {
      constrained: false,
    });
    for (const method of ["jacobian", "noise", "attack"] as const) {
      const options = { method, steps: 5, seed: 2 };
      const on = async (device: "cpu" | "gpu") =>
        await onDevice(device, () => evaluateLipschitz(model, randn([2, 1, 6, 6], { seed: 8 }), options));
      expect(await on("gpu")).toBeCloseTo(await on("cpu"), 3);
    }
  });
});
