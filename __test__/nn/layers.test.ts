// Layers: effective weights, bounds, GroupSort, pooling, options that are refused.
import { describe, expect, it } from "vitest";
import {
  Conv2d,
  compile,
  eye,
  GroupSort,
  GroupSort2,
  grad,
  Linear,
  randn,
  ScaledL2NormPool2d,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
  TslipError,
  tensor,
  zeros,
} from "../../src/index.js";

/** Björck's last iteration leaves singular values within 2e-6 of 1; f32 sums over rows add as much. */
const ORTHOGONAL = 1e-5;

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
const largestGap = (a: Tensor, b: Tensor): number => a.sub(b).abs().max().item();

describe("SpectralLinear", () => {
  it("has orthonormal rows whatever its weight is", () => {
    const layer = new SpectralLinear(7, 4);
    layer.weight.assign(randn([4, 7], { seed: 1 }).mul(30));
    const w = layer.effectiveWeight();
    const identity = tensor([
      [1, 0, 0, 0],
      [0, 1, 0, 0],
      [0, 0, 1, 0],
      [0, 0, 0, 1],
    ]);
    expect(largestGap(w.matmul(w, { transposeB: true }), identity)).toBeLessThan(ORTHOGONAL);
  });

  it("is bounded by kCoefLip beyond rounding", () => {
    const bound = new SpectralLinear(5, 9, { kCoefLip: 2.5 }).lipschitzBound();
    expect(bound / 2.5).toBeGreaterThan(1 - ORTHOGONAL);
    expect(bound / 2.5).toBeLessThan(1 + ORTHOGONAL);
  });

  it("gives a zero weight and a zero gradient for a zero weight", () => {
    const layer = new SpectralLinear(3, 2);
    layer.weight.assign(zeros([2, 3]));
    const [g] = grad(layer.forward(randn([4, 3], { seed: 2 })).sum(), [layer.weight]);
    expect(list(layer.effectiveWeight())).toEqual([0, 0, 0, 0, 0, 0]);
    expect(list(g)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("exports the weight it computes with", () => {
    const layer = new SpectralLinear(6, 3, { kCoefLip: 0.5 });
    const x = randn([5, 6], { seed: 3 });
    const ordinary = layer.vanillaExport();
    expect(ordinary).toBeInstanceOf(Linear);
    expect(list(ordinary.forward(x))).toEqual(list(layer.forward(x)));
    layer.weight.assign(randn([3, 6], { seed: 4 }));
    expect(list(ordinary.weight)).not.toEqual(list(layer.effectiveWeight()));
  });

  it("refuses options before it builds anything", () => {
    expect(codeOf(() => new SpectralLinear(0, 3))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => new SpectralLinear(2.5, 3))).toBe("INVALID_ARGUMENT");
    for (const kCoefLip of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(codeOf(() => new SpectralLinear(2, 3, { kCoefLip }))).toBe("INVALID_ARGUMENT");
    }
    expect(codeOf(() => new SpectralLinear(2, 3, { bjorckIterations: -1 }))).toBe("INVALID_ARGUMENT");
  });
});

describe("SpectralConv2d", () => {
  it("divides a 3x3 kernel by 3 and an even stride by less", () => {
    const norm = (layer: SpectralConv2d): number =>
      Math.sqrt(layer.effectiveWeight().square().sum().item() / layer.outChannels);
    expect(norm(new SpectralConv2d(2, 4, { kernelSize: 3, padding: 1 }))).toBeCloseTo(1 / 3, 5);
    expect(norm(new SpectralConv2d(2, 4, { kernelSize: 4, stride: 2 }))).toBeCloseTo(1 / 2, 5);
  });

  it("is bounded by 1 beyond rounding in every padding mode", () => {
    for (const paddingMode of ["zeros", "circular", "reflect", "replicate", "symmetric"] as const) {
      const layer = new SpectralConv2d(3, 4, { kernelSize: 3, padding: 1, paddingMode });
      expect(layer.lipschitzBound()).toBeLessThan(1 + ORTHOGONAL);
      expect(layer.forward(randn([2, 3, 5, 6], { seed: 1 })).shape).toEqual([2, 4, 5, 6]);
    }
  });

  it("keeps the size with padding same, also for even kernels", () => {
    const layer = new SpectralConv2d(1, 2, { kernelSize: [2, 4], padding: "same" });
    expect(layer.forward(zeros([1, 1, 5, 6])).shape).toEqual([1, 2, 5, 6]);
  });

  it("exports an ordinary convolution with the same values", () => {
    const layer = new SpectralConv2d(4, 6, { kernelSize: 3, padding: 1, groups: 2, paddingMode: "circular" });
    const x = randn([2, 4, 5, 5], { seed: 5 });
    const ordinary = layer.vanillaExport();
    expect(ordinary).toBeInstanceOf(Conv2d);
    expect(list(ordinary.forward(x))).toEqual(list(layer.forward(x)));
    expect(ordinary.lipschitzBound()).toBe(layer.lipschitzBound());
  });

  it("refuses kernels larger than the image, groups that do not divide, same padding with stride", () => {
    const layer = new SpectralConv2d(1, 1, { kernelSize: 5 });
    expect(codeOf(() => layer.forward(zeros([1, 1, 4, 4])))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => new SpectralConv2d(3, 4, { kernelSize: 3, groups: 2 }))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => new SpectralConv2d(1, 1, { kernelSize: 3, stride: 2, padding: "same" }))).toBe(
      "INVALID_ARGUMENT",
    );
    expect(codeOf(() => new SpectralConv2d(1, 1, { kernelSize: 2.5 }))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => new SpectralConv2d(1, 1, { kernelSize: 3, padding: -1 }))).toBe("INVALID_ARGUMENT");
  });

  it("refuses an image of another size than the one it was made for", () => {
    const layer = new SpectralConv2d(1, 1, { kernelSize: 3, padding: 1, paddingMode: "reflect", inputSize: [6, 6] });
    expect(codeOf(() => layer.forward(zeros([1, 1, 5, 6])))).toBe("SHAPE_MISMATCH");
    expect(layer.forward(zeros([1, 1, 6, 6])).shape).toEqual([1, 1, 6, 6]);
  });

  it("has finite gradients in one compiled step", async () => {
    const layer = new SpectralConv2d(1, 4, { kernelSize: 3, padding: "same" });
    const step = compile((x: Tensor) => grad(layer.forward(x).square().sum(), layer.parameters()));
    const gradients = await step(randn([2, 1, 6, 6], { seed: 6 }));
    expect(gradients.map((g) => g.shape)).toEqual(layer.parameters().map((p) => p.shape));
    for (const g of gradients) expect(Array.from(g.data()).every(Number.isFinite)).toBe(true);
  });
});

