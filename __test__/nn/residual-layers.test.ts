// Layers x - Wᵀ relu(W x + b): their Jacobians at all patterns of relu, what they compute, what is proved of them.
import {
  Adam,
  AOLConv2d,
  AOLLinear,
  BROLinear,
  type ConvexPotentialConv2d,
  ConvexPotentialLinear,
  CPLConv2d,
  CPLLinear,
  certify,
  type Dataset,
  DDNAttack,
  Flatten,
  fit,
  fromArrays,
  GroupSort2,
  grad,
  HKRMulticlassLoss,
  Linear,
  type Module,
  manualSeed,
  OrthogonalConv2d,
  OrthogonalLinear,
  onDevice,
  type Parameter,
  randn,
  Sequential,
  SGD,
  SLLConv2d,
  SLLLinear,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import type { PotentialLayer } from "../../src/nn/potential-layer.js";
import { describeGpu } from "../gpu/gpu.js";
import { spectralNorm } from "../soundness/float64.js";
import { distanceFromIsometry, matrixOf } from "./jacobian.js";

/** More than float64 loses in matrices of these sizes. */
const EXACT = 1e-9;

const numbers = (parameter: Parameter, value: (i: number) => number): Tensor =>
  tensor(
    Float32Array.from({ length: parameter.size }, (_, i) => value(i)),
    parameter.shape,
  );

/** Parameters that break what rests on their being ordinary. */
const fillings: Record<string, (parameter: Parameter, index: number) => Tensor> = {
  random: (p, i) => randn(p.shape, { seed: 3 + i }),
  ones: (p) => numbers(p, () => 1),
  zero: (p) => numbers(p, () => 0),
  checkerboard: (p) => numbers(p, (i) => (i % 2 === 0 ? 1 : -1)),
  "rank one": (p) => numbers(p, (i) => ((i % 3) + 1) * (Math.floor(i / 3) % 2 === 0 ? 1 : 0.25)),
  "heavy at the border": (p) => numbers(p, (i) => (i % 9 === 0 || i % 9 === 8 ? 100 : 0.01)),
  tiny: (p, i) => randn(p.shape, { seed: i }).mul(1e-30),
  huge: (p, i) => randn(p.shape, { seed: i }).mul(1e30),
  "of two scales": (p) => numbers(p, (i) => (i % 2 === 0 ? 1e-12 : 1) * Math.sin(i)),
};

const layers: Record<string, [build: () => PotentialLayer, sample: readonly number[]]> = {
  CPLLinear: [() => new CPLLinear(4, 6), [4]],
  "CPLLinear of fewer": [() => new CPLLinear(5, 3), [5]],
  SLLLinear: [() => new SLLLinear(4, 6), [4]],
  "SLLLinear of fewer": [() => new SLLLinear(5, 3), [5]],
  CPLConv2d: [() => new CPLConv2d(1, 2, { kernelSize: 3 }), [1, 2, 2]],
  "CPLConv2d of periodic images": [() => new CPLConv2d(2, 1, { kernelSize: 2, paddingMode: "circular" }), [2, 2, 3]],
  SLLConv2d: [() => new SLLConv2d(1, 2, { kernelSize: 3 }), [1, 2, 2]],
  "SLLConv2d of periodic images": [() => new SLLConv2d(1, 2, { kernelSize: 3, paddingMode: "circular" }), [1, 2, 2]],
  "SLLConv2d of groups": [() => new SLLConv2d(2, 2, { kernelSize: [1, 3], groups: 2 }), [2, 2, 2]],
};

/** The largest norm of I - Wᵀ D W over all D of zeros and ones, W being the transposed matrix `[inputs, hidden]` in float64. */
function steepest(weights: Float64Array, inputs: number, hidden: number): number {
  let largest = 0;
  for (let pattern = 0; pattern < 2 ** hidden; pattern++) {
    const jacobian = Float64Array.from({ length: inputs * inputs }, (_, at) => {
      const [i, j] = [Math.floor(at / inputs), at % inputs];
      let sum = i === j ? 1 : 0;
      for (let k = 0; k < hidden; k++) {
        if ((pattern >> k) & 1) sum -= (weights[i * hidden + k] ?? 0) * (weights[j * hidden + k] ?? 0);
      }
      return sum;
    });
    largest = Math.max(largest, spectralNorm(jacobian, inputs, inputs));
  }
  return largest;
}

const fill = (layer: Module, value: (parameter: Parameter, index: number) => Tensor): void => {
  layer.parameters().forEach((parameter, index) => {
    parameter.assign(value(parameter, index));
  });
};

/** W of an exported layer, as a layer of its own. */
function mapOf(layer: ConvexPotentialLinear | ConvexPotentialConv2d): Module {
  return new (class extends Linear {
    override forward(x: Tensor): Tensor {
      const { weight } = layer.effective();
      if (layer instanceof ConvexPotentialLinear) return x.matmul(weight, { transposeB: true });
      const [kh = 1, kw = 1] = weight.shape.slice(2);
      const [top, left] = [Math.floor((kh - 1) / 2), Math.floor((kw - 1) / 2)];
      const mode = layer.options.paddingMode === "circular" ? "circular" : "constant";
      const padded = x.pad([0, 0, top, left], [0, 0, kh - 1 - top, kw - 1 - left], { mode });
      return padded.conv2d(weight, { groups: layer.options.groups });
    }
  })(1, 1);
}

describe("the Jacobian of a layer at every pattern of relu", () => {
  const cases = Object.entries(layers).flatMap(([name, [build, sample]]) =>
    Object.entries(fillings).map(([kind, rule]) => ({ name, kind, build, sample, rule })),
  );
  it.each(cases)("is at most its bound, which is 1: $name, $kind", ({ build, sample, rule, kind }) => {
    const layer = build();
    fill(layer, rule);
    const deployed = layer.vanillaExport() as ConvexPotentialLinear | ConvexPotentialConv2d;
    const bound = deployed.lipschitzBound();
    expect(layer.lipschitzBound()).toBe(bound);
    const { data, rows, columns } = matrixOf(mapOf(deployed), sample);
    expect(columns).toBeLessThanOrEqual(12);
    expect(steepest(data, rows, columns)).toBeLessThanOrEqual(bound * (1 + EXACT));
    expect(bound).toBeLessThanOrEqual(1 + 1e-5);
    // Not by doing nothing.
    const norm = spectralNorm(data, rows, columns);
    if (kind !== "zero") expect(norm).toBeGreaterThan(0.3);
    expect(norm).toBeLessThanOrEqual(Math.SQRT2);
  });
});

describe("an ordinary weight", () => {
  it("has the bound ‖W‖² - 1 once that is above 1, which is reached", () => {
    const layer = new ConvexPotentialLinear(2, 1, { bias: false });
    layer.weight.assign(tensor([3, 4], [1, 2]));
    expect(layer.lipschitzBound()).toBeCloseTo(24, 6);
    expect(layer.lipschitzBound()).toBeGreaterThanOrEqual(24);
    const along = layer.forward(tensor([[0.6, 0.8]])).dataSync();
    expect(Math.hypot(...along)).toBeCloseTo(24, 4);
    layer.weight.assign(tensor([0.6, 0.8], [1, 2]));
    expect(layer.lipschitzBound()).toBe(1);
  });
});

/** The layer of the papers for one sample, in float64: x - 2 W T^-1 relu(Wᵀ x + b) for rows of W. */
function byFormula(x: number[], rows: number[][], b: number[], t: number[]): number[] {
  const hidden = rows.map((row, k) =>
    Math.max(
      0,
      row.reduce((sum, w, i) => sum + w * (x[i] ?? 0), b[k] ?? 0),
    ),
  );
  return x.map(
    (value, i) => value - 2 * rows.reduce((sum, row, k) => sum + ((row[i] ?? 0) * (hidden[k] ?? 0)) / (t[k] ?? 1), 0),
  );
}

const ROWS = [
  [1, 2],
  [-1, 0.5],
  [0.3, 0.2],
];
const B = [0.1, -0.2, 0.4];

it("CPLLinear is x - 2 / ‖W‖² Wᵀ relu(W x + b)", () => {
  const layer = new CPLLinear(2, 3);
  layer.weight.assign(tensor(ROWS));
  layer.bias?.assign(tensor(B));
  const squared = spectralNorm(Float64Array.from(ROWS.flat()), 3, 2) ** 2;
  for (const x of [
    [1, -1],
    [0.2, 3],
    [-2, -1],
  ]) {
    const expected = byFormula(x, ROWS, B, [squared, squared, squared]);
    layer
      .forward(tensor([x]))
      .dataSync()
      .forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] as number, 4);
      });
  }
});

