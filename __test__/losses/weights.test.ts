// Weights of samples and of classes: plain loops in float64, PyTorch's semantics, and what fit makes of a weighted loss.
import {
  CategoricalHingeLoss,
  CertificateRegularization,
  CrossEntropyLoss,
  compile,
  EMMALoss,
  evaluate,
  fit,
  fromArrays,
  full,
  functional,
  grad,
  HingeMarginLoss,
  HingeMulticlassLoss,
  HKRLoss,
  HKRMulticlassLoss,
  KRLoss,
  KRMulticlassLoss,
  Linear,
  LogitAnnealingLoss,
  type Loss,
  LseHKRMulticlassLoss,
  MSELoss,
  OffsetCrossEntropyLoss,
  randn,
  SGD,
  SoftHKRMulticlassLoss,
  state,
  TauBCEWithLogitsLoss,
  TauCrossEntropyLoss,
  type Tensor,
  tensor,
  WeighableLoss,
  WeightedLoss,
} from "tslip";
import { describe, expect, it } from "vitest";
import { FLOAT32_SUMS, logitsOf, refusal, valueAndGradient } from "./reference.js";

const indices = (labels: readonly number[]): Tensor => tensor(Int32Array.from(labels));
const near = (value: number, to: number): void => {
  expect(Math.abs(value - to)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(to)));
};
/** Whole numbers, so that a sample of weight w is the sample w times. */
const WEIGHTS = [2, 0, 1, 3, 1, 0, 2];
const LABELS = [0, 1, 2, 1, 0, 2, 2];
const repeated = <T>(values: readonly T[]): T[] => values.flatMap((v, i) => new Array<T>(WEIGHTS[i] ?? 0).fill(v));

const makers: [string, (options: object) => Loss][] = [
  ["KR", (o) => new KRMulticlassLoss(o)],
  ["hinge", (o) => new HingeMulticlassLoss(o)],
  ["additive HKR", (o) => new HKRMulticlassLoss({ alpha: 7, ...o })],
  ["convex HKR", (o) => new HKRMulticlassLoss({ alpha: 0.4, form: "convex", ...o })],
  ["cross-entropy", (o) => new CrossEntropyLoss({ labelSmoothing: 0.1, ...o })],
  ["cross-entropy with a temperature", (o) => new TauCrossEntropyLoss({ tau: 3, ...o })],
  ["log-sum-exp HKR", (o) => new LseHKRMulticlassLoss({ alpha: 0.5, ...o })],
  // Its running mean is of the samples, each of which it counts once.
  ["soft HKR", (o) => new SoftHKRMulticlassLoss({ alphaMean: 1, ...o })],
  ["categorical hinge", (o) => new CategoricalHingeLoss(o)],
  ["EMMA", (o) => new EMMALoss({ epsilon: 0.2, ...o })],
  ["logit annealing", (o) => new LogitAnnealingLoss(o)],
  ["cross-entropy with an offset", (o) => new OffsetCrossEntropyLoss(o)],
  ["regularization", (o) => new CertificateRegularization({ loss: new CrossEntropyLoss(o), gamma: 0.5 })],
];

