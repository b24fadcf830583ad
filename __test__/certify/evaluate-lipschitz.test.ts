// A lower bound of the Lipschitz constant: below what is proved, and near the norm where that is known.
import {
  assign,
  type EvaluateLipschitzOptions,
  evaluateLipschitz,
  Flatten,
  fromArrays,
  GroupSort2,
  Linear,
  MaxPool2d,
  type Module,
  manualSeed,
  ReLU,
  randn,
  ScaledAvgPool2d,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  scalar,
  state,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { spectralNorm } from "../soundness/float64.js";

const METHODS = ["jacobian", "noise", "attack"] as const;
/** Rounding of a few float32 results of order 1, over perturbations of 0.1. */
const ROUNDING = 1e-4;

const image = [1, 8, 8] as const;

function network(kCoefLip = 1): Sequential {
  manualSeed(3);
  return new Sequential(
    [
      new SpectralConv2d(1, 4, { kernelSize: 3, padding: 1 }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new SpectralConv2d(4, 4, { kernelSize: 3, padding: 1 }),
      new GroupSort2(),
      new ScaledAvgPool2d({ kernelSize: 2 }),
      new Flatten(),
      new SpectralLinear(16, 5),
    ],
    { kCoefLip },
  );
}

function linear(outputs: number, inputs: number): { layer: Linear; norm: number } {
  manualSeed(outputs * 100 + inputs);
  const layer = new Linear(inputs, outputs);
  return { layer, norm: spectralNorm(layer.weight.dataSync(), outputs, inputs) };
}

describe.each(METHODS)("by %s", (method) => {
  it("is never above the bound that is proved, beyond rounding", async () => {
    for (const model of [network(), network(3), network(0.2)]) {
      const found = await evaluateLipschitz(model, randn([6, ...image], { seed: 2 }), { method, steps: 30, seed: 1 });
      expect(found).toBeLessThanOrEqual((await model.lipschitzBound()) * (1 + ROUNDING));
      expect(found).toBeGreaterThan(0);
    }
  });

  it("is the same for the same seed, however samples are batched together", async () => {
    const model = network();
    const x = randn([5, ...image], { seed: 2 });
    const once = await evaluateLipschitz(model, x, { method, steps: 4, seed: 7 });
    expect(await evaluateLipschitz(model, x, { method, steps: 4, seed: 7 })).toBe(once);
    const apart = await evaluateLipschitz(model, x, { method, steps: 300, seed: 7, batchSize: 2 });
    expect(apart).toBeGreaterThan(once * 0.9);
  });

  it("takes a data set of bytes as a model sees it", async () => {
    const pixels = Uint8Array.from({ length: 3 * 64 }, (_, i) => (i * 37) % 256);
    const dataset = fromArrays(pixels, [3, ...image], Int32Array.of(0, 1, 2));
    const floats = tensor(
      Float32Array.from(pixels, (v) => v / 255),
      [3, ...image],
    );
    const model = network();
    const options = { method, steps: 40, seed: 4 };
    expect(await evaluateLipschitz(model, dataset, options)).toBeCloseTo(
      await evaluateLipschitz(model, floats, options),
      5,
    );
  });

  it("ends within a step where its signal is aborted, and tells of its work", async () => {
    const shares: number[] = [];
    const x = randn([4, ...image], { seed: 2 });
    await evaluateLipschitz(network(), x, {
      method,
      steps: 3,
      batchSize: 2,
      onProgress: (share) => shares.push(share),
    });
    expect(shares.at(-1)).toBe(1);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    const reason = new Error("enough");
    await expect(evaluateLipschitz(network(), x, { method, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  it("tells which sample has a slope that is no number", async () => {
    const x = randn([3, ...image], { seed: 2 });
    const broken = tensor(
      Float32Array.from(x.dataSync(), (v, i) => (i === 70 ? Number.NaN : v)),
      x.shape,
    );
    await expect(evaluateLipschitz(network(), broken, { method, steps: 2 })).rejects.toThrow(/around sample 1 .* NaN/);
  });
});

describe("of a linear model", () => {
  it.each([
    [1, 7],
    [7, 1],
    [10, 30],
    [40, 12],
  ])("is its norm, %d outputs of %d inputs", async (outputs, inputs) => {
    const { layer, norm } = linear(outputs, inputs);
    for (const method of ["jacobian", "attack"] as const) {
      const found = await evaluateLipschitz(layer, randn([2, inputs], { seed: 5 }), { method, seed: 9 });
      expect(found).toBeGreaterThan(0.99 * norm);
      expect(found).toBeLessThan(norm * (1 + ROUNDING));
    }
  });

  it("is below it by noise, and at it where there is one direction alone", async () => {
    const { layer, norm } = linear(10, 30);
    expect(await evaluateLipschitz(layer, randn([2, 30]), { method: "noise" })).toBeLessThan(norm);
    const one = linear(5, 1);
    expect(await evaluateLipschitz(one.layer, randn([2, 1]), { method: "noise" })).toBeGreaterThan(0.99 * one.norm);
  });
});

it("finds the slope of max pooling over windows that overlap, which is twice that of one window", async () => {
  const pool = new MaxPool2d({ kernelSize: 3, stride: 2 });
  const peak = Float32Array.from({ length: 25 }, (_, i) => (i === 12 ? 5 : 0));
  const found = await evaluateLipschitz(pool, tensor(peak, [1, 1, 5, 5]));
  expect(found).toBeCloseTo(2, 5);
  expect(pool.lipschitzBound()).toBe(2);
});

it("is 0 where nothing changes the results, and in evaluation mode whatever the mode is", async () => {
  const dead = new Sequential([new ReLU()], { constrained: false });
  for (const method of METHODS) {
    expect(await evaluateLipschitz(dead, tensor([[-9, -9]]), { method, steps: 3 })).toBe(0);
  }
  class Louder extends Sequential {
    override forward(x: Tensor): Tensor {
      return x.mul(this.training ? 100 : 2);
    }
  }
  const model = new Louder([], { constrained: false }).train();
  expect(await evaluateLipschitz(model, tensor([[1, 2]]))).toBeCloseTo(2, 5);
  expect(model.training).toBe(true);
});

describe("steps", () => {
  class Counting extends Sequential {
    readonly calls = state(scalar(0));
    override forward(x: Tensor): Tensor {
      assign(this.calls, this.calls.add(1));
      return super.forward(x);
    }
  }

  it("end where the largest slope of a batch rests, close to where all of them lead", async () => {
    const x = randn([6, ...image], { seed: 2 });
    const run = async (options: EvaluateLipschitzOptions) => {
      const model = new Counting([network()]);
      const found = await evaluateLipschitz(model, x, { seed: 1, ...options });
      return { found, calls: model.calls.item() };
    };
    for (const method of ["jacobian", "attack"] as const) {
      const [all, some, few] = [
        await run({ method, tolerance: 0, steps: 400 }),
        await run({ method }),
        await run({ method, tolerance: 0.5 }),
      ];
      expect(few.calls).toBeLessThan(some.calls);
      expect(some.calls).toBeLessThan(all.calls);
      expect(some.found).toBeGreaterThan(all.found * 0.999);
      expect(some.found).toBeLessThanOrEqual(all.found);
    }
    const noise = [await run({ method: "noise", steps: 30 }), await run({ method: "noise", steps: 31 })];
    expect((noise[1]?.calls ?? 0) - (noise[0]?.calls ?? 0)).toBeGreaterThan(0);
    await expect(run({ tolerance: -1 })).rejects.toThrow(/tolerance must be finite and at least 0; given -1/);
  });
});

it("refuses what is no model, no samples, and options that it does not have", async () => {
  const model = network();
  await expect(evaluateLipschitz({} as Module, randn([1, ...image]))).rejects.toThrow(/takes a Module/);
  await expect(evaluateLipschitz(model, randn([0, ...image]))).rejects.toThrow(/at least one sample/);
  const wrong = { method: "guess" } as unknown as { method: "noise" };
  await expect(evaluateLipschitz(model, randn([1, ...image]), wrong)).rejects.toThrow(/method must be "jacobian"/);
  await expect(evaluateLipschitz(model, randn([1, ...image]), { steps: 0 })).rejects.toThrow(/steps/);
  class Merged extends Sequential {
    override forward(x: Tensor): Tensor {
      return x.sum(0, { keepdims: true });
    }
  }
  const merged = new Merged([], { constrained: false });
  await expect(evaluateLipschitz(merged, randn([3, 2]))).rejects.toThrow(/a result for each sample, \[3, \.\.\.\]/);
});