it("SLLLinear is x - 2 Wᵀ T^-1 relu(W x + b) with T_i = sum over j of |W Wᵀ|_ij q_j / q_i, and q matters", () => {
  const layer = new SLLLinear(2, 3);
  layer.weight.assign(tensor(ROWS));
  layer.bias?.assign(tensor(B));
  const seen: number[][] = [];
  for (const logarithms of [
    [0, 0, 0],
    [1, -1, 0.5],
  ]) {
    layer.q.assign(tensor(logarithms));
    const t = ROWS.map((row, i) =>
      ROWS.reduce((sum, other, j) => {
        const product = row.reduce((s, w, k) => s + w * (other[k] ?? 0), 0);
        return sum + Math.abs(product) * Math.exp((logarithms[j] ?? 0) - (logarithms[i] ?? 0));
      }, 0),
    );
    const expected = byFormula([0.2, 3], ROWS, B, t);
    const got = Array.from(layer.forward(tensor([[0.2, 3]])).dataSync());
    got.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, 4);
    });
    seen.push(got);
  }
  expect(Math.abs((seen[0]?.[0] ?? 0) - (seen[1]?.[0] ?? 0))).toBeGreaterThan(0.01);
});

it("q matters in a convolution too: the weight that is computed with changes, and the bound stays 1", () => {
  const layer = new SLLConv2d(2, 3, { kernelSize: 3 });
  fill(layer, (p, i) => randn(p.shape, { seed: i }));
  layer.q.assign(tensor([0, 0, 0]));
  const before = layer.effective().weight.dataSync();
  layer.q.assign(tensor([3, -2, 0]));
  const after = layer.effective().weight.dataSync();
  expect(Math.max(...before.map((v, i) => Math.abs(v - (after[i] ?? 0))))).toBeGreaterThan(0.05);
  expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + 1e-5);
  for (const extreme of [100, -100, 1e30]) {
    layer.q.assign(tensor([extreme, 0, -extreme]));
    expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + 1e-5);
  }
});