describe("a sample of weight w counts as if it were there w times", () => {
  const { x, rows } = logitsOf([LABELS.length, 3], 41);
  const many = repeated(rows);
  const all = tensor(Float32Array.from(many.flat()), [many.length, 3]);
  const target = indices(LABELS);
  const targets = indices(repeated(LABELS));
  const weights = tensor(WEIGHTS);

  it.each(makers)("for %s", (_, make) => {
    for (const reduction of ["mean", "sum"]) {
      const weighted = new WeightedLoss(make({ reduction }), { sampleWeights: weights });
      const { value, gradient } = valueAndGradient(weighted, x, target);
      const right = valueAndGradient(make({ reduction }), all, targets);
      near(value, right.value);
      const at = new Map<number, number[]>();
      let row = 0;
      WEIGHTS.forEach((w, i) => {
        at.set(
          i,
          [0, 1, 2].map((c) =>
            Array.from({ length: w }, (__, k) => right.gradient[(row + k) * 3 + c] ?? 0).reduce((a, b) => a + b, 0),
          ),
        );
        row += w;
      });
      gradient.forEach((slope, k) => near(slope, at.get(Math.floor(k / 3))?.[k % 3] ?? Number.NaN));
    }
  });

  it.each(makers)("for %s, whose values are those of the mean times the weights", (_, make) => {
    const each = new WeightedLoss(make({ reduction: "none" }), { sampleWeights: weights })
      .forward(x, target)
      .dataSync();
    expect(each).toHaveLength(LABELS.length);
    const sum = Array.from(each).reduce((a, b) => a + b, 0);
    const mean = new WeightedLoss(make({}), { sampleWeights: weights }).forward(x, target).item();
    near(sum / WEIGHTS.reduce((a, b) => a + b, 0), mean);
    expect([each[1], each[5]].map((v) => Math.abs(v ?? 1))).toEqual([0, 0]);
  });

  it.each(makers)("for %s: a sample of weight 0 may have any logits, and weights of 0 alone give 0", (_, make) => {
    const other = Float32Array.from(x.dataSync());
    other[3] = Number.NaN;
    const value = (logits: Tensor, w: Tensor): number =>
      new WeightedLoss(make({}), { sampleWeights: w }).forward(logits, target).item();
    near(value(tensor(other, x.shape), weights), value(x, weights));
    expect(Math.abs(value(x, full([LABELS.length], 0)))).toBe(0);
  });

  it.each(makers)("for %s: a sample of an ignored class, or of a class of weight 0, may have any logits", (_, make) => {
    for (const broken of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const other = Float32Array.from(x.dataSync()).fill(broken, 3, 6).fill(broken, 9, 12);
      for (const options of [{ ignoreIndex: 1 }, { classWeights: [1, 0, 2] }]) {
        // Label smoothing gives such samples terms of other classes.
        const plain = { ...options, ...("classWeights" in options ? { labelSmoothing: 0 } : {}) };
        const [one, right] = [tensor(other, x.shape), x].map((logits) =>
          valueAndGradient(make("labelSmoothing" in make({}) ? plain : options), logits, target),
        );
        expect(one?.value).toBe(right?.value);
        expect(one?.gradient.map(Math.abs)).toEqual(right?.gradient.map(Math.abs));
      }
    }
  });

  it("nor do they reach the last layer, by whose rows differences of logits are judged", () => {
    const other = tensor(Float32Array.from(x.dataSync()).fill(Number.NaN, 3, 6), x.shape);
    const head = tensor([1, 0.5, 0, 1, -1, 0.25], [3, 2]);
    for (const make of [
      (h: Tensor) => new EMMALoss({ epsilon: 0.2, kind: "pairwise", head: h }),
      (h: Tensor) =>
        new CertificateRegularization({ loss: new CrossEntropyLoss(), gamma: 0.5, kind: "pairwise", head: h }),
    ]) {
      const slopes = (logits: Tensor): number[] => {
        const of = compile((h: Tensor) => grad(make(h).forward(logits, target, weights), [h])[0]);
        return Array.from(of.sync(head).dataSync());
      };
      expect(slopes(other)).toEqual(slopes(x));
    }
  });

  it.each(makers)("for %s: weights times a constant change no mean", (_, make) => {
    for (const factor of [1e-20, 1e10]) {
      const weighted = new WeightedLoss(make({}), { sampleWeights: weights.mul(factor) });
      near(
        weighted.forward(x, target).item(),
        new WeightedLoss(make({}), { sampleWeights: weights }).forward(x, target).item(),
      );
    }
  });

  it.each(makers)("for %s: classWeights are weights of samples by their class", (_, make) => {
    const classWeights = [3, 0.5, 1];
    const bySample = tensor(LABELS.map((label) => classWeights[label] ?? 0));
    const weighted = new WeightedLoss(make({}), { classWeights }).forward(x, target).item();
    near(weighted, new WeightedLoss(make({}), { sampleWeights: bySample }).forward(x, target).item());
    const both = new WeightedLoss(make({}), { classWeights, sampleWeights: weights }).forward(x, target).item();
    near(both, new WeightedLoss(make({}), { sampleWeights: bySample.mul(weights) }).forward(x, target).item());
    const oneHot = target.oneHot(3);
    const rowsToo = new WeightedLoss(make({}), { classWeights }).forward(x, tensor(oneHot.dataSync(), oneHot.shape));
    near(rowsToo.item(), weighted);
  });

  it("in KR values with several labels and labels that all or no samples of weight have", () => {
    const positive = [
      [1, 0, 1],
      [0, 1, 0],
      [1, 1, 0],
      [1, 0, 0],
      [1, 1, 0],
      [0, 1, 1],
      [1, 0, 0],
    ];
    const flat = tensor(Float32Array.from(positive.flat()), [7, 3]);
    const repeatedRows = tensor(Float32Array.from(repeated(positive).flat()), [many.length, 3]);
    for (const [of, weighted] of [
      [new KRLoss(), new WeightedLoss(new KRLoss(), { sampleWeights: weights })],
      [new HKRLoss({ alpha: 3 }), new WeightedLoss(new HKRLoss({ alpha: 3 }), { sampleWeights: weights })],
    ] as const) {
      near(weighted.forward(x, flat).item(), of.forward(all, repeatedRows).item());
    }
    // The first label is that of all samples that weigh: it has no others, whatever sums of weights round to.
    const thirds = tensor([0.1, 0, 0.7, 0.3, 1 / 3, 0, 0.9]);
    const value = new WeightedLoss(new KRLoss(), { sampleWeights: thirds }).forward(x, flat).item();
    expect(Math.abs(value)).toBeLessThan(10);
  });
});

