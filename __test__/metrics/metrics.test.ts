// Metrics on logits with known answers.

import {
  Adam,
  accuracy,
  binaryAccuracy,
  CrossEntropyLoss,
  certifiedAccuracy,
  certify,
  evaluate,
  fit,
  fromArrays,
  functional,
  GroupSort2,
  kr,
  krMulticlass,
  Linear,
  type Metric,
  manualSeed,
  meanAbsoluteError,
  meanRadius,
  meanSquaredError,
  multilabelAccuracy,
  randn,
  Sequential,
  SpectralLinear,
  TslipError,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";

/** A few float32 roundings of numbers of order 1. */
const ROUNDING = 1e-6;

describe("accuracy", () => {
  it("is the share of samples whose largest logit is that of their class", () => {
    const logits = tensor([
      [3, 1, 2],
      [0, 5, 1],
      [0, 5, 1],
      [-3, -2, -1],
    ]);
    expect(accuracy()(logits, tensor(Int32Array.of(0, 1, 2, 2))).item()).toBe(0.75);
  });

  it("takes the first of tied logits as the prediction", () => {
    const logits = tensor([
      [1, 1],
      [1, 1],
    ]);
    expect(accuracy()(logits, tensor(Int32Array.of(0, 1))).item()).toBe(0.5);
  });
});

describe("metrics of radii", () => {
  const logits = tensor([
    [3, 1, 2],
    [0, 5, 1],
    [1, 1, 0],
    [9, 0, 0],
  ]);
  const labels = tensor(Int32Array.of(0, 1, 0, 2));
  const margins = [1, 4, 0];

  it.each([-1, 1, 255])(
    "leave samples of the class %d out where they are told to, and say so to averages",
    (ignoreIndex) => {
      const [more, all] = [
        tensor([
          [3, 1, 2],
          [2, 2, Number.NaN],
          [0, 5, 1],
          [-9, 9, -9],
        ]),
        [0, ignoreIndex, 2, ignoreIndex],
      ];
      const rest = [
        tensor([
          [3, 1, 2],
          [0, 5, 1],
        ]),
        tensor(Int32Array.of(0, 2)),
      ] as const;
      const metrics = (options: object): Metric[] => [
        accuracy(options),
        certifiedAccuracy({ radius: 0.5, ...options }),
        meanRadius(options),
      ];
      const plain = metrics({});
      metrics({ ignoreIndex }).forEach((metric, i) => {
        const value = metric(more, tensor(Int32Array.from(all))).item();
        expect(value).toBeGreaterThan(0);
        expect(value).toBe(plain[i]?.(...rest).item());
        expect(metric).toHaveProperty("ignoreIndex", ignoreIndex);
        const none = Int32Array.of(ignoreIndex, ignoreIndex, ignoreIndex, ignoreIndex);
        expect(metric(more, tensor(none)).item()).toBe(0);
      });
    },
  );

  it("count samples that are told right with a radius of at least so much", () => {
    const at = (radius: number, options = {}): number =>
      certifiedAccuracy({ radius, ...options })(logits, labels).item();
    expect(at(0)).toBe(accuracy()(logits, labels).item());
    expect([at(0.7), at(0.72), at(2.82), at(2.84)]).toEqual([0.5, 0.25, 0.25, 0]);
    expect([at(0.35, { lipschitz: 2 }), at(0.36, { lipschitz: 2 })]).toEqual([0.5, 0.25]);
    expect([at(0.49, { kind: "disjoint" }), at(0.51, { kind: "disjoint" })]).toEqual([0.5, 0.25]);
  });

  it("are averages of the radii by formula, 0 where a sample is told wrong", () => {
    for (const [kind, lipschitz] of [
      ["generic", 1],
      ["disjoint", 3],
    ] as const) {
      const { radius } = functional.certificateRadius({ data: logits.dataSync(), shape: [4, 3] }, { kind, lipschitz });
      const mean = ((radius[0] ?? 0) + (radius[1] ?? 0) + (radius[2] ?? 0)) / 4;
      expect(meanRadius({ kind, lipschitz })(logits, labels).item()).toBeCloseTo(mean, 6);
    }
    expect(margins.reduce((a, b) => a + b) / (4 * Math.SQRT2)).toBeCloseTo(meanRadius()(logits, labels).item(), 6);
  });

  it("are near what certificates prove of a model that keeps its constant", async () => {
    manualSeed(5);
    const model = new SpectralLinear(6, 4, { kCoefLip: 2 });
    const x = randn([40, 6], { seed: 1 });
    const classes = Int32Array.from({ length: 40 }, (_, i) => i % 4);
    const certificates = await certify(model, x);
    const right = certificates.map(({ predicted, radius }, i) => (predicted === classes[i] ? radius : -1));
    const data = fromArrays(Float32Array.from(x.dataSync()), [40, 6], classes);
    const metrics = { certified: certifiedAccuracy({ radius: 0.2, lipschitz: 2 }), mean: meanRadius({ lipschitz: 2 }) };
    const { certified, mean } = await evaluate(model, data, { metrics });
    expect(certified).toBeCloseTo(right.filter((radius) => radius >= 0.2).length / 40, 6);
    expect(mean).toBeCloseTo(right.reduce((sum, radius) => sum + Math.max(0, radius), 0) / 40, 4);
  });

  it("take the constant of the model that is trained, whatever it is, and refuse one that keeps none", async () => {
    manualSeed(5);
    const x = randn([60, 6], { seed: 1 });
    const classes = Int32Array.from({ length: 60 }, (_, i) => i % 3);
    const data = fromArrays(Float32Array.from(x.dataSync()), [60, 6], classes);
    const metrics = { certified: certifiedAccuracy({ radius: 0.05 }), mean: meanRadius() };
    for (const model of [
      new Sequential([new SpectralLinear(6, 8), new GroupSort2(), new SpectralLinear(8, 3)], { kCoefLip: 10 }),
      new Sequential([new SpectralLinear(6, 3, { kCoefLip: 10 })]),
      new SpectralLinear(6, 3, { kCoefLip: 0.1 }),
    ]) {
      const options = { epochs: 5, batchSize: 20, loss: new CrossEntropyLoss(), optimizer: new Adam({ lr: 0.01 }) };
      await fit(model, data, { ...options, metrics, verbose: false });
      const proved = await certify(model, x, { head: "generic" });
      const right = proved.map(({ predicted, radius }, i) => (predicted === classes[i] ? radius : -1));
      const { certified, mean } = await evaluate(model, data, { metrics });
      expect(mean).toBeCloseTo(right.reduce((sum, radius) => sum + Math.max(0, radius), 0) / 60, 4);
      expect(Math.abs((certified ?? 0) * 60 - right.filter((radius) => radius >= 0.05).length)).toBeLessThanOrEqual(1);
    }
    const free = new Sequential([new Linear(6, 3)], { constrained: false });
    await expect(evaluate(free, data, { metrics })).rejects.toMatchObject({ code: "NOT_LIPSCHITZ" });
    await expect(evaluate(free, data, { metrics })).rejects.toThrow(
      /Sequential keeps none by construction; give lipschitz/,
    );
    expect((await evaluate(free, data, { metrics: { mean: meanRadius({ lipschitz: 4 }) } })).mean).toBeGreaterThan(0);
  });

  it("count no sample whose largest logit is no number, and refuse what is no margin", () => {
    const broken = tensor([
      [Number.NaN, 1],
      [Number.POSITIVE_INFINITY, 1],
    ]);
    const zeros = tensor(Int32Array.of(0, 0));
    expect(certifiedAccuracy({ radius: 0 })(broken, zeros).item()).toBe(0);
    expect(meanRadius()(broken, zeros).item()).toBe(0);
    expect(() => meanRadius()(tensor([[1], [2]]), zeros)).toThrow(/two classes or more/);
    expect(() => certifiedAccuracy({ radius: -1 })).toThrow(/radius must be finite and at least 0/);
    expect(() => meanRadius({ lipschitz: 0 })).toThrow(/lipschitz must be finite and above 0/);
  });
});

describe("logits that are NaN", () => {
  const { NaN: none, POSITIVE_INFINITY: infinite } = Number;
  it("are right for no class", () => {
    const logits = tensor([
      [none, 1],
      [1, none],
      [none, none],
      [infinite, 1],
      [2, 1],
    ]);
    for (const label of [0, 1]) {
      const value = accuracy()(logits, tensor(new Int32Array(5).fill(label))).item();
      expect(value).toBeCloseTo(label === 0 ? 1 / 5 : 0, 6);
    }
  });

  it("are right on no side of 0", () => {
    for (const label of [0, 1, -1]) {
      expect(binaryAccuracy()(tensor([none, none]), tensor([label, label])).item()).toBe(0);
    }
    expect(multilabelAccuracy()(tensor([[none, -1, none, infinite]]), tensor([[0, 0, 1, 1]])).item()).toBe(0.5);
  });

  it("make other figures NaN", () => {
    const logits = tensor([
      [none, 1],
      [2, 1],
    ]);
    const rows = tensor([
      [0, 1],
      [1, 0],
    ]);
    for (const metric of [krMulticlass(), kr(), meanSquaredError(), meanAbsoluteError()]) {
      expect(metric(logits, rows).item()).toBeNaN();
    }
  });
});

describe("krMulticlass", () => {
  it("is the mean over classes of mean logit inside minus mean logit outside", () => {
    const logits = tensor([
      [4, 0],
      [2, 1],
      [0, 5],
    ]);
    const value = krMulticlass()(logits, tensor(Int32Array.of(0, 0, 1))).item();
    expect(Math.abs(value - (3 - 0 + (5 - 0.5)) / 2)).toBeLessThan(ROUNDING);
  });

  it("is 0 and not NaN for a batch of one class", () => {
    expect(krMulticlass()(tensor([[1, 2]]), tensor(Int32Array.of(1))).item()).toBe(0);
  });
});

describe("accuracy of rows", () => {
  const logits = tensor([
    [3, 1, 2],
    [0, 5, 1],
    [0, 5, 1],
    [-3, -2, -1],
  ]);

  it("is that of their classes, in either code, and of probabilities that of the largest", () => {
    const indices = tensor(Int32Array.of(0, 1, 2, 2));
    const rows = indices.oneHot(3);
    for (const same of [rows, rows.mul(2).sub(1), rows.mul(0.7).add(0.1)]) {
      expect(accuracy()(logits, tensor(same.dataSync(), [4, 3])).item()).toBe(0.75);
    }
  });

  it("refuses rows of several classes or of none, labels without a logit, and other shapes", () => {
    const three = [1, 0, 0];
    expect(codeOf(accuracy(), logits, tensor([three, three, [1, 1, 0], three]))).toBe("LABEL_OUT_OF_RANGE");
    expect(codeOf(accuracy(), logits, tensor([three, [0, 0, 0], three, three]))).toBe("LABEL_OUT_OF_RANGE");
    expect(codeOf(accuracy(), logits, tensor(Int32Array.of(0, 1, 2, 3)))).toBe("LABEL_OUT_OF_RANGE");
    expect(codeOf(accuracy(), logits, tensor(Int32Array.of(0, 1, 2)))).toBe("SHAPE_MISMATCH");
  });
});

describe("binaryAccuracy", () => {
  it("is the share of logits on the side of their labels, 0 being negative", () => {
    const logits = [2, -1, 0, 0, 3];
    for (const [shape, code] of [
      [[5], [1, 1, 0, 1, 1]],
      [
        [5, 1],
        [1, 1, -1, 1, 1],
      ],
    ] as const) {
      expect(binaryAccuracy()(tensor(logits, shape), tensor([...code])).item()).toBeCloseTo(3 / 5, 6);
    }
    expect(binaryAccuracy()(tensor([-3]), tensor(Int32Array.of(0))).item()).toBe(1);
  });

  it("is of one logit a sample", () => {
    expect(codeOf(binaryAccuracy(), tensor([[1, 2]]), tensor([[1, 0]]))).toBe("SHAPE_MISMATCH");
    expect(codeOf(binaryAccuracy(), tensor([1, 2]), tensor([1, 3]))).toBe("LABEL_OUT_OF_RANGE");
  });
});

describe("multilabelAccuracy", () => {
  it("is the share of labels that are right, in either code", () => {
    const logits = tensor([
      [1, -1, 0.5],
      [-2, 3, -0.1],
    ]);
    const rows = tensor([
      [1, 0, 0],
      [0, 1, 1],
    ]);
    expect(multilabelAccuracy()(logits, rows).item()).toBeCloseTo(4 / 6, 6);
    expect(multilabelAccuracy()(logits, rows.mul(2).sub(1)).item()).toBeCloseTo(4 / 6, 6);
  });
});

describe("metrics of one logit, or of several labels", () => {
  const { NaN: none } = Number;

  it.each([-100, -1, 255])(
    "leave out samples whose label is ignoreIndex, here %d, and say so to averages",
    (ignoreIndex) => {
      const logits = tensor([2, none, -1, 1, none], [5, 1]);
      const labels = [1, ignoreIndex, 0, 0, ignoreIndex];
      const rest = [tensor([2, -1, 1], [3, 1]), tensor(Int32Array.of(1, 0, 0))] as const;
      for (const make of [binaryAccuracy, multilabelAccuracy, kr]) {
        const metric = make({ ignoreIndex });
        expect(metric(logits, tensor(Int32Array.from(labels))).item()).toBeCloseTo(make()(...rest).item(), 6);
        expect(metric).toHaveProperty("ignoreIndex", ignoreIndex);
        expect(metric(logits, tensor(new Int32Array(5).fill(ignoreIndex))).item()).toBe(0);
        expect(codeOf(make({ ignoreIndex }), logits, tensor([1, 0, 0, 0, 1], [5, 1]))).toBe("INVALID_ARGUMENT");
        expect(codeOf(make({ ignoreIndex }), rest[0], tensor(Int32Array.of(1, 0, 7)))).toBe("LABEL_OUT_OF_RANGE");
      }
      const several = tensor([2, -1, none, none, 1, 3], [3, 2]);
      const indices = tensor(Int32Array.of(0, ignoreIndex, 0));
      expect(multilabelAccuracy({ ignoreIndex })(several, indices).item()).toBe(0.75);
    },
  );

  it("tell of ignoreIndex where a label is none of theirs", () => {
    const labels = tensor(Int32Array.of(1, -100));
    expect(() => binaryAccuracy()(tensor([1, 2]), labels)).toThrow(/given -100 \(element 1\).*ignoreIndex/);
  });
});

describe("kr", () => {
  it("is the mean logit of the positive samples minus that of the others, 0 where there are none", () => {
    expect(kr()(tensor([4, 2, 0]), tensor([1, 1, -1])).item()).toBeCloseTo(3, 6);
    expect(kr()(tensor([4, 2]), tensor([1, 1])).item()).toBe(0);
  });
});

describe("errors of numbers", () => {
  it("are means of squares and of magnitudes, over any shape", () => {
    const [outputs, targets] = [
      tensor([
        [1, 2],
        [3, 4],
      ]),
      tensor([
        [0, 2],
        [6, 2],
      ]),
    ];
    expect(meanSquaredError()(outputs, targets).item()).toBe(14 / 4);
    expect(meanAbsoluteError()(outputs, targets).item()).toBe(6 / 4);
    expect(meanAbsoluteError()(tensor([1.5]), tensor(Int32Array.of(3))).item()).toBe(1.5);
  });

  it("refuse shapes that would broadcast", () => {
    for (const metric of [meanSquaredError(), meanAbsoluteError()]) {
      expect(codeOf(metric, tensor([[1], [2]]), tensor([1, 2]))).toBe("SHAPE_MISMATCH");
    }
  });
});

function codeOf(metric: Metric, ...of: Parameters<Metric>): string {
  try {
    metric(...of);
  } catch (error) {
    if (error instanceof TslipError) return error.code;
    throw error;
  }
  return "nothing thrown";
}
