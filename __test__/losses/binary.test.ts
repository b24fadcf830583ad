// Losses of one logit a sample, and of several labels a sample, against plain loops in float64.
import {
  compile,
  functional,
  grad,
  HingeMarginLoss,
  HingeMulticlassLoss,
  HKRLoss,
  HKRMulticlassLoss,
  KRLoss,
  KRMulticlassLoss,
  type Loss,
  MSELoss,
  NegKRLoss,
  randn,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import {
  compared,
  FLOAT32_SUMS,
  hingeLoop,
  krLoop,
  logitsOf,
  type Matrix,
  refusal,
  tensorOf,
  valueAndGradient,
} from "./reference.js";

const RIGHT = { valueIsRight: true, gradientIsRight: true };

const batches: { name: string; positive: number[][] }[] = [
  { name: "one logit a sample", positive: [1, 0, 0, 1, 1, 0, 1].map((t) => [t]) },
  { name: "one sample", positive: [[1]] },
  { name: "negative samples alone", positive: [[0], [0], [0]] },
  { name: "many samples", positive: Array.from({ length: 97 }, (_, i) => [(i * i) % 3 === 1 ? 1 : 0]) },
  {
    name: "several labels a sample",
    positive: [
      [1, 0, 1, 0],
      [0, 0, 0, 0],
      [1, 1, 1, 0],
      [0, 1, 0, 0],
      [1, 1, 0, 0],
    ],
  },
];

describe.each(batches)("with $name", ({ positive }) => {
  const labels = positive[0]?.length ?? 0;
  const { x, rows } = logitsOf([positive.length, labels], 5);
  const target = tensorOf(positive);
  const losses: { name: string; loss: Loss; loop: (y: Matrix) => number }[] = [
    { name: "KR", loss: new KRLoss(), loop: (y) => krLoop(y, positive) },
    { name: "negated KR", loss: new NegKRLoss(), loop: (y) => -krLoop(y, positive) },
    {
      name: "hinge with half margins",
      loss: new HingeMarginLoss({ minMargin: 0.7 }),
      loop: (y) => hingeLoop(y, positive, 0.35),
    },
    {
      name: "hinge with whole margins",
      loss: new HingeMarginLoss({ minMargin: 0.7, form: "additive" }),
      loop: (y) => hingeLoop(y, positive, 0.7),
    },
    {
      name: "additive HKR",
      loss: new HKRLoss({ alpha: 10, minMargin: 0.4 }),
      loop: (y) => 10 * hingeLoop(y, positive, 0.4) - krLoop(y, positive),
    },
    ...[0, 0.3, 1, 4].map((alpha) => {
      const weight = alpha > 1 ? alpha / (1 + alpha) : alpha;
      return {
        name: `convex HKR of alpha ${alpha}`,
        loss: new HKRLoss({ alpha, minMargin: 0.9, form: "convex" }),
        loop: (y: Matrix) => weight * hingeLoop(y, positive, 0.45) - (1 - weight) * krLoop(y, positive),
      };
    }),
    {
      name: "HKR of an infinite alpha",
      loss: new HKRLoss({ alpha: Number.POSITIVE_INFINITY, minMargin: 0.4 }),
      loop: (y) => hingeLoop(y, positive, 0.4),
    },
  ];

  it.each(losses)("$name has the value and the gradient of the loop", ({ loss, loop }) => {
    expect(compared(valueAndGradient(loss, x, target), rows, loop)).toEqual(RIGHT);
  });

  it.each(losses)("$name gives the same bits for 0/1 and -1/+1, of any element type", ({ loss }) => {
    const { value } = valueAndGradient(loss, x, target);
    const signs = target.mul(2).sub(1);
    for (const same of [signs, signs.cast("i32"), target.cast("u8"), target.cast("bool")]) {
      expect(valueAndGradient(loss, x, tensor(same.dataSync(), same.shape, { dtype: same.dtype })).value).toBe(value);
    }
  });

  it.each(losses.filter(({ name }) => name !== "HKR of an infinite alpha"))(
    "$name of each sample has the mean and the sum that the reductions give",
    ({ loss }) => {
      const own = loss.constructor as new (options: object) => Loss;
      const of = (reduction: string): number[] =>
        Array.from(new own({ ...loss, reduction }).forward(x, target).dataSync());
      const each = of("none");
      expect(each).toHaveLength(positive.length);
      const sum = each.reduce((a, b) => a + b, 0);
      const room = FLOAT32_SUMS * (1 + each.reduce((a, b) => a + Math.abs(b), 0));
      expect(Math.abs((of("sum")[0] ?? Number.NaN) - sum)).toBeLessThan(room);
      expect(Math.abs((of("mean")[0] ?? Number.NaN) - sum / each.length)).toBeLessThan(room);
    },
  );
});

describe("binary losses", () => {
  it("take logits and labels of shape [n] and [n, 1] alike", () => {
    const column = randn([5, 1], { seed: 2 });
    const flat = column.reshape([5]);
    const labels = [1, 0, 0, 1, 1];
    for (const loss of [new KRLoss(), new HingeMarginLoss(), new HKRLoss({ alpha: 5 })]) {
      const value = loss.forward(column, tensor(labels, [5, 1])).item();
      expect(loss.forward(flat, tensor(labels)).item()).toBe(value);
      expect(loss.forward(flat, tensor(labels, [5, 1])).item()).toBe(value);
      expect(loss.forward(column, tensor(Int32Array.from(labels))).item()).toBe(value);
      expect(loss.forward(flat, tensor(labels.map((t) => t === 1))).item()).toBe(value);
    }
  });

  it("take labels of any shape behind the samples", () => {
    const logits = randn([4, 2, 3], { seed: 3 });
    const labels = tensor(Array.from({ length: 24 }, (_, i) => (i % 5 === 0 ? 1 : 0)));
    const loss = new HKRLoss({ alpha: 3 });
    const flat = loss.forward(logits.reshape([4, 6]), labels.reshape([4, 6])).item();
    expect(loss.forward(logits, labels.reshape([4, 2, 3])).item()).toBe(flat);
  });

  it("take class indices as rows with one positive label", () => {
    const { x } = logitsOf([4, 3], 8);
    const indices = tensor(Int32Array.of(2, 0, 1, 1));
    const rows = indices.oneHot(3);
    for (const loss of [new KRLoss(), new HingeMarginLoss(), new HKRLoss({ alpha: 5 })]) {
      expect(loss.forward(x, indices).item()).toBe(loss.forward(x, rows).item());
    }
  });

  it("are 0 with gradient 0 on the hinge's corner", () => {
    const loss = new HingeMarginLoss({ minMargin: 0.5 });
    const { value, gradient } = valueAndGradient(loss, tensor([0.25, -0.25]), tensor([1, -1]));
    expect([value, ...gradient].map(Math.abs)).toEqual([0, 0, 0]);
  });

  it("are as classes and as functions the same", () => {
    const { x } = logitsOf([6, 1], 4);
    const t = tensor([1, 0, 1, 1, 0, 0]);
    const pairs: [Tensor, Tensor][] = [
      [functional.kr(x, t), new KRLoss().forward(x, t)],
      [functional.negKr(x, t), new NegKRLoss().forward(x, t)],
      [functional.hingeMargin(x, t), new HingeMarginLoss().forward(x, t)],
      [functional.hkr(x, t, { alpha: 7 }), new HKRLoss({ alpha: 7 }).forward(x, t)],
    ];
    for (const [twin, own] of pairs) expect(twin.item()).toBe(own.item());
  });

  it("refuse options out of range", () => {
    const { x } = logitsOf([2, 1], 4);
    const refused: (() => unknown)[] = [
      () => new HKRLoss({ alpha: 1 }),
      () => new HKRLoss({ alpha: Number.NaN }),
      () => new HKRLoss({ alpha: 10, minMargin: -1 }),
      () => new HKRLoss({ alpha: 10, reduction: "max" as "sum" }),
      () => new HKRLoss(undefined as unknown as { alpha: number }),
      () => new HingeMarginLoss({ form: "other" as "convex" }),
      () => new KRLoss({ reduction: "max" as "sum" }),
      () => new NegKRLoss({ reduction: "max" as "sum" }),
      () => functional.kr(x, x, { reduction: "max" as "sum" }),
      () => functional.hkr(x, x, { alpha: 0.5 }),
    ];
    expect(refused.map((run) => refusal(run).code)).toEqual(refused.map(() => "INVALID_ARGUMENT"));
  });
});

describe("multiclass losses on rows with several positive labels", () => {
  const positive = [
    [1, 0, 1],
    [0, 0, 0],
    [1, 1, 1],
    [0, 1, 0],
  ];
  const { x, rows } = logitsOf([4, 3], 6);

  it("weigh each positive label as much as all other labels", () => {
    const target = tensorOf(positive);
    const hinge = new HingeMulticlassLoss({ minMargin: 0.6, form: "additive" });
    expect(compared(valueAndGradient(hinge, x, target), rows, (y) => hingeLoop(y, positive, 0.6, 2))).toEqual(RIGHT);
    const hkr = new HKRMulticlassLoss({ alpha: 9, minMargin: 0.6 });
    const loop = (y: Matrix): number => 9 * hingeLoop(y, positive, 0.6, 2) - krLoop(y, positive);
    expect(compared(valueAndGradient(hkr, x, target), rows, loop)).toEqual(RIGHT);
    expect(compared(valueAndGradient(new KRMulticlassLoss(), x, target), rows, (y) => krLoop(y, positive))).toEqual(
      RIGHT,
    );
  });
});

describe("mean squared error", () => {
  it.each([[[7]], [[5, 1]], [[4, 3]], [[2, 3, 2, 2]], [[1, 1]]])("of shape %j is that of the loop", (shape) => {
    const [y, t] = [randn(shape, { seed: 1 }), randn(shape, { seed: 2 })];
    const flat = Array.from(t.dataSync());
    const loop = ([row = []]: Matrix): number =>
      row.reduce((sum, value, i) => sum + (value - (flat[i] ?? 0)) ** 2, 0) / flat.length;
    const got = valueAndGradient(new MSELoss(), y, t);
    expect(compared(got, [Array.from(y.dataSync())], loop)).toEqual(RIGHT);
  });

  it("takes whole numbers as numbers", () => {
    expect(new MSELoss().forward(tensor([0.5, 2]), tensor(Int32Array.of(1, 4))).item()).toBe(2.125);
  });

  it("has the gradient by the targets too", () => {
    const step = compile((y: Tensor, t: Tensor) => ({ g: grad(new MSELoss().forward(y, t), [t])[0] }));
    expect(Array.from(step.sync(tensor([1, 2]), tensor([0, 5])).g.data())).toEqual([-1, 3]);
  });
});
