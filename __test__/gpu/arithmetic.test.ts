// How a GPU computes, and certificates on it.
import { expect, it } from "vitest";
import {
  certify,
  devices,
  Module,
  manualSeed,
  onDevice,
  type Rounding,
  randn,
  type Tensor,
  tensor,
} from "../../src/index.js";
import type { Arithmetic } from "../../src/native.js";
import { referenceNetwork, subset } from "../train/subset.js";
import { describeGpu } from "./gpu.js";

const IMAGES = 8;
/** Sums of other orders, and what they do to margins, absolute. */
const OF_RADIUS = 1e-4;

function arithmeticOf(device: string): Arithmetic {
  const found = devices().find((known) => known.device === device)?.arithmetic;
  if (found === undefined) throw new Error(`the arithmetic of ${device} is known`);
  return found;
}

/** The logistic function of each value, whose slope is at most 1/4. */
class Logistic extends Module {
  forward(x: Tensor): Tensor {
    return x.sigmoid();
  }
  override lipschitzBound(): number {
    return 0.25;
  }
  override rounding(results: number): Rounding {
    return { roundings: 8, offset: 0.5 * Math.sqrt(results) };
  }
}

describeGpu("the arithmetic of a GPU", () => {
  it("is exact, in order, and in no function worse than the CPU's", () => {
    const [cpu, gpu] = [arithmeticOf("cpu"), arithmeticOf("gpu:0")];
    expect(gpu).toMatchObject({ exact: true, ordered: true, nan: true });
    const functions = ["division", "sqrt", "exp", "log", "tanh", "sigmoid", "atanh", "pow"] as const;
    for (const name of functions) expect(gpu[`${name}Ulps`], name).toBeLessThanOrEqual(cpu[`${name}Ulps`]);
  });

  it("gives certificates that are those of the CPU but for rounding, for bytes and floats", async () => {
    const { test } = await subset();
    const { images } = await test.batch(0, IMAGES);
    const floats = await images.data();
    const bytes = tensor(
      Uint8Array.from(floats, (value) => Math.round(value * 255)),
      [...images.shape],
    );
    // Its weights are those of one device, as theirs round too.
    const model = referenceNetwork().vanillaExport();
    for (const given of [images, bytes]) {
      const [cpu, gpu] = [await certify(model, given), await onDevice("gpu", () => certify(model, given))];
      expect(gpu.map(({ predicted }) => predicted)).toEqual(cpu.map(({ predicted }) => predicted));
      gpu.forEach(({ radius }, i) => {
        expect(Math.abs(radius - (cpu[i]?.radius ?? Number.NaN))).toBeLessThan(OF_RADIUS);
      });
    }
  });

  it("certifies through a function of its own", async () => {
    manualSeed(1);
    const x = randn([4, 5]);
    const [cpu, gpu] = [await certify(new Logistic(), x), await onDevice("gpu", () => certify(new Logistic(), x))];
    gpu.forEach(({ radius }, i) => {
      expect(radius).toBeGreaterThan(0);
      expect(Math.abs(radius - (cpu[i]?.radius ?? Number.NaN))).toBeLessThan(OF_RADIUS);
    });
  });
});
