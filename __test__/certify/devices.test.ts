// What certificates make of the self-test of a GPU.
import { TslipError } from "tslip";
import { expect, it } from "vitest";
import { devices, factorOn } from "../../src/device.js";
import type { Arithmetic } from "../../src/native.js";

const NONE: ReadonlySet<string> = new Set();
const [cpu] = devices();

function factor(found: Partial<Arithmetic>, ops: ReadonlySet<string> = NONE): number {
  if (cpu?.arithmetic === undefined) throw new Error("the CPU's arithmetic is known");
  return factorOn({ name: "a GPU", arithmetic: { ...cpu.arithmetic, ...found } }, ops);
}

it("counts each rounding once on a GPU that is as exact as the CPU, fused or not, whatever becomes of residuals", () => {
  expect(factor({})).toBe(1);
  expect(factor({ fused: false, residuals: false, subnormals: true }, new Set(["pow", "exp"]))).toBe(1);
});

it("counts inexact quotients and roots in every layer", () => {
  expect(factor({ divisionUlps: 2.5 })).toBe(5);
  expect(factor({ sqrtUlps: 0.75 }, new Set(["add", "matmul"]))).toBe(2);
});

it("counts inexact functions in the layers that use them, as often as they are less exact than the CPU's", () => {
  expect(factor({ powUlps: 43 })).toBe(1);
  expect(factor({ powUlps: 43 }, new Set(["mul", "pow"]))).toBe(43);
  expect(factor({ expUlps: 1.6, tanhUlps: 2.9 }, new Set(["exp", "tanh"]))).toBe(2);
});

it.each<[string, Partial<Arithmetic>]>([
  ["nearest float", { exact: false }],
  ["order", { ordered: false }],
  ["NaN", { nan: false }],
  ["right digit", { divisionUlps: Number.POSITIVE_INFINITY }],
])("refuses a GPU that does not keep: %s", (word, found) => {
  expect(() => factor(found)).toThrow(TslipError);
  expect(() => factor(found)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  expect(() => factor(found)).toThrow(word);
});

it("refuses a GPU that has not been tested", () => {
  expect(() => factorOn({ name: "a GPU", arithmetic: undefined }, NONE)).toThrow("certify on device");
});
