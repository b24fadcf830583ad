// Messages: what they say of values, how long they are, and where errors inside a model point.
import { Module, Sequential, SpectralLinear, type Tensor, TslipError, tensor, zeros } from "tslip";
import { describe, expect, it } from "vitest";
import { describe as describeValue, list } from "../../src/describe.js";
import { samples } from "./mistake.js";

class Wrong extends Module {
  forward(x: Tensor): Tensor {
    return x.add(zeros([7]));
  }
}

function refusal(call: () => unknown): TslipError {
  try {
    call();
  } catch (error) {
    if (error instanceof TslipError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("a value", () => {
  it.each<[unknown, string]>([
    [5, "5"],
    [-0, "-0"],
    [Number.NaN, "NaN"],
    [undefined, "undefined"],
    [null, "null"],
    [true, "true"],
    [5n, "5n (a BigInt)"],
    ["6", '"6" (a string)'],
    [Symbol("s"), "Symbol(s)"],
    [[2, "3", 4n], '[2, "3", 4n]'],
    [[], "[]"],
    [Array.from({ length: 180_000 }, () => 0), "an array of 180,000 numbers"],
    [[1, undefined, 2, 3, 4, 5, 6, 7, 8], "an array of 9 values"],
    [new Float32Array(1000), "a Float32Array of 1,000 numbers"],
    [new DataView(new ArrayBuffer(4)), "a DataView"],
    [tensor([[1, 2]]), "a tensor f32 [1, 2]"],
    [samples(), "a Dataset"],
    [Sequential, "the class Sequential"],
    [Math.max, "the function max"],
    [() => 1, "a function"],
    [Promise.resolve(1), "a Promise, which has to be awaited first"],
    [{}, "{}"],
    [{ lr: 1, momentum: 2 }, "{ lr, momentum }"],
    [Object.create(null), "{}"],
  ])("%o is described as %s", (value, text) => {
    expect(describeValue(value)).toBe(text);
  });

  it("is described in a line however large it is", () => {
    const long = "x".repeat(1e6);
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`${long.slice(0, 100)}${i}`, i]));
    for (const value of [long, BigInt(`1${"0".repeat(1e4)}`), Array(8).fill(long), wide, Symbol(long)]) {
      expect(describeValue(value).length).toBeLessThan(400);
    }
    expect(list([1, 2, 3], 2)).toBe("1, 2, … (3 in all)");
  });
});

describe("a message", () => {
  it("has 400 characters at most, of which the last ones say what to do", () => {
    const { message, stack } = new TslipError("INVALID_ARGUMENT", `given ${"x".repeat(1e6)}; do something else`);
    expect(message).toHaveLength(400);
    expect(message).toMatch(/^given x+ … x+; do something else$/);
    expect(stack?.split("\n")[0]).toBe(`TslipError [INVALID_ARGUMENT]: ${message}`);
    expect(new TslipError("IO", "y".repeat(400)).message).toBe("y".repeat(400));
  });

  it("names a layer by its path once, and its stack begins where the layer was at fault", () => {
    const model = new Sequential([new Sequential([new Wrong()], { constrained: false })], { constrained: false });
    const error = refusal(() => model.predictSync(zeros([2, 4])));
    expect(error.message).toMatch(/^layer 0\.0 \(Wrong\): [^(]*$/);
    expect(error.shapes).toEqual([[2, 4], [7]]);
    expect(error.stack).toMatch(
      /^TslipError \[SHAPE_MISMATCH\]: layer 0\.0 \(Wrong\): .*\n\s+at Wrong\.forward .*messages\.test\.ts/,
    );
  });

  it("of a layer in a list of many says which", () => {
    const layers = Array.from({ length: 12 }, (_, i) => new SpectralLinear(i === 11 ? 5 : 4, 4));
    expect(refusal(() => new Sequential(layers).predictSync(zeros([1, 4]))).message).toMatch(
      /^layer 11 \(SpectralLinear\): /,
    );
  });
});