describe("weights of binary losses", () => {
  const { x, rows } = logitsOf([7, 1], 43);
  const labels = [0, 1, 1, 0, 1, 0, 1];
  const target = tensor(labels, [7, 1]);
  const many = tensor(repeated(rows.flat()), [9, 1]);
  const targets = tensor(repeated(labels), [9, 1]);
  const losses: [string, () => Loss][] = [
    ["KR", () => new KRLoss()],
    ["hinge", () => new HingeMarginLoss()],
    ["HKR", () => new HKRLoss({ alpha: 5 })],
    ["cross-entropy", () => new TauBCEWithLogitsLoss({ tau: 2 })],
    ["squared error", () => new MSELoss()],
  ];

  it.each(losses)("count samples of %s as often as they weigh", (_, make) => {
    const weighted = new WeightedLoss(make(), { sampleWeights: tensor(WEIGHTS) });
    near(weighted.forward(x, target).item(), make().forward(many, targets).item());
  });

  it.each(losses)("of two classes are those of the sides of %s", (_, make) => {
    const bySample = tensor(labels.map((label) => (label === 1 ? 0.5 : 3)));
    const weighted = new WeightedLoss(make(), { classWeights: [3, 0.5] });
    const right = new WeightedLoss(make(), { sampleWeights: bySample }).forward(x, target).item();
    near(weighted.forward(x, target).item(), right);
    near(weighted.forward(x.reshape([7]), tensor(labels)).item(), right);
  });
});

