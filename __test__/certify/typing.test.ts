// What is known of a model's Lipschitz constant follows from its parts: chains, sums, branches side by side.
import {
  AvgPool2d,
  Concat,
  Conv2d,
  certify,
  evaluateLipschitz,
  Flatten,
  GroupSort2,
  Identity,
  InvertibleDownSampling,
  Linear,
  LipResidual,
  MaxPool2d,
  Module,
  manualSeed,
  randn,
  ScaledAdaptiveAvgPool2d,
  ScaledAdaptiveL2NormPool2d,
  ScaledAvgPool2d,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { codeOf } from "../train/subset.js";

/** Bounds are rounded up, and constants kept up to the rounding of float32 weights. */
const ROUNDING = 2e-6;

/** A layer with a known constant. */
const times = (k: number, features = 3): Linear => {
  const weight = tensor(Float32Array.from({ length: features ** 2 }, (_, i) => (i % (features + 1) === 0 ? k : 0)));
  const layer = new Linear(features, features, { bias: false });
  layer.weight.assign(weight.reshape([features, features]));
  return layer;
};

const unconstrained = { constrained: false };

describe("the bound of a model", () => {
  it("is the product along a chain", async () => {
    const model = new Sequential([times(2), new Identity(), times(0.25), times(6)], unconstrained);
    expect(await model.lipschitzBound()).toBeCloseTo(3, 5);
  });

  it("is the root of the sum of squares of branches side by side", async () => {
    const model = new Concat([times(3), times(4), new Identity()], unconstrained);
    expect(await model.lipschitzBound()).toBeCloseTo(Math.sqrt(26), 5);
    expect(await evaluateLipschitz(model, randn([2, 3]))).toBeCloseTo(Math.sqrt(26), 4);
  });

  it("is composed of those of containers in containers", async () => {
    const inner = new Concat([new Sequential([times(2), times(2)], unconstrained), times(3)], unconstrained);
    const model = new Sequential([times(0.5), inner, new Linear(6, 3)], unconstrained);
    const last = await (model.layers[2] as Linear).lipschitzBound();
    expect(await model.lipschitzBound()).toBeCloseTo(0.5 * 5 * last, 4);
    const residual = new LipResidual(times(3));
    // kept 1/2, taken 3/2.
    expect(await residual.lipschitzBound()).toBeCloseTo(2, 5);
    expect(await new Concat([residual, residual], unconstrained).lipschitzBound()).toBeCloseTo(2 * Math.SQRT2, 5);
  });

  it("counts windows of pooling that share pixels", async () => {
    const model = new Sequential(
      [
        new MaxPool2d({ kernelSize: 3, stride: 2 }),
        new AvgPool2d({ kernelSize: 2 }),
        new InvertibleDownSampling({ kernelSize: 2 }),
      ],
      unconstrained,
    );
    expect(await model.lipschitzBound()).toBeCloseTo(2 / 2, 12);
  });
});

describe("a constant that is shared out", () => {
  it("is kept by branches side by side", async () => {
    manualSeed(2);
    for (const kCoefLip of [undefined, 1, 3, 0.1]) {
      const model = new Concat([new SpectralLinear(4, 3), new SpectralLinear(4, 2), new GroupSort2()], { kCoefLip });
      const whole = kCoefLip ?? 1;
      expect(model.kCoefLip).toBe(whole);
      for (const branch of model.branches) {
        expect(await branch.lipschitzBound()).toBeCloseTo(whole / Math.sqrt(3), 5);
      }
      expect(await model.lipschitzBound()).toBeLessThanOrEqual(whole * (1 + ROUNDING));
      const found = await evaluateLipschitz(model, randn([3, 4], { seed: 1 }));
      expect(found).toBeLessThanOrEqual(whole * (1 + ROUNDING));
    }
  });

  it("leaves branches the constants that they were given, and Identity its own", async () => {
    const model = new Concat([new Identity(), new SpectralLinear(4, 3, { kCoefLip: 2 }), new SpectralLinear(4, 3)], {
      kCoefLip: 3,
    });
    expect((model.branches[2] as SpectralLinear).kCoefLip).toBeCloseTo(2, 12);
    expect(await model.lipschitzBound()).toBeCloseTo(3, 5);
  });

  it("is what the branches make of it where nothing was asked and they leave no room", async () => {
    const model = new Concat([new Identity(), new SpectralLinear(4, 3)]);
    expect(model.kCoefLip).toBeCloseTo(Math.SQRT2, 12);
    expect(await model.lipschitzBound()).toBeCloseTo(Math.SQRT2, 5);
    // In a chain it counts as it is, and the rest makes up for it.
    const chain = new Sequential([model, new SpectralLinear(7, 2)], { kCoefLip: 1 });
    expect(await chain.lipschitzBound()).toBeCloseTo(1, 5);
  });

  it("is shared by a chain with branches in it", async () => {
    manualSeed(4);
    const branches = new Concat([
      new SpectralConv2d(2, 2, { kernelSize: 3, padding: 1 }),
      new Sequential([new SpectralConv2d(2, 4, { kernelSize: 1 }), new GroupSort2()]),
    ]);
    const layers = [branches, new ScaledAvgPool2d({ kernelSize: 2 }), new Flatten(), new SpectralLinear(24, 3)];
    const model = new Sequential(layers, { kCoefLip: 5 });
    expect(branches.kCoefLip).toBeCloseTo(5 ** (1 / 3), 10);
    const bound = await model.lipschitzBound();
    expect(bound).toBeLessThanOrEqual(5 * (1 + ROUNDING));
    const x = randn([4, 2, 4, 4], { seed: 3 });
    expect(await evaluateLipschitz(model, x)).toBeLessThanOrEqual(bound * (1 + ROUNDING));
    const exported = model.vanillaExport();
    expect(exported.predictSync(x).held()).toEqual(model.predictSync(x).held());
    const [certificate] = await certify(model, x);
    expect(certificate?.lipschitz).toBeLessThanOrEqual(5 * (1 + ROUNDING));
    expect(certificate?.radius).toBeGreaterThan(0);
  });

  it("is refused where branches with constants of their own leave no room for it", () => {
    const branches = (): Module[] => [new Identity(), new SpectralLinear(4, 3)];
    expect(() => new Concat(branches(), { kCoefLip: 1 })).toThrow(/kCoefLip 1 of a Concat leaves no room/);
    expect(() => new Concat([new GroupSort2({ kCoefLip: 3 })], { kCoefLip: 2 })).toThrow(/leaves no room/);
    expect(() => new Concat([], {})).toThrow(/at least one branch/);
    expect(() => new Concat(branches(), { kCoefLip: 2, constrained: false })).toThrow(/keeps no kCoefLip/);
  });
});

/** x times its logistic function. */
class Swish extends Module {
  forward(x: Tensor): Tensor {
    return x.mul(x.sigmoid());
  }
}

describe("a layer without a bound", () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);

  it("is named with its place where a bound is needed", async () => {
    const branch = new Sequential([new Linear(3, 3), new Swish()], unconstrained);
    const model = new Sequential([new Identity(), new Concat([new Identity(), branch], unconstrained)], unconstrained);
    const place = /^layer 1\.1\.1 \(Swish\): Swish has no known Lipschitz bound/;
    expect(() => model.lipschitzBound()).toThrow(place);
    expect(await codeOf(() => certify(model, randn([1, 3])))).toBe("NOT_LIPSCHITZ");
    await expect(certify(model, randn([1, 3]))).rejects.toThrow(place);
  });

  it("keeps a Concat that holds it from promising a constant", () => {
    const model = new Concat([new GroupSort2(), new Swish()]);
    expect(model.lipschitzByConstruction).toBe(false);
    new Sequential([model]);
    expect(warn.mock.calls.at(-1)?.[0]).toMatch(/layer 0 \(Concat\) .* is not Lipschitz by construction/);
    warn.mockRestore();
  });
});