/** A weight with 1 in a corner, and next to nothing elsewhere but on the diagonal. */
const faint = (order: number, beside: number, diagonal: number): Tensor => {
  const weight = new Float32Array(order * order).fill(beside);
  for (let i = 1; i < order; i++) {
    weight[i] = weight[i * order] = 0;
    weight[i * order + i] = diagonal;
  }
  weight[0] = 1;
  return tensor(weight, [order, order]);
};

it("a layer keeps its constant where correlations fall below 2^-126, alone or times a small q", () => {
  const rows = 1001;
  const scaled = new SLLLinear(2, rows);
  const small = Math.sqrt(1.1e-23);
  scaled.weight.assign(
    tensor(Array.from({ length: rows }, (_, i) => (i === 0 ? [1, 0] : [0, i === 1 ? 1.3e-23 / small : small]))),
  );
  scaled.q.assign(tensor(Array.from({ length: rows }, (_, i) => (i === 0 ? 0 : -40))));
  expect(scaled.lipschitzBound()).toBeLessThanOrEqual(1 + 2e-6);
  const order = 401;
  for (const layer of [new SLLLinear(order, order), new SLLConv2d(order, order, { kernelSize: 1 })]) {
    layer.weight.assign(faint(order, 4.9e-14, 1.02e-10).reshape(layer.weight.shape));
    layer.q.assign(numbers(layer.q, (i) => (i === 0 ? 0 : -40)));
    expect(layer.lipschitzBound(), layer.constructor.name).toBeLessThanOrEqual(1 + 2e-6);
  }
  for (const layer of [new SLLLinear(order, order), new AOLLinear(order, order)]) {
    layer.weight.assign(faint(order, 1.04e-19, 1.02e-15));
    expect(layer.lipschitzBound(), layer.constructor.name).toBeLessThanOrEqual(1 + 2e-6);
  }
  const apart = new SLLLinear(2, 3);
  apart.weight.assign(tensor([1, 0, 0, 1e-7, 3e-8, 1e-7], [3, 2]));
  apart.q.assign(tensor([0, -40, -40]));
  apart.bias?.assign(tensor([1, 1e-3, 1e-3]));
  const x = randn([3, 2], { seed: 1 });
  for (const layer of [scaled, apart]) {
    const gradients = grad(layer.forward(x).square().sum(), layer.parameters());
    for (const gradient of gradients) expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
  }
});

