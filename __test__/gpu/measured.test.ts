// What benches compare steps on a GPU with: its measured peak, and the bytes that kernels are counted to move.
import { expect, it } from "vitest";
import { compile, onDevice, type Tensor, tensor } from "../../src/index.js";
import { type GpuPeak, gpuCounters, gpuPeak } from "../../src/native.js";
import { describeGpu } from "./gpu.js";

/** Measurements beside other work. */
const LIKE = 3;
const BYTES = 4;

/** A tensor that no kernel has to compute. */
function given(...shape: number[]): Tensor {
  return tensor(new Float32Array(shape.reduce((size, extent) => size * extent, 1)), shape);
}

async function moved(fn: (x: Tensor, y: Tensor) => Tensor, x: Tensor, y: Tensor): Promise<number> {
  const before = gpuCounters(0).bytesMoved;
  await onDevice("gpu", () => compile(fn)(x, y));
  return (gpuCounters(0).bytesMoved - before) / BYTES;
}

describeGpu("what is measured of a GPU", () => {
  it("is a peak and a bandwidth that a GPU can have, and found again", () => {
    const [one, other] = [gpuPeak(0), gpuPeak(0)];
    for (const name of ["flops", "bytesPerSecond"] satisfies (keyof GpuPeak)[]) {
      expect(one[name] / other[name]).toBeGreaterThan(1 / LIKE);
      expect(one[name] / other[name]).toBeLessThan(LIKE);
    }
    // From a slow emulator to ten times the fastest of today.
    expect(one.flops).toBeGreaterThan(1e8);
    expect(one.flops).toBeLessThan(1e15);
    expect(one.bytesPerSecond).toBeGreaterThan(1e7);
    expect(one.bytesPerSecond).toBeLessThan(1e14);
  });

  it("is refused for a GPU that is not there", () => {
    expect(() => gpuPeak(99)).toThrow(/no device "gpu:99"/);
    expect(() => gpuPeak(-1)).toThrow(/GPU must be an integer >= 0/);
  });

  it("counts what a kernel reads once and writes once, and nothing for what stays in registers", async () => {
    const x = given(30, 20);
    expect(await moved((a, b) => a.add(b).mul(2).exp(), x, given(30, 20))).toBe(3 * 600);
    expect(await moved((a, b) => a.add(b), x, given(20))).toBe(600 + 20 + 600);
    expect(await moved((a, b) => a.mul(a).add(b), x, given())).toBe(600 + 1 + 600);
    expect(await moved((a, b) => a.matmul(b), x, given(20, 7))).toBe(600 + 140 + 210);
    expect(await moved((a, b) => a.transpose().add(b), x, given(20, 30))).toBe(3 * 600);
  });
});
