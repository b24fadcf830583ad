// What devices() says of the CPU and of GPUs, and what the engine says of a plan on a GPU.
import { totalmem } from "node:os";
import { type Device, devices, onDevice, ones, setDefaultDevice, state, type Tensor } from "tslip";
import { describe, expect, it } from "vitest";
import { currentDevice } from "../../src/device.js";
import { engine } from "../../src/native.js";
import { Program } from "../../src/tensor/compile.js";
import { codeOf } from "../train/subset.js";
import { describeGpu } from "./gpu.js";

const SIDE = 64;
const FLOAT32 = 4;

/** x W, with something that lies in memory between. */
function recorded(device: "cpu" | "gpu"): Program<Tensor> {
  const weight = state(ones([SIDE, SIDE]));
  const spec = { shape: [2 * SIDE, SIDE], dtype: "f32" as const };
  return onDevice(device, () => Program.record((x: Tensor) => x.matmul(weight).matmul(weight).sum(), [spec]));
}

describe("devices()", () => {
  it("begins with the CPU, which has the memory of the machine and no limits", () => {
    const [cpu] = devices();
    expect(cpu).toMatchObject({ device: "cpu", kind: "cpu", memory: totalmem(), limits: undefined, timestamps: true });
  });

  it.each(["tpu", "gpu:", "gpu:00", "gpu:-1", "gpu:1e1", `gpu:${"9".repeat(20)}`, ""])(
    'has none of the name "%s", which is refused and changes nothing',
    async (name) => {
      expect(await codeOf(() => setDefaultDevice(name as Device))).toBe("UNKNOWN_DEVICE");
      expect(currentDevice()).toBe("cpu");
    },
  );

  it("tells of a plan of the CPU that it takes no memory of a GPU", async () => {
    expect(await codeOf(() => engine().footprint(recorded("cpu").plan))).toBe("INVALID_ARGUMENT");
  });
});

describeGpu("a GPU", () => {
  it("is listed with name, backend, driver, limits, and the largest array as the memory that tensors may take", () => {
    const gpu = devices().find(({ device }) => device === "gpu:0");
    if (gpu?.limits === undefined) throw new Error("a GPU has limits");
    const { bufferBytes, bindingBytes, workgroupBytes, workgroupInvocations } = gpu.limits;
    for (const text of [gpu.name, gpu.backend, gpu.driver, gpu.kind]) expect(text).not.toBe("");
    expect(gpu.memory).toBeGreaterThan(0);
    expect(gpu.memory).toBeLessThanOrEqual(Math.min(bufferBytes, bindingBytes));
    expect(workgroupBytes).toBeGreaterThanOrEqual(16 * 1024);
    expect(workgroupInvocations).toBeGreaterThanOrEqual(256);
    expect(typeof gpu.timestamps).toBe("boolean");
  });

  it("says what a plan takes there: inputs, states, and the arena that explain() shows", () => {
    const program = recorded("gpu");
    const { own, states, arena } = engine().footprint(program.plan);
    expect([own, states]).toEqual([FLOAT32 * 2 * SIDE * SIDE, FLOAT32 * SIDE * SIDE]);
    expect(arena).toBeGreaterThanOrEqual(FLOAT32 * 2 * SIDE * SIDE);
    expect(program.explain()).toContain(`arena ${(arena / 2 ** 20).toFixed(1)} MiB`);
  });
});
