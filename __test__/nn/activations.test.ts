// Activations against plain definitions in float64, their derivatives, bounds, and what torchlip gets wrong of them.
import {
  certify,
  compile,
  FullSort,
  GroupSort,
  GroupSort2,
  grad,
  HouseHolder,
  Linear,
  LPReLU,
  type LPReLUOptions,
  MaxMin,
  type Module,
  ones,
  randn,
  Sequential,
  Sigmoid,
  Softmax,
  SpectralLinear,
  Tanh,
  type Tensor,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it } from "vitest";
import { spectralNorm } from "../soundness/float64.js";
import { codeOf } from "../train/subset.js";
import { exactOf, gapOfDerivatives, jacobian, onGrid } from "./exactly.js";

/** A float32 function of values of about 1 to 100. */
const FLOAT32 = 2e-6;
/** What a Jacobian of float64 may exceed a bound by: the bound is of float32 parameters. */
const BOUND = 1 + 2e-6;
/** Central differences with steps of 2^-9. */
const DIFFERENCES = 2e-4;

type Reference = (values: number[], channels: number) => number[];

/** Values of a sample `[channels, places]` by channel. */
const byChannel =
  (of: (channel: number[][]) => number[][]): Reference =>
  (values, channels) => {
    const places = values.length / channels;
    return of(Array.from({ length: channels }, (_, c) => values.slice(c * places, (c + 1) * places))).flat();
  };

const ascending = (a: number, b: number): number => {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : a > b ? 1 : 0;
};

const sorted = (size: number, k = 1): Reference =>
  byChannel((rows) => {
    const result = rows.map((row) => [...row]);
    for (let first = 0; first < rows.length; first += size) {
      rows[0]?.forEach((_, place) => {
        const group = rows.slice(first, first + size).map((row) => row[place] ?? Number.NaN);
        group.sort(ascending).forEach((value, i) => {
          const row = result[first + i];
          if (row !== undefined) row[place] = k * value;
        });
      });
    }
    return result;
  });

const slopes = (weight: readonly number[], k = 1): Reference =>
  byChannel((rows) =>
    rows.map((row, c) => {
      const given = Math.fround(weight[c % weight.length] ?? 0);
      const slope = Math.min(Math.max(given, -k), k);
      return row.map((x) => (x > 0 ? Math.min(1, k) * x : slope * x));
    }),
  );

const reflected = (theta: readonly number[], k = 1): Reference =>
  byChannel((rows) => {
    const half = rows.length / 2;
    const result = rows.map((row) => row.map((x) => k * x));
    for (let c = 0; c < half; c++) {
      const angle = Math.fround(theta[c] ?? 0);
      rows[c]?.forEach((x, place) => {
        const y = rows[c + half]?.[place] ?? 0;
        if (x * Math.sin(angle / 2) - y * Math.cos(angle / 2) <= 0) return;
        (result[c] as number[])[place] = k * (x * Math.cos(angle) + y * Math.sin(angle));
        (result[c + half] as number[])[place] = k * (x * Math.sin(angle) - y * Math.cos(angle));
      });
    }
    return result;
  });