it("a summary shows shapes and bounds of pooling, samplings and branches", () => {
  manualSeed(1);
  const branches = new Concat(
    [
      new Sequential(
        [new Conv2d(4, 2, { kernelSize: 1 }), new MaxPool2d({ kernelSize: 3, stride: 2, padding: 1 })],
        unconstrained,
      ),
      new ScaledAvgPool2d({ kernelSize: 3, stride: 2, padding: 1 }),
      new ScaledL2NormPool2d({ kernelSize: 2, kCoefLip: 0.5 }),
    ],
    unconstrained,
  );
  const model = new Sequential(
    [
      new InvertibleDownSampling({ kernelSize: 2 }),
      branches,
      new ScaledAdaptiveL2NormPool2d({ outputSize: 2 }),
      new ScaledAdaptiveAvgPool2d({ outputSize: 1 }),
      new Swish(),
    ],
    unconstrained,
  );
  const rows = model
    .summary([1, 8, 8])
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));
  const shown = Object.fromEntries(rows.map(([name = "", shape, , bound]) => [name, [shape, bound]]));
  expect(shown["0: InvertibleDownSampling"]).toEqual(["[N, 4, 4, 4]", "1.0000000"]);
  expect(shown["1.0.1: MaxPool2d"]).toEqual(["[N, 2, 2, 2]", "2.0000000"]);
  expect(shown["1.1: ScaledAvgPool2d"]).toEqual(["[N, 4, 2, 2]", "1.0000000"]);
  expect(shown["1.2: ScaledL2NormPool2d"]).toEqual(["[N, 4, 2, 2]", "0.50000000"]);
  expect(shown["2: ScaledAdaptiveL2NormPool2d"]).toEqual(["[N, 10, 2, 2]", "1.0000000"]);
  expect(shown["3: ScaledAdaptiveAvgPool2d"]).toEqual(["[N, 10, 1, 1]", "1.0000000"]);
  expect(shown["4: Swish"]).toEqual(["[N, 10, 1, 1]", "none"]);
});