describe("classWeights of cross-entropy", () => {
  const { x, rows } = logitsOf([5, 3], 45);
  const labels = [0, 2, 1, 1, 0];
  const weight = [0.5, 2, 3];
  const log = rows.map((row) => {
    const total = Math.log(row.reduce((sum, y) => sum + Math.exp(y), 0));
    return row.map((y) => y - total);
  });

  it.each([0, 0.2])("are PyTorch's weight for class indices, with label smoothing %d", (smoothing) => {
    const each = log.map((row, i) => {
      const own = labels[i] ?? 0;
      return -row.reduce(
        (sum, l, c) => sum + (weight[c] ?? 0) * l * ((c === own ? 1 - smoothing : 0) + smoothing / 3),
        0,
      );
    });
    const sum = each.reduce((a, b) => a + b, 0);
    const options = { classWeights: weight, labelSmoothing: smoothing };
    near(new CrossEntropyLoss({ ...options, reduction: "sum" }).forward(x, indices(labels)).item(), sum);
    const whole = labels.reduce((total, label) => total + (weight[label] ?? 0), 0);
    near(new CrossEntropyLoss(options).forward(x, indices(labels)).item(), sum / whole);
    const none = new CrossEntropyLoss({ ...options, reduction: "none" }).forward(x, indices(labels)).dataSync();
    none.forEach((value, i) => near(value, each[i] ?? Number.NaN));
    const tau = new TauCrossEntropyLoss({ ...options, tau: 2 });
    near(tau.forward(x.mul(0.5), indices(labels)).item(), sum / whole / 2);
    // An ignored sample has no part in the divisor.
    const ignoring = new CrossEntropyLoss({ ...options, ignoreIndex: 1 }).forward(x, indices(labels)).item();
    const kept = [0, 1, 4];
    const [value, parts] = [each, labels.map((label) => weight[label] ?? 0)].map((list) =>
      kept.reduce((total, i) => total + (list[i] ?? 0), 0),
    );
    near(ignoring, (value ?? 0) / (parts ?? 1));
  });

  it("divide the mean over rows of probabilities by the number of samples, as PyTorch", () => {
    const shares = [
      [0.5, 0.25, 0.25],
      [0, 1, 0],
      [0.25, 0.25, 0.5],
      [1, 0, 0],
      [0, 0.5, 0.5],
    ];
    const each = log.map((row, i) => -row.reduce((sum, l, c) => sum + (weight[c] ?? 0) * l * (shares[i]?.[c] ?? 0), 0));
    const target = tensor(Float32Array.from(shares.flat()), [5, 3]);
    near(new CrossEntropyLoss({ classWeights: weight }).forward(x, target).item(), each.reduce((a, b) => a + b, 0) / 5);
  });
});

describe("classWeights of the HKR loss", () => {
  it("count each sample of a class as often as it weighs", () => {
    const { x, rows } = logitsOf([4, 3], 46);
    const labels = [0, 1, 2, 1];
    const [more, others] = [
      [...rows, rows[1] ?? [], rows[3] ?? []],
      [...labels, 1, 1],
    ];
    const loss = new HKRMulticlassLoss({ alpha: 4, classWeights: [1, 2, 1] });
    const right = new HKRMulticlassLoss({ alpha: 4 }).forward(
      tensor(Float32Array.from(more.flat()), [6, 3]),
      indices(others),
    );
    near(loss.forward(x, indices(labels)).item(), right.item());
    near(
      new HKRMulticlassLoss({ ...loss, classWeights: tensor([1, 2, 1]) }).forward(x, indices(labels)).item(),
      right.item(),
    );
  });
});

describe("binary cross-entropy with a temperature", () => {
  it("has no part of a positive label whose factor is 0, whatever its logit", () => {
    const loss = new TauBCEWithLogitsLoss({ tau: 2, posWeight: [0, 1] });
    const target = tensor([1, 1, 0, 1], [2, 2]);
    for (const broken of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const [one, right] = [broken, 5].map((y) => valueAndGradient(loss, tensor([y, 1, 2, 3], [2, 2]), target));
      expect(one).toEqual(right);
    }
  });

  it("is PyTorch's, with factors of positive labels", () => {
    const { x, rows } = logitsOf([4, 3], 47);
    const positive = [
      [1, 0, 1],
      [0, 0, 0],
      [1, 1, 1],
      [0, 1, 0],
    ];
    const factor = [1, 2, 0.5];
    const each = rows.map((row, i) =>
      row.map((y, c) => {
        const [z, t] = [3 * y, positive[i]?.[c] ?? 0];
        return ((factor[c] ?? 1) * t * Math.log1p(Math.exp(-z)) + (1 - t) * Math.log1p(Math.exp(z))) / 3;
      }),
    );
    const target = tensor(Float32Array.from(positive.flat()), [4, 3]);
    const of = (reduction: "mean" | "sum" | "none"): number[] =>
      Array.from(new TauBCEWithLogitsLoss({ tau: 3, posWeight: factor, reduction }).forward(x, target).dataSync());
    const sum = each.flat().reduce((a, b) => a + b, 0);
    near(of("mean")[0] ?? Number.NaN, sum / 12);
    near(of("sum")[0] ?? Number.NaN, sum);
    of("none").forEach((value, i) => near(value, (each[i] ?? []).reduce((a, b) => a + b, 0) / 3));
  });

  it("has the slope -1/2 of a positive label at 0, and is finite for logits of any size", () => {
    const loss = new TauBCEWithLogitsLoss({ tau: 1 });
    expect(valueAndGradient(loss, tensor([0]), tensor([1])).gradient).toEqual([-0.5]);
    expect(valueAndGradient(loss, tensor([0]), tensor([0])).gradient).toEqual([0.5]);
    for (const size of [1e3, 1e30]) {
      const { value, gradient } = valueAndGradient(loss, tensor([size, -size]), tensor([0, 1]));
      expect(value).toBeCloseTo(size, -24);
      expect(gradient).toEqual([0.5, -0.5]);
      expect(valueAndGradient(loss, tensor([size, -size]), tensor([1, 0])).value).toBe(0);
    }
  });
});

