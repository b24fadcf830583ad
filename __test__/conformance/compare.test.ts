// The rule of acceptance: |got - want| <= atol + rtol |want|, and what it means where numbers are not finite.
import { describe, expect, it } from "vitest";
import type { Case, Numbers } from "../../conformance/case.js";
import { differences, mistakes } from "../../conformance/compare.js";

const numbers = (...data: number[]): Numbers => ({ shape: [data.length], data: Float64Array.from(data) });
const tolerance = { rtol: 0.01, atol: 0.5 };
const off = (want: Numbers, got: Numbers | undefined) => differences("y", want, got, tolerance);
const caseOf = (fields: Partial<Case>): Case => ({
  name: "a",
  config: {},
  inputs: {},
  outputs: {},
  grads: {},
  referenceDefect: false,
  ties: false,
  lipschitz: undefined,
  ...tolerance,
  ...fields,
});
const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

describe("A value", () => {
  it("is right up to and including atol + rtol |want|", () => {
    expect(off(numbers(-100), numbers(-101.5))).toEqual([]);
    expect(off(numbers(-100), numbers(-101.5001))).toHaveLength(1);
  });

  it("is right without room only where it is the same", () => {
    const exact = { rtol: 0, atol: 0 };
    expect(differences("y", numbers(0, 2), numbers(-0, 2), exact)).toEqual([]);
    expect(differences("y", numbers(0), numbers(Number.MIN_VALUE), exact)).toHaveLength(1);
  });

  it.each([
    [inf, 3],
    [-inf, inf],
    [inf, nan],
    [nan, 3],
    [3, nan],
    [3, inf],
  ])("of %d is not answered by %d", (want, got) => {
    expect(off(numbers(want), numbers(got))).toHaveLength(1);
  });

  it.each([inf, -inf, nan])("of %d is answered by itself", (want) => {
    expect(off(numbers(want), numbers(want))).toEqual([]);
  });

  it("needs the shape, not only the number of entries", () => {
    const row = { shape: [1, 2], data: Float64Array.of(1, 2) };
    expect(off(row, numbers(1, 2))).toEqual(["y has shape [2], expected [1, 2]"]);
    expect(off(row, undefined)).toEqual(["y was not computed"]);
  });

  it("is reported by the entry that is furthest off for its room, with its indices", () => {
    const want = { shape: [2, 2], data: Float64Array.of(1000, 0, 0, 0) };
    const got = { shape: [2, 2], data: Float64Array.of(1011, 0, 2, 0.6) };
    expect(off(want, got)).toEqual(["y[1, 0]: got 2, wanted 0, allowed 5.0e-1, the worst of 3 of 4 entries"]);
  });
});

describe("A case", () => {
  it("is wrong when an expected output or gradient is missing", () => {
    const c = caseOf({ outputs: { y: numbers(1) }, grads: { x: numbers(1) } });
    expect(mistakes(c, { outputs: {} })).toEqual(["y was not computed", "gradient of x was not computed"]);
    expect(mistakes(c, { outputs: { y: numbers(1) }, grads: { x: numbers(1) } })).toEqual([]);
  });

  it("is wrong when its topic says so, whatever the values", () => {
    const c = caseOf({ outputs: { y: numbers(1) } });
    expect(mistakes(c, { outputs: { y: numbers(1) }, failures: ["too low"] })).toEqual(["too low"]);
  });

  it("at a tie takes any finite subgradient of the right shape, and no other value", () => {
    const c = caseOf({ outputs: { y: numbers(1) }, grads: { x: numbers(1, 0) }, ties: true });
    expect(mistakes(c, { outputs: { y: numbers(1) }, grads: { x: numbers(0, 9) } })).toEqual([]);
    expect(mistakes(c, { outputs: { y: numbers(1) }, grads: { x: numbers(0, nan) } })).toHaveLength(1);
    expect(mistakes(c, { outputs: { y: numbers(1) }, grads: { x: numbers(9) } })).toHaveLength(1);
    expect(mistakes(c, { outputs: { y: numbers(9) }, grads: { x: numbers(1, 0) } })).toHaveLength(1);
  });

  it("without a right value takes any that is finite, but not nothing", () => {
    const c = caseOf({ referenceDefect: true });
    expect(mistakes(c, { outputs: { w: numbers(0, 7) } })).toEqual([]);
    expect(mistakes(c, { outputs: { w: numbers(0, inf) } })).toEqual(["w is not finite"]);
    expect(mistakes(c, { outputs: {} })).toEqual(["nothing was computed"]);
  });

  it("does not pass on outputs that were not compared alone", () => {
    const c = caseOf({ outputs: { y: numbers(1), z: numbers(2) } });
    expect(mistakes(c, { outputs: { y: numbers(1) }, notCompared: ["z"] })).toEqual([]);
    expect(mistakes(c, { outputs: {}, notCompared: ["y", "z"] })).toEqual(["no output was compared"]);
  });
});