it.each([1e-30, 1e8, 1e15, 1e30])(
  "layers are certified at the constant %d, as far as float32 reaches",
  async (kCoefLip) => {
    const x = randn([2, 4], { seed: 2 }).reshape([2, 1, 2, 2]);
    const layers = [
      new CPLConv2d(1, 3, { kernelSize: 3, kCoefLip }),
      new SLLConv2d(1, 2, { kernelSize: 1, kCoefLip, paddingMode: "circular" }),
    ];
    const models = layers.map((layer) => new Sequential([layer, new Flatten()], { constrained: false }));
    models.push(new Sequential([new Flatten(), new CPLLinear(4, 4, { kCoefLip })], { constrained: false }));
    for (const model of models) {
      for (const { margin, radius, lipschitz } of await certify(model, x)) {
        const whole = margin / (Math.SQRT2 * lipschitz);
        expect(lipschitz / kCoefLip).toBeCloseTo(1, 5);
        expect(radius).toBeLessThanOrEqual(whole);
        expect(radius).toBeGreaterThan(0.99 * whole - 1e-5);
      }
    }
  },
);

it("padding that changes the size of images is refused", () => {
  expect(() => new CPLConv2d(1, 1, { kernelSize: 3, padding: 0 })).toThrow(/padding must keep the size of images/);
  expect(() => new SLLConv2d(1, 1, { kernelSize: 3, padding: "valid" })).toThrow(/given "valid"/);
  expect(new SLLConv2d(1, 1, { kernelSize: 3, padding: 1 }).forward(randn([1, 1, 2, 5])).shape).toEqual([1, 1, 2, 5]);
});

/** One layer of each kind that learns in its own way. */
function network(): Sequential {
  manualSeed(2);
  return new Sequential([
    new OrthogonalConv2d(1, 4, { kernelSize: 3, stride: 2, padding: 1 }),
    new CPLConv2d(4, 6, { kernelSize: 3 }),
    new GroupSort2(),
    new SLLConv2d(4, 6, { kernelSize: 3, paddingMode: "circular" }),
    new AOLConv2d(4, 6, { kernelSize: 3, padding: 1 }),
    new GroupSort2(),
    new Flatten(),
    new SLLLinear(54, 20),
    new CPLLinear(54, 10),
    new OrthogonalLinear(54, 12, { method: "cayley" }),
    new GroupSort2(),
    new OrthogonalLinear(12, 12, { method: "cholesky" }),
    new GroupSort2(),
    new BROLinear(12, 8),
    new AOLLinear(8, 3),
  ]);
}