describe("several devices", () => {
  const { x } = logitsOf([6, 3], 48);
  const target = indices([0, 1, 2, 0, 1, 2]).oneHot(3);

  it("give in the mean over equal parts of a batch the value of the whole", () => {
    const processed = functional.processLabelsForMultiGpu(target);
    const part = (t: Tensor, at: number): Tensor => t.slice([at * 3, 0], [at * 3 + 3, 3]);
    for (const [one, whole] of [
      [new KRMulticlassLoss({ multiGpu: true }), new KRMulticlassLoss()],
      [
        new HKRMulticlassLoss({ alpha: 0.6, form: "convex", multiGpu: true }),
        new HKRMulticlassLoss({ alpha: 0.6, form: "convex" }),
      ],
      [new KRLoss({ multiGpu: true }), new KRLoss()],
      [new HKRLoss({ alpha: 3, multiGpu: true }), new HKRLoss({ alpha: 3 })],
    ] as const) {
      const right = whole.forward(x, target).item();
      near(one.forward(x, processed).item(), right);
      near(
        (one.forward(part(x, 0), part(processed, 0)).item() + one.forward(part(x, 1), part(processed, 1)).item()) / 2,
        right,
      );
    }
  });

  it("refuse class indices, and weights", () => {
    const loss = new KRMulticlassLoss({ multiGpu: true });
    expect(refusal(() => loss.forward(x, indices([0, 1, 2, 0, 1, 2]))).message).toMatch(/processLabelsForMultiGpu/);
    const weighted = new WeightedLoss(loss, { sampleWeights: full([6], 1) });
    expect(refusal(() => weighted.forward(x, target)).code).toBe("INVALID_ARGUMENT");
    expect(refusal(() => functional.processLabelsForMultiGpu(tensor([0, 2]))).code).toBe("SHAPE_MISMATCH");
    expect(refusal(() => functional.processLabelsForMultiGpu(tensor([[0, 2]]))).code).toBe("LABEL_OUT_OF_RANGE");
  });
});

describe("a loss of the user's own", () => {
  it("gets none of the outputs of samples of weight 0", () => {
    const broken = tensor([1, 2, Number.NaN, Number.POSITIVE_INFINITY], [2, 2]);
    const weighted = new WeightedLoss(own, { sampleWeights: tensor([3, 0]) });
    expect(valueAndGradient(weighted, broken, t)).toEqual({ value: 2.5, gradient: [1, 2, 0, 0] });
  });

  const own: Loss = { forward: (y, t) => y.sub(t).square().mean(1) };
  const y = tensor([1, 2, 3, 4], [2, 2]);
  const t = tensor([0, 0, 0, 0], [2, 2]);

  it("is weighed where it gives one value a sample", () => {
    expect(new WeightedLoss(own, { sampleWeights: tensor([3, 1]) }).forward(y, t).item()).toBeCloseTo(
      (3 * 2.5 + 12.5) / 4,
      6,
    );
  });

  it("takes weights itself as a WeighableLoss", () => {
    class Absolute extends WeighableLoss {
      forward(output: Tensor, target: Tensor, weights?: Tensor): Tensor {
        return output
          .sub(target)
          .abs()
          .mean(1)
          .mul(weights ?? 1)
          .sum();
      }
    }
    const weighted = new WeightedLoss(new Absolute(), { sampleWeights: tensor([3, 1]) });
    expect(weighted.forward(y, t).item()).toBeCloseTo(3 * 1.5 + 3.5, 6);
  });

  it("is refused where it does not, also if it replaces forward of one of the library", () => {
    class Replaced extends MSELoss {
      override forward(output: Tensor, target: Tensor): Tensor {
        return super.forward(output, target).mul(2);
      }
    }
    for (const loss of [{ forward: (a: Tensor, b: Tensor) => a.sub(b).square().mean() }, new Replaced()]) {
      const weighted = new WeightedLoss(loss, { sampleWeights: tensor([3, 1]) });
      expect(refusal(() => weighted.forward(y, t)).code).toBe("SHAPE_MISMATCH");
      expect(new WeightedLoss(loss).forward(y, t).item()).toBe(loss.forward(y, t).item());
    }
  });
});