describe("GroupSort", () => {
  it("sorts groups of channels", () => {
    expect(list(new GroupSort2().forward(tensor([[2, 1, 3, 4]])))).toEqual([1, 2, 3, 4]);
    expect(list(new GroupSort(3).forward(tensor([[3, 2, 1, 0, 5, 4]])))).toEqual([1, 2, 3, 0, 4, 5]);
  });

  it("takes all channels when the group is larger than they are", () => {
    expect(list(new GroupSort(100).forward(tensor([[3, 2, 5, 4, 1]])))).toEqual([1, 2, 3, 4, 5]);
  });

  it("refuses a group size that does not divide the channels", () => {
    expect(codeOf(() => new GroupSort2().forward(zeros([1, 3])))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => new GroupSort(0))).toBe("INVALID_ARGUMENT");
  });

  it("scales by its constant", () => {
    expect(list(new GroupSort2({ kCoefLip: 0.5 }).forward(tensor([[4, 2]])))).toEqual([1, 2]);
  });
});

describe("ScaledL2NormPool2d", () => {
  it("gives the norm of each window and no gradient at an all-zero one", () => {
    const x = tensor(Float32Array.of(3, 4, 0, 0, 0, 0, 0, 0), [1, 1, 2, 4]);
    const y = new ScaledL2NormPool2d({ kernelSize: 2 }).forward(x);
    expect(list(y)).toEqual([5, 0]);
    const [g] = grad(y.sum(), [x]);
    const expected = [0.6, 0.8, 0, 0, 0, 0, 0, 0];
    list(g).forEach((value, i) => expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 6));
  });

  it("divides by the root of the overlap", () => {
    const pool = new ScaledL2NormPool2d({ kernelSize: 2, stride: 1 });
    expect(pool.overlap).toBe(4);
    expect(list(pool.forward(tensor([3, 0, 0, 4], [1, 1, 2, 2])))).toEqual([2.5]);
  });
});

describe("values given to a layer", () => {
  it("are refused where they have another shape than it", () => {
    const values = { weight: eye(2), bias: tensor([3]) };
    expect(codeOf(() => new Linear(2, 2, {}, values))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => new Linear(3, 2, { bias: false }, { ...values, bias: undefined }))).toBe("SHAPE_MISMATCH");
  });
});
