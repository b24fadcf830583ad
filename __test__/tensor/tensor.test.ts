// Tensors: creation, values, shapes, composite operations, errors.
import { describe, expect, it } from "vitest";
import {
  arange,
  concat,
  eye,
  full,
  manualSeed,
  ones,
  rand,
  randn,
  stack,
  type Tensor,
  TslipError,
  tensor,
  where,
  zeros,
} from "../../src/index.js";

/** float32 rounding of results near 1, with room for a different order of summation. */
const F32_DIGITS = 5;

const list = (t: Tensor): number[] => Array.from(t.dataSync());
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return error.code;
    throw error;
  }
  return "nothing thrown";
};

describe("creation", () => {
  it("takes shape and values from nested arrays", () => {
    const t = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    expect(t.shape).toEqual([2, 3]);
    expect(t.dtype).toBe("f32");
    expect(list(t)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("refuses ragged arrays in every order", () => {
    expect(codeOf(() => tensor([[1, 2], [3]]))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => tensor([[1], 2]))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => tensor([1, [2]]))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => tensor([[[1]], [[]]]))).toBe("SHAPE_MISMATCH");
  });

  it("refuses a shape of another size and fractional extents", () => {
    expect(codeOf(() => tensor([1, 2, 3], [2, 2]))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => tensor([1, 2, 3], [1.5, 2]))).toBe("INVALID_ARGUMENT");
  });

  it("takes the element type of typed arrays and of booleans", () => {
    expect(tensor(Int32Array.of(1)).dtype).toBe("i32");
    expect(tensor(Uint8Array.of(1)).dtype).toBe("u8");
    expect(tensor(Float64Array.of(0.1)).held()[0]).toBe(Math.fround(0.1));
    expect(tensor([true, false]).dtype).toBe("bool");
  });

  it("refuses values that the element type does not have", () => {
    expect(codeOf(() => tensor([1.5], undefined, { dtype: "i32" }))).toBe("DTYPE_MISMATCH");
    expect(codeOf(() => tensor([256], undefined, { dtype: "u8" }))).toBe("DTYPE_MISMATCH");
  });

  it("copies what it is given and what it gives", () => {
    const source = Float32Array.of(1, 2);
    const t = tensor(source);
    source[0] = 9;
    t.data()[1] = 9;
    expect(list(t)).toEqual([1, 2]);
  });

  it("counts as NumPy does", () => {
    expect(list(arange(4))).toEqual([0, 1, 2, 3]);
    expect(list(arange(5, 0, -2))).toEqual([5, 3, 1]);
    expect(arange(0, 1, 0.25).dtype).toBe("f32");
    expect(list(arange(3, 3))).toEqual([]);
    expect(list(eye(2, 3))).toEqual([1, 0, 0, 0, 1, 0]);
    expect(list(zeros([2]).add(ones([2])))).toEqual([1, 1]);
  });

  it("keeps infinite and negative-zero constants", () => {
    expect(list(full([2], Number.NEGATIVE_INFINITY))).toEqual([-Infinity, -Infinity]);
    expect(Object.is(full([1], -0).item(), -0)).toBe(true);
  });

  it("draws the same numbers from the same seed and others from another", () => {
    expect(list(randn([5], { seed: 3 }))).toEqual(list(randn([5], { seed: 3 })));
    expect(list(randn([5], { seed: 3 }))).not.toEqual(list(randn([5], { seed: 4 })));
    expect(list(rand([100], { seed: 1 })).every((x) => x >= 0 && x < 1)).toBe(true);
  });

  it("repeats the seeds it chooses itself after manualSeed", () => {
    manualSeed(7);
    const first = [list(rand([3])), list(rand([3]))];
    manualSeed(7);
    expect([list(rand([3])), list(rand([3]))]).toEqual(first);
    expect(first[0]).not.toEqual(first[1]);
  });
});

describe("errors", () => {
  it("names the op and both shapes, and starts the stack at the caller", () => {
    try {
      ones([2, 3]).add(ones([4]));
      expect.unreachable();
    } catch (error) {
      if (!(error instanceof TslipError)) throw error;
      expect(error.code).toBe("SHAPE_MISMATCH");
      expect(error.op).toBe("add");
      expect(error.shapes).toEqual([[2, 3], [4]]);
      expect(error.stack?.split("\n").find((line) => /^\s+at /.test(line))).toContain("tensor.test.ts");
    }
  });

  it("refuses axes that do not exist or are named twice", () => {
    expect(codeOf(() => ones([2]).sum(1))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => ones([2, 2]).sum([0, -2]))).toBe("INVALID_ARGUMENT");
  });

  it("refuses fractions where positions and counts are asked for, in its own words", () => {
    const x = zeros([4]);
    expect(() => x.slice([0.5])).toThrow(/a position of slice must be a whole number; given 0.5/);
    expect(() => x.pad([-1], [0])).toThrow(/a count of pad must be a whole number >= 0; given -1/);
    expect(() => x.cast("i32").oneHot(2.5)).toThrow(/classes of oneHot must be a whole number >= 1; given 2.5/);
  });

  it("refuses item() of several elements", () => {
    expect(codeOf(() => ones([2]).item())).toBe("SHAPE_MISMATCH");
  });
});