describe("weights", () => {
  const { x } = logitsOf([3, 2], 49);
  const target = indices([0, 1, 1]);

  it("are refused where no class counts, unless they are a state, which may change", () => {
    for (const classWeights of [[0, 0, 0], tensor([0, 0])]) {
      for (const make of [
        () => new CrossEntropyLoss({ classWeights }),
        () => new HKRMulticlassLoss({ alpha: 5, classWeights }),
        () => new WeightedLoss(new HingeMulticlassLoss(), { classWeights }),
      ]) {
        expect(refusal(make).code).toBe("INVALID_ARGUMENT");
        expect(refusal(make).message).toMatch(
          /classWeights must be above 0 for at least one class; none of the [23] is/,
        );
      }
    }
    expect(refusal(() => new HingeMulticlassLoss({ classWeights: state(tensor([0, 0])) })).code).toBe("nothing thrown");
    // The terms of negative labels are left.
    expect(refusal(() => new TauBCEWithLogitsLoss({ tau: 1, posWeight: 0 })).code).toBe("nothing thrown");
  });

  it("are refused where there are more or fewer than samples or classes, and where they are negative or not finite", () => {
    const of = (options: object) => () => new WeightedLoss(new CrossEntropyLoss(), options).forward(x, target);
    const wrong: [() => unknown, string][] = [
      [of({ sampleWeights: tensor([1, 2]) }), "SHAPE_MISMATCH"],
      [of({ sampleWeights: tensor([1, 2, 3], [3, 1]) }), "SHAPE_MISMATCH"],
      [of({ sampleWeights: tensor([1]), classWeights: [1, 2] }), "SHAPE_MISMATCH"],
      [of({ sampleWeights: tensor(Int32Array.of(1, 2, 3)) }), "SHAPE_MISMATCH"],
      [of({ classWeights: [1, 2, 3] }), "SHAPE_MISMATCH"],
      [of({ sampleWeights: tensor([1, -2, 1]) }), "INVALID_ARGUMENT"],
      [of({ classWeights: [1, Number.NaN] }), "INVALID_ARGUMENT"],
      [of({ classWeights: ["a", 1] }), "INVALID_ARGUMENT"],
      [of({ sampleWeights: [1, 1, 1] }), "INVALID_ARGUMENT"],
      [of({ sampleWeight: tensor([1, 1, 1]) }), "INVALID_ARGUMENT"],
      [() => new HKRMulticlassLoss({ alpha: 5, classWeights: [1, 1, 1] }).forward(x, target), "SHAPE_MISMATCH"],
      [() => new WeightedLoss({} as Loss), "INVALID_ARGUMENT"],
    ];
    expect(wrong.map(([run]) => refusal(run).code)).toEqual(wrong.map(([, code]) => code));
  });

  it("that are an argument of a compiled function are looked at in each call", async () => {
    const step = compile((y: Tensor, t: Tensor, w: Tensor) => {
      const loss = new CrossEntropyLoss().forward(y, t, w);
      return { loss, slopes: grad(loss, [y])[0] };
    });
    const { loss } = await step(x, target, tensor([1, 0, 2]));
    near(
      loss.item(),
      new WeightedLoss(new CrossEntropyLoss(), { sampleWeights: tensor([1, 0, 2]) }).forward(x, target).item(),
    );
    expect(() => step.sync(x, target, tensor([1, -1, 1]))).toThrow(/at least 0/);
  });

  it("in a state change without a new recording, and are listed", () => {
    const sampleWeights = state(full([3], 1), { name: "weights" });
    const loss = new WeightedLoss(new SoftHKRMulticlassLoss(), { sampleWeights });
    expect(loss.namedStates().map(([name]) => name)).toEqual(["sampleWeights", "loss.currentMean"]);
    const plain = new WeightedLoss(new CrossEntropyLoss(), { sampleWeights });
    const step = compile((y: Tensor, t: Tensor) => plain.forward(y, t));
    near(step.sync(x, target).item(), new CrossEntropyLoss().forward(x, target).item());
    sampleWeights.assign(tensor([0, 0, 1]));
    near(step.sync(x, target).item(), new CrossEntropyLoss().forward(x.slice([2, 0], [3, 2]), indices([1])).item());
  });

  it("of classes train a model as a data set does that has the classes as often", async () => {
    const images = Float32Array.from(randn([6, 2], { seed: 5 }).dataSync());
    const labels = [0, 1, 0, 1, 0, 0];
    const order = [0, 1, 1, 2, 3, 3, 4, 5];
    const many = Float32Array.from(order.flatMap((i) => [images[2 * i] ?? 0, images[2 * i + 1] ?? 0]));
    const sets = [
      fromArrays(images, [6, 2], labels),
      fromArrays(
        many,
        [8, 2],
        order.map((i) => labels[i] ?? 0),
      ),
    ] as const;
    const trained: number[][] = [];
    for (const [k, data] of sets.entries()) {
      const inner = new HKRMulticlassLoss({ alpha: 2 });
      const loss = k === 0 ? new WeightedLoss(inner, { classWeights: [1, 2] }) : inner;
      const model = new Linear(2, 2, {}, { weight: tensor([1, 0, 0, 1], [2, 2]), bias: tensor([0, 0]) });
      const optimizer = new SGD({ lr: 0.1 });
      await fit(model, data, { epochs: 3, batchSize: data.length, loss, optimizer, shuffle: false, verbose: false });
      const { loss: value } = await evaluate(model, data, { loss });
      trained.push([value ?? Number.NaN, ...(await model.weight.data())]);
    }
    trained[0]?.forEach((value, i) => near(value, trained[1]?.[i] ?? Number.NaN));
  });
});

