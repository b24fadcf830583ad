// Where "auto" trains: which GPUs are considered, what speaks against them, and what is printed.
import { Adam, CrossEntropyLoss, type FitOptions, fit, onDevice, type PowerPreference, setDefaultDevice } from "tslip";
import { afterEach, describe, expect, it, vi } from "vitest";
import { byPreference, currentDevice } from "../../src/device.js";
import { type Gpu, gpuCounters, gpus, multiplyAddPeak } from "../../src/native.js";
import { best, type Estimate, rateOf } from "../../src/train/choose.js";
import { describeGpu } from "./gpu.js";
import { images, network } from "./network.js";

interface Pretended {
  /** What the machine has. */
  gpus: ((real: Gpu[]) => Gpu[]) | undefined;
  /** FLOP/s of its CPU. */
  peak: number | undefined;
  /** Whether every GPU counts as being there. */
  opens: boolean;
}

const pretended = vi.hoisted((): Pretended => ({ gpus: undefined, peak: undefined, opens: false }));

vi.mock("../../src/native.js", async (original) => {
  const native = await original<typeof import("../../src/native.js")>();
  return {
    ...native,
    gpus: (test: boolean) => pretended.gpus?.(native.gpus(test)) ?? native.gpus(test),
    checkGpu: (index: number) => (pretended.opens ? undefined : native.checkGpu(index)),
    multiplyAddPeak: () => pretended.peak ?? native.multiplyAddPeak(),
  };
});

const realGpus = gpus(false).length > 0;

/** The products that measure a GPU take a software one seconds, and many beside other load. */
vi.setConfig({ testTimeout: 120_000 });

/** FLOP/s of a CPU that any GPU surpasses, and of one that none does. */
const [SLOW, FAST] = [1, 1e18];

const HARDWARE: Gpu = {
  name: "a GPU of hardware",
  backend: "vulkan",
  driver: "",
  kind: "discrete",
  memory: 2 ** 32,
  limits: { bufferBytes: 2 ** 32, bindingBytes: 2 ** 32, workgroupBytes: 2 ** 15, workgroupInvocations: 1024 },
  timestamps: false,
  arithmetic: undefined,
  error: undefined,
};

/** Trains for one epoch; what was printed of the device, and how many kernels gpu:0 has run. */
async function trained(options: Pick<FitOptions<Record<never, never>>, "device" | "validation"> = {}) {
  const printed: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => printed.push(String(text)) > 0);
  const progress = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  const count = (): number => (realGpus ? gpuCounters(0).dispatches : 0);
  const before = count();
  try {
    const loss = new CrossEntropyLoss();
    await fit(network(), images(16), { epochs: 1, batchSize: 8, loss, optimizer: new Adam({ lr: 1e-3 }), ...options });
  } finally {
    write.mockRestore();
    progress.mockRestore();
  }
  return { said: printed.find((line) => line.startsWith("Training on")), kernels: count() - before };
}

afterEach(() => {
  Object.assign(pretended, { gpus: undefined, peak: undefined, opens: false });
  setDefaultDevice("auto");
});

describe("the order of GPUs", () => {
  const kinds = ["discrete", "discrete", "integrated", "virtual", "software", "integrated"];

  it("is discrete, integrated and the rest for high performance, integrated first for low power, software last", () => {
    expect(byPreference(kinds, "high-performance")).toEqual([0, 1, 2, 5, 3, 4]);
    expect(byPreference(kinds, "low-power")).toEqual([2, 5, 0, 1, 3, 4]);
    expect(byPreference(["software", "discrete"], "low-power")).toEqual([1, 0]);
    expect(byPreference([], "low-power")).toEqual([]);
  });

  it("says which of them the name gpu means from now on; numbers mean what they meant", () => {
    pretended.gpus = () => [HARDWARE, { ...HARDWARE, kind: "integrated" }];
    pretended.opens = true;
    setDefaultDevice("gpu", { powerPreference: "low-power" });
    expect([currentDevice(), onDevice("gpu", currentDevice), onDevice("gpu:0", currentDevice)]).toEqual([
      "gpu:1",
      "gpu:1",
      "gpu:0",
    ]);
    setDefaultDevice("cpu", { powerPreference: "low-power" });
    expect([currentDevice(), onDevice("gpu", currentDevice)]).toEqual(["cpu", "gpu:1"]);
    setDefaultDevice("gpu");
    expect([currentDevice(), onDevice("gpu", currentDevice)]).toEqual(["gpu:0", "gpu:0"]);
  });

  it("is one of two: another is refused and changes nothing, like a device that does not exist", () => {
    pretended.gpus = () => [HARDWARE, { ...HARDWARE, kind: "integrated" }];
    pretended.opens = true;
    setDefaultDevice("gpu", { powerPreference: "low-power" });
    const unknown: { powerPreference?: PowerPreference } = JSON.parse('{ "powerPreference": "fast" }');
    expect(() => setDefaultDevice("cpu", unknown)).toThrow(
      /"low-power" or "high-performance"; given "fast" \(a string\)/,
    );
    pretended.opens = false;
    expect(() => setDefaultDevice("gpu:99")).toThrow(/gpu:99|no GPU was found/);
    expect([currentDevice(), onDevice("gpu", currentDevice)]).toEqual(["gpu:1", "gpu:1"]);
  });
});