describe("operations", () => {
  it("broadcasts numbers and tensors", () => {
    const x = tensor([[1], [2]])
      .mul(tensor([3, 4]))
      .sub(1);
    expect(x.shape).toEqual([2, 2]);
    expect(list(x)).toEqual([2, 3, 5, 7]);
  });

  it("compares in both directions", () => {
    const x = tensor([1, 2, 3]);
    expect(list(x.greater(2))).toEqual([0, 0, 1]);
    expect(list(x.greaterEqual(2))).toEqual([0, 1, 1]);
    expect(list(x.notEqual(2))).toEqual([1, 0, 1]);
    expect(list(where(x.less(2), -1, x))).toEqual([-1, 2, 3]);
    expect(x.greater(2).any().item()).toBe(1);
    expect(x.greater(2).all().item()).toBe(0);
    expect(list(x.clip(1.5, 2.5))).toEqual([1.5, 2, 2.5]);
  });

  it("slices with negative positions and open ends", () => {
    const x = arange(12).reshape([3, 4]);
    expect(list(x.slice([-1]))).toEqual([8, 9, 10, 11]);
    expect(list(x.slice([0, 1], [2, -1]))).toEqual([1, 2, 5, 6]);
    expect(list(x.slice([0, 0], [1, 4], [1, 2]))).toEqual([0, 2]);
  });

  it("moves axes", () => {
    const x = arange(6).reshape([2, -1]);
    expect(list(x.transpose())).toEqual([0, 3, 1, 4, 2, 5]);
    expect(x.unsqueeze(-1).shape).toEqual([2, 3, 1]);
    expect(x.unsqueeze(0).squeeze(0).shape).toEqual([2, 3]);
    expect(stack([x, x], 1).shape).toEqual([2, 2, 3]);
    expect(list(concat([x, x], -1))).toEqual([0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
    expect(list(x.cast("f32").pad([0, 1], [0, 0]))).toEqual([0, 0, 1, 2, 0, 3, 4, 5]);
  });

  it("sorts and picks", () => {
    const x = tensor([
      [3, 1, 2],
      [5, 5, 4],
    ]);
    const { values, indices } = x.topk(2);
    expect(list(values)).toEqual([3, 2, 5, 5]);
    expect(list(indices)).toEqual([0, 2, 0, 1]);
    expect(list(x.sort(0).values)).toEqual([3, 1, 2, 5, 5, 4]);
    expect(list(x.argmax(1))).toEqual([0, 0]);
    expect(x.argmin().item()).toBe(1);
    expect(list(x.gather(tensor(Int32Array.of(2, 0)), 1))).toEqual([2, 3, 4, 5]);
    expect(list(tensor(Int32Array.of(1, 0)).oneHot(3))).toEqual([0, 1, 0, 1, 0, 0]);
  });

  it("does not overflow in softmax and logsumexp", () => {
    const x = tensor([1000, 1001]);
    expect(x.logsumexp().item()).toBeCloseTo(1001 + Math.log1p(Math.exp(-1)), 2);
    expect(x.softmax().sum().item()).toBeCloseTo(1, F32_DIGITS);
    expect(full([2], Number.NEGATIVE_INFINITY).logsumexp().item()).toBe(Number.NEGATIVE_INFINITY);
    expect(
      list(x.logSoftmax())
        .map(Math.exp)
        .reduce((a, b) => a + b),
    ).toBeCloseTo(1, F32_DIGITS);
  });

  it("multiplies matrices and vectors", () => {
    const a = tensor([
      [1, 2],
      [3, 4],
    ]);
    expect(list(a.matmul(tensor([1, 1])))).toEqual([3, 7]);
    expect(list(tensor([1, 1]).matmul(a))).toEqual([4, 6]);
    expect(tensor([1, 2]).matmul(tensor([3, 4])).shape).toEqual([]);
    expect(list(a.matmul(a, { transposeB: true }))).toEqual([5, 11, 11, 25]);
  });

  it("puts the odd pixel of same padding right and below", () => {
    const image = tensor(
      Float32Array.from({ length: 4 }, (_, i) => i + 1),
      [1, 1, 2, 2],
    );
    expect(list(image.conv2d(ones([1, 1, 2, 2]), { padding: "same" }))).toEqual([10, 6, 7, 4]);
  });

  it("evaluates graphs deeper than the stack", () => {
    let x: Tensor = tensor(0);
    for (let i = 0; i < 20_000; i++) x = x.add(1);
    expect(x.item()).toBe(20_000);
  });

  it("computes data() without blocking and dataSync() at once", async () => {
    const x = tensor([1, 2]).add(1);
    expect(Array.from(await x.data())).toEqual([2, 3]);
    expect(list(x)).toEqual([2, 3]);
  });
});

describe("memory that cannot be had", () => {
  it("is an error of its own, after which the engine goes on", async () => {
    for (const size of [2 ** 41, 2 ** 43]) {
      await expect(zeros([size]).data()).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
      expect(codeOf(() => zeros([size]).dataSync())).toBe("OUT_OF_MEMORY");
    }
    expect(Array.from(await ones([3]).data())).toEqual([1, 1, 1]);
  });
});