describe("factors of classes and labels that are not as many as these", () => {
  const logits = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  const labels = tensor([0, 2], [2], { dtype: "i32" });
  const lengths = (count: number): number[] => Array.from({ length: count }, () => 2);
  const makers: [string, (factors: number[]) => Tensor][] = [
    ["crossEntropy", (classWeights) => functional.crossEntropy(logits, labels, { classWeights })],
    ["tauCrossEntropy", (classWeights) => functional.tauCrossEntropy(logits, labels, { tau: 2, classWeights })],
    ["krMulticlass", (classWeights) => functional.krMulticlass(logits, labels, { classWeights })],
    ["hkrMulticlass", (classWeights) => functional.hkrMulticlass(logits, labels, { alpha: 2, classWeights })],
    [
      "tauBceWithLogits",
      (posWeight) => functional.tauBceWithLogits(logits, tensor([0, 1, 1, 0, 0, 1], [2, 3]), { tau: 1, posWeight }),
    ],
  ];

  it.each(makers)("are refused by %s, where they would broadcast too", (name, loss) => {
    expect(Number.isFinite(loss(lengths(3)).item())).toBe(true);
    // One number is one of all labels, as in PyTorch; one of all classes is no weight of a class.
    for (const count of name === "tauBceWithLogits" ? [0, 2, 4] : [1, 2, 4]) {
      expect(refusal(() => loss(lengths(count)))).toMatchObject({
        code: "SHAPE_MISMATCH",
        message: expect.stringMatching(
          new RegExp(`(posWeight|classWeights) are f32 \\[3\\].*given f32 \\[${count}\\]`),
        ),
      });
    }
  });

  it("of one label are one", () => {
    const loss = (posWeight: number[]) => () =>
      functional.tauBceWithLogits(tensor([[1], [-2]]), tensor([1, 0]), { tau: 1, posWeight });
    expect(refusal(loss([1, 2, 3])).code).toBe("SHAPE_MISMATCH");
    expect(refusal(loss([])).code).toBe("SHAPE_MISMATCH");
  });
});