/** Images of three kinds: bright on the left, in the middle or on the right. */
function images(): Dataset {
  const noise = randn([60, 36], { seed: 7 }).dataSync();
  const labels = Array.from({ length: 60 }, (_, i) => i % 3);
  const bright = (at: number): boolean => Math.floor((at % 6) / 2) === (labels[Math.floor(at / 36)] ?? 0);
  const values = Float32Array.from(noise, (x, at) => 0.3 * x + (bright(at) ? 0.8 : 0));
  return fromArrays(values, [60, 1, 6, 6], labels);
}

const training = () => ({
  epochs: 3,
  batchSize: 20,
  verbose: false,
  loss: new HKRMulticlassLoss({ alpha: 10, minMargin: 0.5 }),
});

it("layers keep their constants while they are trained, and learn", async () => {
  const model = network();
  const before = model.parameters().map((parameter) => parameter.dataSync());
  const { epochs } = await fit(model, images(), {
    ...training(),
    optimizer: new Adam({ lr: 0.02 }),
  });
  const losses = epochs.map(({ loss }) => loss);
  expect(losses.at(-1)).toBeLessThan(losses[0] as number);
  model.parameters().forEach((parameter, i) => {
    const now = parameter.dataSync();
    expect(now.every(Number.isFinite), parameter.name).toBe(true);
    expect(
      now.some((value, k) => value !== before[i]?.[k]),
      parameter.name,
    ).toBe(true);
  });
  for (const layer of model.layers) {
    expect(layer.lipschitzBound(), layer.constructor.name).toBeLessThanOrEqual(1 + 1e-5);
  }
  expect(distanceFromIsometry(matrixOf(model.layers[9]?.vanillaExport() as Module, [54]))).toBeLessThan(1e-4);
});

describeGpu("on a GPU", () => {
  it("layers compute and learn what they do on the CPU", async () => {
    const [here, there] = await Promise.all(
      (["cpu", "gpu"] as const).map(async (device) => {
        const model = network();
        // Where filters are orthogonal, as at first, the sign of their correlations is one of rounding.
        fill(model, (parameter, i) => randn(parameter.shape, { seed: i }).mul(0.5));
        await fit(model, images(), {
          ...training(),
          epochs: 1,
          batchSize: 60,
          device,
          optimizer: new SGD({ lr: 0.01 }),
        });
        return model.parameters().flatMap((parameter) => Array.from(parameter.dataSync()));
      }),
    );
    expect(Math.max(...(here ?? []).map((value, i) => Math.abs(value - (there?.[i] ?? 0))))).toBeLessThan(1e-4);
  });

  it("networks of them are certified", async () => {
    const x = randn([2, 1, 6, 6], { seed: 4 });
    const model = network();
    const [here, there] = [await certify(model, x), await onDevice("gpu", () => certify(network(), x))];
    there.forEach(({ radius, lipschitz }, i) => {
      expect(lipschitz).toBeCloseTo(here[i]?.lipschitz ?? 0, 4);
      expect(radius).toBeCloseTo(here[i]?.radius ?? 0, 2);
    });
  });
});

it("no attack changes a class within a radius of a network of them", async () => {
  manualSeed(2);
  const model = new Sequential([
    new OrthogonalConv2d(1, 4, { kernelSize: 2, stride: 2 }),
    new CPLConv2d(4, 6, { kernelSize: 3 }),
    new SLLConv2d(4, 6, { kernelSize: 3 }),
    new Flatten(),
    new SLLLinear(36, 20),
    new CPLLinear(36, 10),
    new Linear(36, 3),
  ]);
  const images = randn([6, 1, 6, 6], { seed: 4 });
  const certificates = await certify(model, images);
  const labels = certificates.map(({ predicted }) => predicted);
  const { distances, success } = await new DDNAttack({ steps: 100 }).run(model, images, labels, { bounds: [-8, 8] });
  expect(success.some(Boolean)).toBe(true);
  certificates.forEach(({ radius }, i) => {
    expect(radius).toBeLessThanOrEqual(distances[i] ?? 0);
  });
  expect(certificates.some(({ radius }) => radius > 0)).toBe(true);
});