const softmax: Reference = (values) => {
  const most = Math.max(...values);
  const powers = values.map((x) => Math.exp(x - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((p) => p / sum);
};

const elementwise =
  (f: (x: number) => number): Reference =>
  (values) =>
    values.map(f);

const withState = <L extends Module>(layer: L, values: Record<string, number[]>): L => {
  layer.loadStateDict(
    Object.fromEntries(Object.entries(values).map(([key, data]) => [key, { data, shape: [data.length] }])),
  );
  return layer;
};

const THETA = [0.3, -1.2, 7.9];
const SLOPES = [-2, 0.3, 0.75, 3, -0.1, 0.9];

interface Row {
  readonly name: string;
  readonly make: () => Module;
  readonly reference: Reference;
  readonly sample: readonly number[];
}

const rows: Row[] = [
  { name: "GroupSort2", make: () => new GroupSort2(), reference: sorted(2), sample: [6, 3] },
  {
    name: "GroupSort of 3, times 0.5",
    make: () => new GroupSort(3, { kCoefLip: 0.5 }),
    reference: sorted(3, 0.5),
    sample: [9, 1],
  },
  { name: "GroupSort of 64", make: () => new GroupSort(64), reference: sorted(64), sample: [128] },
  { name: "FullSort of 7", make: () => new FullSort(), reference: sorted(7), sample: [7, 2, 2] },
  { name: "FullSort of 1", make: () => new FullSort(), reference: sorted(1), sample: [1, 3] },
  { name: "FullSort of 257", make: () => new FullSort(), reference: sorted(257), sample: [257] },
  {
    name: "MaxMin",
    make: () => new MaxMin({ kCoefLip: 2 }),
    reference: (v) => [...v.map((x) => 2 * Math.max(x, 0)), ...v.map((x) => 2 * Math.max(-x, 0))],
    sample: [3, 2],
  },
  { name: "LPReLU of one slope", make: () => new LPReLU(), reference: slopes([0.25]), sample: [5] },
  {
    name: "LPReLU of six slopes",
    make: () => withState(new LPReLU({ numParameters: 6 }), { weight: SLOPES }),
    reference: slopes(SLOPES),
    sample: [6, 2],
  },
  {
    name: "LPReLU to 2",
    make: () => withState(new LPReLU({ numParameters: 6, kCoefLip: 2 }), { weight: SLOPES }),
    reference: slopes(SLOPES, 2),
    sample: [6],
  },
  {
    name: "LPReLU to 1/4",
    make: () => withState(new LPReLU({ numParameters: 6, kCoefLip: 0.25 }), { weight: SLOPES }),
    reference: slopes(SLOPES, 0.25),
    sample: [6],
  },
  {
    name: "HouseHolder",
    make: () => withState(new HouseHolder(6), { theta: THETA }),
    reference: reflected(THETA),
    sample: [6, 2],
  },
  {
    name: "HouseHolder times 3",
    make: () => withState(new HouseHolder(6, { kCoefLip: 3 }), { theta: THETA }),
    reference: reflected(THETA, 3),
    sample: [6],
  },
  {
    name: "HouseHolder at pi / 2",
    make: () => new HouseHolder(2),
    reference: reflected([Math.PI / 2]),
    sample: [2, 4],
  },
  { name: "Sigmoid", make: () => new Sigmoid(), reference: elementwise((x) => 1 / (1 + Math.exp(-x))), sample: [5] },
  { name: "Tanh", make: () => new Tanh(), reference: elementwise(Math.tanh), sample: [5] },
  { name: "Softmax", make: () => new Softmax(), reference: softmax, sample: [4] },
];

/** Samples of one kind of values each. */
const inputs: [kind: string, value: (i: number) => number][] = [
  ["random", (i) => Math.fround(3 * Math.sin(i * 12.9898))],
  ["ties", (i) => ((i * 7) % 5) - 2],
  ["zeros of both signs", (i) => (i % 3 === 0 ? -0 : 0)],
  ["large", (i) => Math.fround(1e30 * Math.sin(i * 4.7))],
  ["small", (i) => Math.fround(1e-30 * Math.sin(i * 4.7))],
];

describe.each(rows)("$name", ({ make, reference, sample }) => {
  const size = sample.reduce((a, b) => a * b, 1);
  const channels = sample[0] ?? 1;

  it.each(inputs)("computes what it says of values that are %s, one sample or several", (_, value) => {
    const layer = make();
    for (const samples of [1, 3]) {
      const values = Array.from({ length: samples * size }, (_, i) => value(i + samples));
      const y = layer.predictSync(tensor(values, [samples, ...sample])).held();
      const want = Array.from({ length: samples }, (_, n) =>
        reference(values.slice(n * size, (n + 1) * size), channels),
      ).flat();
      expect(y.length).toBe(want.length);
      const scale = Math.max(...want.map(Math.abs));
      want.forEach((w, i) => {
        expect(Math.abs((y[i] ?? Number.NaN) - w)).toBeLessThanOrEqual(FLOAT32 * scale);
      });
    }
  });

  it("gives NaN for NaN, and nothing of it to other samples", () => {
    const values = Array.from({ length: 2 * size }, (_, i) => Math.sin(i + 1));
    values[0] = Number.NaN;
    const layer = make();
    const y = Array.from(layer.predictSync(tensor(values, [2, ...sample])).held());
    expect(y.slice(0, y.length / 2).some(Number.isNaN)).toBe(true);
    const alone = layer.predictSync(tensor(values.slice(size), [1, ...sample])).held();
    expect(y.slice(y.length / 2)).toEqual(Array.from(alone));
  });

  it("has the derivatives of its definition, first and second", () => {
    if (size > 20) return;
    const layer = make();
    const x = onGrid(randn([2, ...sample], { seed: 3 }));
    const names = layer.namedParameters().map(([key]) => key);
    // The parameters as inputs: `latest` reads what was assigned in the trace.
    const loss = (input: Tensor, ...given: Tensor[]): Tensor => {
      layer.parameters().forEach((parameter, i) => parameter.assign(given[i] ?? zeros(parameter.shape)));
      const y = layer.forward(input);
      return y.mul(y.add(1)).sum();
    };
    const parameters = names.map((_, i) => {
      const at = layer.parameters()[i] ?? zeros([]);
      return onGrid(tensor(at.dataSync(), at.shape));
    });
    const { first, second } = gapOfDerivatives(loss, [x, ...parameters]);
    expect(first).toBeLessThan(DIFFERENCES);
    expect(second).toBeLessThan(20 * DIFFERENCES);
  });

  it("has a Jacobian in float64 whose norm its bound is not below, and its constant not above", async () => {
    const layer = make();
    const bound = await layer.lipschitzBound();
    if (size > 20) return;
    for (const seed of [1, 2, 3]) {
      const { rows: count, matrix } = jacobian(layer, randn([1, ...sample], { seed }));
      expect(spectralNorm(matrix, count, size)).toBeLessThanOrEqual(bound * BOUND);
    }
  });
});

describe("infinite values", () => {
  const x = tensor([Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, 0], [1, 4]);
  it.each([
    [new GroupSort2(), [1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0]],
    [new FullSort(), [Number.NEGATIVE_INFINITY, 0, 1, Number.POSITIVE_INFINITY]],
    [new LPReLU(), [Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, 0]],
    [new Sigmoid(), [1, 1 / (1 + Math.exp(-1)), 0, 0.5]],
    [new Tanh(), [1, Math.tanh(1), -1, 0]],
  ])("are what they are in the limit", (layer, want) => {
    layer
      .predictSync(x)
      .held()
      .forEach((value, i) => expect(value).toBeCloseTo(want[i] ?? Number.NaN, 6));
  });
});

describe("what torchlip gets wrong", () => {
  it("LPReLU is exported with the slopes and the coefficient that it computes with, on its own", async () => {
    const layer = withState(new LPReLU({ numParameters: 3, kCoefLip: 2 }), { weight: [1.5, -9, 0.1] });
    const exported = layer.vanillaExport();
    const x = randn([4, 3, 2], { seed: 5 });
    expect(exported.predictSync(x).held()).toEqual(layer.predictSync(x).held());
    const before = exported.predictSync(x).held();
    layer.weight.assign(zeros([3]));
    expect(exported.predictSync(x).held()).toEqual(before);
    expect(await exported.lipschitzBound()).toBe(2);
  });

  it("a HouseHolder with a coefficient has that constant, given to it or shared out", async () => {
    const given = new HouseHolder(4, { kCoefLip: 0.5 });
    const x = randn([3, 4], { seed: 6 });
    const norms = (t: Tensor) => t.square().sum(1).sqrt().dataSync();
    norms(given.forward(x)).forEach((n, i) => expect(n).toBeCloseTo(0.5 * (norms(x)[i] ?? 0), 5));
    const shared = new HouseHolder(4);
    new Sequential([new SpectralLinear(4, 4), shared], { kCoefLip: 9 });
    expect(shared.kCoefLip).toBeCloseTo(3, 12);
    norms(shared.forward(x)).forEach((n, i) => expect(n).toBeCloseTo(3 * (norms(x)[i] ?? 0), 4));
  });

  it("an LPReLU with a coefficient below 1 keeps it for positive values too", async () => {
    const layer = new LPReLU({ kCoefLip: 0.5 });
    expect(Array.from(layer.predictSync(tensor([[2, -2]])).held())).toEqual([1, -0.5]);
    expect(layer.lipschitzBound()).toBe(0.5);
  });

  it("GroupSort2 pairs channels, not pixels", () => {
    const x = tensor([
      [
        [
          [4, 3],
          [2, 1],
        ],
        [
          [1, 5],
          [0, 7],
        ],
      ],
    ]);
    expect(Array.from(new GroupSort2().predictSync(x).held())).toEqual([1, 3, 0, 1, 4, 5, 2, 7]);
  });

  it("an LPReLU starts within its limits, whatever constant containers leave to it, and is learnt", () => {
    const slopes = (kCoefLip: number, options: LPReLUOptions = {}): number[] => {
      const layer = new LPReLU(options);
      new Sequential([new Sequential([layer])], { kCoefLip });
      const gradient = compile((x: Tensor) => grad(layer.forward(x).sum(), [layer.weight])[0]);
      const { numParameters } = layer.options;
      expect(Array.from(gradient.sync(ones([2, numParameters]).neg()).dataSync())).not.toContain(0);
      return Array.from(layer.weight.dataSync());
    };
    expect(slopes(1)).toEqual([0.25]);
    expect(slopes(0.25)).toEqual([0.125]);
    expect(slopes(2 ** -8, { numParameters: 2, init: -1 })).toEqual([-(2 ** -9), -(2 ** -9)]);
    expect(slopes(1, { init: 1 })).toEqual([0.5]);
    expect(slopes(0.01, { init: 0 })).toEqual([0]);
    expect(slopes(9, { kCoefLip: 0.5, init: 3 })).toEqual([0.25]);
  });

  it("an LPReLU keeps slopes that it was given, or that were read or set, and its start where a container is refused", () => {
    const given = new LPReLU({}, { weight: tensor([0.75]) });
    const [set, read, refused] = [new LPReLU(), new LPReLU(), new LPReLU()];
    set.weight.assign(tensor([0.5]));
    read.weight.dataSync();
    new Sequential([given, set, read], { kCoefLip: 2 ** -9 });
    expect([given, set, read].map(({ weight }) => weight.item())).toEqual([0.75, 0.5, 0.25]);
    const twice = new LPReLU();
    const build = () => new Sequential([refused, twice, new Sequential([twice])], { kCoefLip: 2 ** -9 });
    expect(build).toThrow(/stands in several containers/);
    expect(refused.weight.item()).toBe(0.25);
  });

  it("LPReLU has no gradient for slopes beyond its limits, and one up to them", async () => {
    const layer = withState(new LPReLU({ numParameters: 3 }), { weight: [1.5, -1, 0.9] });
    const step = compile((x: Tensor) => grad(layer.forward(x).sum(), [layer.weight])[0]);
    expect(Array.from((await step(ones([2, 3]).neg())).held())).toEqual([0, 0, -2].map((g) => g + 0));
  });
});

describe("what is refused", () => {
  it("options that do not fit, before anything is built", () => {
    for (const make of [
      () => new HouseHolder(5),
      () => new HouseHolder(0),
      () => new HouseHolder(4, { thetaInitializer: "uniform" as never }),
      () => new HouseHolder(4, { thetaInitializer: Number.NaN }),
      () => new LPReLU({ numParameters: 0 }),
      () => new LPReLU({ init: Number.POSITIVE_INFINITY }),
      () => new MaxMin({ dim: 0 }),
      () => new MaxMin({ dim: 1.5 }),
      () => new Softmax({ dim: 0 }),
      () => new FullSort({ kCoefLip: 0 }),
      () => new Sigmoid({ kCoefLip: 1 } as never),
    ]) {
      expect(codeOfSync(make)).toBe("INVALID_ARGUMENT");
    }
  });

  it("inputs of other channels, and axes of the samples", () => {
    for (const [layer, shape] of [
      [new HouseHolder(4), [2, 6]],
      [new LPReLU({ numParameters: 3 }), [2, 4]],
      [new LPReLU(), [4]],
      [new FullSort(), [4]],
      [new MaxMin({ dim: -2 }), [3, 4]],
      [new Softmax(), [3]],
    ] as const) {
      expect(codeOfSync(() => layer.forward(zeros(shape)))).toBe("SHAPE_MISMATCH");
    }
    expect(codeOfSync(() => new MaxMin({ dim: 4 }).forward(zeros([2, 3])))).toBe("INVALID_ARGUMENT");
  });

  it("values of parameters that would be broadcast", () => {
    const layer = new LPReLU({ numParameters: 3 });
    Object.assign(layer, { weight: zeros([1]) });
    expect(codeOfSync(() => layer.forward(zeros([2, 3])))).toBe("SHAPE_MISMATCH");
  });

  it("to certify angles whose sines are not known", async () => {
    const layer = withState(new HouseHolder(2), { theta: [1e6] });
    const model = new Sequential([layer, new Linear(2, 2)], { constrained: false });
    expect(await codeOf(() => certify(model, ones([1, 2])))).toBe("UNSUPPORTED");
  });
});

it("FullSort is of all channels, whose number it does not tell", () => {
  expect(new FullSort()).not.toHaveProperty("groupSize");
  expect(new FullSort().vanillaExport()).toBeInstanceOf(FullSort);
});

it("HouseHolder starts from the angles that it is told", () => {
  const theta = (thetaInitializer?: number | "zeros" | "ones" | "normal"): number[] =>
    Array.from(new HouseHolder(4, thetaInitializer === undefined ? {} : { thetaInitializer }).theta.dataSync());
  expect(theta()).toEqual([Math.fround(Math.PI / 2), Math.fround(Math.PI / 2)]);
  expect(theta(0.5)).toEqual([0.5, 0.5]);
  expect(theta("zeros")).toEqual([0, 0]);
  expect(theta("ones")).toEqual([1, 1]);
  const normal = theta("normal");
  expect(normal[0]).not.toBe(normal[1]);
});

it("HouseHolder is as exact as it promises for angles up to its limit", () => {
  for (const angle of [1e-20, 3, 100.5, 1234.5, -8000, 8191.9]) {
    const layer = withState(new HouseHolder(2), { theta: [angle] });
    const x = randn([64, 2], { seed: 8 });
    const right = reflectedPairs(x, Math.fround(angle));
    const computed = layer.predictSync(x).held();
    const exact = exactOf(layer, x);
    const values = x.dataSync();
    const { roundings } = layer.rounding();
    for (let n = 0; n < 64; n++) {
      const length = Math.hypot(values[2 * n] ?? 0, values[2 * n + 1] ?? 0);
      for (const i of [2 * n, 2 * n + 1]) {
        expect(Math.abs((computed[i] ?? Number.NaN) - (right[i] ?? 0))).toBeLessThan(roundings * 2 ** -24 * length);
        expect(Math.abs((exact[i] ?? Number.NaN) - (right[i] ?? 0))).toBeLessThan(1e-11);
      }
    }
  }
});

function reflectedPairs(x: Tensor, angle: number): number[] {
  const values = Array.from(x.dataSync());
  return Array.from({ length: values.length / 2 }, (_, n) =>
    reflected([angle])(values.slice(2 * n, 2 * n + 2), 2),
  ).flat();
}

function codeOfSync(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return String((error as { code?: string }).code);
  }
  return "nothing thrown";
}
