// What certificates make of the self-test of a GPU.
import { TslipError } from "tslip";
import { expect, it } from "vitest";
import { devices, factorOn, type Ops } from "../../src/device.js";
import type { Arithmetic } from "../../src/native.js";

/** Ops by their names; the functions among them have no attributes. */
const named = (...names: string[]): Ops => names.map((op) => ({ op, attributes: {} }));
const NONE = named();
const [cpu] = devices();

function factor(found: Partial<Arithmetic>, ops: Ops = NONE): number {
  if (cpu?.arithmetic === undefined) throw new Error("the CPU's arithmetic is known");
  return factorOn({ name: "a GPU", arithmetic: { ...cpu.arithmetic, ...found } }, ops);
}

it("counts each rounding once on a GPU that is as exact as the CPU, fused or not, whatever becomes of residuals", () => {
  expect(factor({})).toBe(1);
  expect(factor({ fused: false, residuals: false, subnormals: true }, named("pow", "exp"))).toBe(1);
});

it("counts inexact quotients and roots in the layers that have them", () => {
  expect(factor({ divisionUlps: 2.5 }, named("add"))).toBe(1);
  expect(factor({ divisionUlps: 2.5 }, named("mul", "div"))).toBe(5);
  expect(factor({ divisionUlps: 2.5 }, named("reciprocal"))).toBe(5);
  const pool: Ops = [{ op: "l2_norm_pool2d", attributes: { kernel: [2, 2], stride: [2, 2] } }];
  expect(factor({ sqrtUlps: 0.75 }, pool)).toBe(2);
});

it("refuses an op that declares nothing of how it rounds, and one that does not exist", () => {
  const random: Ops = [{ op: "random", attributes: { shape: [2], distribution: "uniform", seed: [1, 2] } }];
  expect(() => factor({}, random)).toThrow(/would compute random, of whose rounding nothing is known/);
  expect(() => factor({}, named("spectral_norm"))).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  expect(() => factor({}, named("no such op"))).toThrow(TslipError);
});

it("counts inexact functions in the layers that use them, as often as they are less exact than the CPU's", () => {
  expect(factor({ powUlps: 43 })).toBe(1);
  expect(factor({ powUlps: 43 }, named("mul", "pow"))).toBe(43);
  expect(factor({ expUlps: 1.6, tanhUlps: 2.9 }, named("exp", "tanh"))).toBe(2);
});

it.each<[string, Partial<Arithmetic>, Ops?]>([
  ["nearest float", { exact: false }],
  ["order", { ordered: false }],
  ["NaN", { nan: false }],
  ["right digit", { divisionUlps: Number.POSITIVE_INFINITY }, named("div")],
])("refuses a GPU that does not keep: %s", (word, found, ops = NONE) => {
  expect(() => factor(found, ops)).toThrow(TslipError);
  expect(() => factor(found, ops)).toThrow(expect.objectContaining({ code: "UNSUPPORTED" }));
  expect(() => factor(found, ops)).toThrow(word);
});

it("refuses a GPU that has not been tested", () => {
  expect(() => factorOn({ name: "a GPU", arithmetic: undefined }, NONE)).toThrow("certify on device");
});
