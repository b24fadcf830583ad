// What was begun on a device ends there, whatever becomes the default meanwhile; certificates count its rounding.
import {
  Adam,
  CrossEntropyLoss,
  certify,
  Flatten,
  fit,
  fromArrays,
  L2CarliniWagnerAttack,
  onDevice,
  Sequential,
  setDefaultDevice,
} from "tslip";
import { afterEach, expect, it, vi } from "vitest";
import { currentDevice, type Ops, roundingFactors } from "../../src/device.js";
import { type Arithmetic, gpuCounters } from "../../src/native.js";
import { codeOf } from "../train/subset.js";
import { describeGpu } from "./gpu.js";
import { images, network } from "./network.js";

const pretended = vi.hoisted((): { arithmetic: Partial<Arithmetic>; opened: number } => ({
  arithmetic: {},
  opened: 0,
}));

vi.mock("../../src/native.js", async (original) => {
  const native = await original<typeof import("../../src/native.js")>();
  return {
    ...native,
    gpus: (test: boolean) => {
      if (test) pretended.opened += 1;
      return native.gpus(test);
    },
    gpuArithmetic: async (index: number) => ({ ...(await native.gpuArithmetic(index)), ...pretended.arithmetic }),
  };
});

afterEach(() => {
  Object.assign(pretended, { arithmetic: {}, opened: 0 });
  setDefaultDevice("auto");
});

/** Calls `begin` where the GPU is the default device, and makes the CPU the default while it is under way. */
function leaving<T>(begin: () => Promise<T>): Promise<T> {
  setDefaultDevice("gpu");
  const pending = begin();
  setDefaultDevice("cpu");
  return pending;
}

describeGpu("a certificate that a GPU computes", () => {
  const model = network();
  const input = { data: new Float32Array(3 * 64).map((_, i) => Math.abs(Math.sin(i))), shape: [3, 1, 8, 8] as const };

  it("counts that GPU's rounding, whatever becomes the default while it is pending", async () => {
    pretended.arithmetic = { sqrtUlps: 1000 };
    const cpu = await certify(model, input);
    const gpu = await onDevice("gpu", () => certify(model, input));
    expect(await leaving(() => certify(model, input))).toEqual(gpu);
    expect(gpu.every(({ radius }, i) => radius < (cpu[i]?.radius ?? 0))).toBe(true);
  });

  it("is refused where sums are not exact, of a model too that computes nothing", async () => {
    pretended.arithmetic = { exact: false };
    const batch = images(4).batch(0).images;
    // Bounds that are known already are those of a device that was found to be exact.
    for (const refused of [network(), new Sequential([new Flatten()])]) {
      expect(await codeOf(() => leaving(() => certify(refused, batch)))).toBe("UNSUPPORTED");
    }
  });

  it("asks that GPU alone; one that does not exist has no rounding at all", async () => {
    const none: Ops = [];
    expect([(await roundingFactors("cpu"))(none), (await roundingFactors("gpu:0"))(none)]).toEqual([1, 1]);
    expect(await codeOf(() => roundingFactors("gpu:99"))).toBe("UNKNOWN_DEVICE");
    expect(pretended.opened).toBe(0);
  });
});

describeGpu("what was begun on a GPU ends there", () => {
  it("an attack", async () => {
    const steps = 10;
    const { images: pixels, labels } = images(4).batch(0);
    const before = gpuCounters(0).submits;
    await leaving(() =>
      new L2CarliniWagnerAttack({ binarySearchSteps: 1, steps, abortEarly: false }).run(network(), pixels, labels),
    );
    expect(gpuCounters(0).submits - before).toBeGreaterThanOrEqual(steps);
  });

  it("a training with its callbacks and validations", async () => {
    const seen: string[] = [];
    await leaving(() =>
      fit(network(), images(16), {
        epochs: 2,
        batchSize: 8,
        validation: images(8),
        loss: new CrossEntropyLoss(),
        optimizer: new Adam({ lr: 1e-3 }),
        verbose: false,
        callbacks: [{ onEpochEnd: () => void seen.push(currentDevice()) }],
      }),
    );
    expect(seen).toEqual(["gpu:0", "gpu:0"]);
  });

  it("the search for an image of each class", async () => {
    const seen: string[] = [];
    const count = 600;
    const data = fromArrays(
      new Uint8Array(count),
      [count, 1],
      Array.from({ length: count }, (_, i) => (i === count - 1 ? 1 : 0)),
    );
    const classify = async (batch: { shape: readonly number[] }): Promise<number[]> => {
      seen.push(currentDevice());
      const [size = 0] = batch.shape;
      return Array.from({ length: size }, (_, i) => (size < 512 && i === size - 1 ? 1 : 0));
    };
    expect((await leaving(() => data.onePerClass({ classify }))).labels).toEqual(Int32Array.from([0, 1]));
    expect(seen).toEqual(["gpu:0", "gpu:0"]);
  });
});