describe("the best device", () => {
  const gpu = (n: number, step: number | string): Estimate => ({ device: `gpu:${n}`, name: `GPU ${n}`, step });

  it("is the GPU with the shortest step of all, wherever it stands", async () => {
    const choice = await best(1, [gpu(0, 0.5), gpu(1, "too small"), gpu(2, 0.25)], "high-performance");
    expect(choice).toEqual({ device: "gpu:2", reason: "GPU 2 is expected to be faster than the CPU" });
  });

  it("is for low power the first GPU that is faster than the CPU, and no further one is looked at", async () => {
    function* lazily(): Generator<Estimate> {
      yield gpu(1, 2);
      yield gpu(2, 0.5);
      throw new Error("opened");
    }
    expect((await best(1, lazily(), "low-power")).device).toBe("gpu:2");
  });

  it("is the CPU where no GPU can or is faster, with what speaks against each", async () => {
    const choice = await best(1, [gpu(0, "it is lost"), gpu(1, 1)], "high-performance");
    expect(choice).toEqual({ device: "cpu", reason: "GPU 0: it is lost; GPU 1 is expected to be slower" });
    expect(await best(1, [], "low-power")).toEqual({ device: "cpu", reason: "" });
  });
});

describe("fit on auto", () => {
  it("says nothing of devices where there is no GPU", async () => {
    pretended.gpus = () => [];
    expect((await trained()).said).toBeUndefined();
  });

  it("trains on the CPU where the GPU cannot be opened, and says why in one line", async () => {
    // Number 8 is the only one of hardware, and does not exist.
    pretended.gpus = () => [...Array<Gpu>(8).fill({ ...HARDWARE, kind: "software" }), HARDWARE];
    pretended.peak = SLOW;
    expect((await trained()).said).toMatch(
      /^Training on cpu: a GPU of hardware: (there is no device|no GPU was found).*\n$/,
    );
  });

  it("is never on a GPU in software", async () => {
    pretended.gpus = () => [{ ...HARDWARE, kind: "software", name: "llvmpipe" }];
    pretended.peak = SLOW;
    expect((await trained()).said).toBe("Training on cpu: llvmpipe is a GPU in software\n");
  });
});

describeGpu("fit on auto, with a GPU", () => {
  /** The real GPU, as one of hardware. */
  const asHardware =
    (change: Partial<Gpu> = {}) =>
    (real: Gpu[]): Gpu[] =>
      real.slice(0, 1).map((gpu) => ({ ...gpu, name: HARDWARE.name, kind: "discrete", ...change }));

  it("trains on the GPU that is expected to be faster, and says so", async () => {
    [pretended.gpus, pretended.peak] = [asHardware(), SLOW];
    const { said, kernels } = await trained({ validation: images(8) });
    expect(said).toBe("Training on gpu:0: a GPU of hardware is expected to be faster than the CPU\n");
    expect(kernels).toBeGreaterThan(0);
  });

  it("is measured by products that it computes, each of them", async () => {
    const rate = await rateOf("gpu:0");
    expect(rate).toBeGreaterThan(1e6);
    // A GPU in software has no more than the processor has.
    expect(rate).toBeLessThan(gpus(false)[0]?.kind === "software" ? multiplyAddPeak() : 1e16);
  });

  it("trains on the CPU where that is expected to be faster", async () => {
    [pretended.gpus, pretended.peak] = [asHardware(), FAST];
    expect((await trained()).said).toBe("Training on cpu: a GPU of hardware is expected to be slower\n");
  });

  it("trains on the CPU where training or validation would not fit the GPU", async () => {
    const tight = 2 ** 19;
    [pretended.gpus, pretended.peak] = [asHardware({ memory: tight }), SLOW];
    expect((await trained()).said).toMatch(/^Training on gpu:0/);
    const { said, kernels } = await trained({ validation: images(400) });
    expect(said).toMatch(/^Training on cpu: a GPU of hardware: training needs \d+ MiB of its \d+ MiB\n$/);
    expect(kernels).toBe(0);
  });

  it("is what an explicit auto means, whatever the default device is", async () => {
    setDefaultDevice("gpu");
    pretended.gpus = (real) => real.map((gpu) => ({ ...gpu, kind: "software" }));
    expect((await trained({ device: "auto" })).kernels).toBe(0);
    expect((await onDevice("auto", () => trained())).kernels).toBe(0);
    expect((await trained()).kernels).toBeGreaterThan(0);
    [pretended.gpus, pretended.peak] = [asHardware(), SLOW];
    setDefaultDevice("cpu");
    expect((await onDevice("auto", () => trained())).kernels).toBeGreaterThan(0);
    expect((await onDevice("cpu", () => trained({ device: "auto" }))).kernels).toBeGreaterThan(0);
    expect((await trained()).kernels).toBe(0);
  });
});
