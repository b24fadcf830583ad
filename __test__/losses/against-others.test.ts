// Soft HKR, log-sum-exp HKR and the categorical hinge against plain loops in float64.
import {
  CategoricalHingeLoss,
  compile,
  evaluate,
  fit,
  fromArrays,
  functional,
  Linear,
  type Loss,
  LseHKRMulticlassLoss,
  LseKRMulticlassLoss,
  randn,
  SGD,
  SoftHKRMulticlassLoss,
  scalar,
  type Tensor,
  TrainingState,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { compared, FLOAT32_SUMS, logitsOf, type Matrix, refusal, tensorOf, valueAndGradient } from "./reference.js";

const RIGHT = { valueIsRight: true, gradientIsRight: true };
const indices = (labels: readonly number[]): Tensor => tensor(Int32Array.from(labels));
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
const relu = (x: number): number => Math.max(0, x);

interface Soft {
  alpha: number;
  m: number;
  T: number;
}

/** torchlip's definition, sample by sample, with the factor of the softmax given. */
function softLoop(rows: Matrix, labels: readonly number[], { alpha, m }: Soft, heat: number): number {
  return mean(
    rows.map((row, i) => {
      const own = labels[i] ?? 0;
      const powers = row.map((y, c) => (c === own ? 0 : Math.exp(heat * y)));
      const sum = powers.reduce((a, b) => a + b, 0);
      let value = 0;
      row.forEach((y, c) => {
        const share = c === own ? 1 : (powers[c] ?? 0) / sum;
        const signed = c === own ? y : -y;
        value += share * (alpha * relu(m / 2 - signed) - (1 - alpha) * signed);
      });
      return value;
    }),
  );
}

const heatOf = (average: number, { m, T }: Soft): number =>
  Math.min(Math.max((T * m) / Math.min(Math.max(average, m), 20000), 0.005), 250);
const magnitude = (rows: Matrix): number => mean(rows.flat().map(Math.abs));

interface Lse {
  alpha: number;
  m: number;
  T: number;
  penalty: number;
}

function lseLoop(rows: Matrix, labels: readonly number[], { alpha, m, T, penalty }: Lse): number {
  return mean(
    rows.map((row, i) => {
      const own = labels[i] ?? 0;
      const others = row.filter((_, c) => c !== own).map((y) => T * y);
      const k = Math.log(others.length) / ((m * penalty) / 2) || 1;
      const peak = Math.max(...others);
      const q = peak + Math.log(others.reduce((sum, y) => sum + Math.exp(k * (y - peak)), 0)) / k;
      const p = T * (row[own] ?? 0);
      return alpha * (relu(m / 2 - p) + relu(m / 2 + q)) - (1 - alpha) * (p - q);
    }),
  );
}

function categoricalLoop(rows: Matrix, labels: readonly number[], m: number): number {
  return mean(
    rows.map((row, i) => {
      const own = labels[i] ?? 0;
      return relu(m - ((row[own] ?? 0) - Math.max(...row.filter((_, c) => c !== own))));
    }),
  );
}

const batches = [
  { name: "five classes", classes: 5, labels: [0, 4, 2, 2, 1, 3, 0] },
  { name: "two classes", classes: 2, labels: [0, 1, 1, 0] },
  { name: "classes that are absent", classes: 6, labels: [5, 5, 1] },
  { name: "one sample", classes: 3, labels: [1] },
];

describe.each(batches)("with $name", ({ classes, labels }) => {
  const { x, rows } = logitsOf([labels.length, classes], 21);
  const target = indices(labels);
  const convex = (alpha: number): number => (alpha > 1 ? alpha / (1 + alpha) : alpha);

  it.each([0, 0.3, 1, 4])("the log-sum-exp HKR loss of alpha %d is the loop's", (alpha) => {
    for (const rest of [
      { m: 1, T: 1, penalty: 1 },
      { m: 0.4, T: 3, penalty: 0.5 },
      { m: 2, T: 0.25, penalty: 4 },
    ]) {
      const { m, T, penalty } = rest;
      const loss = new LseHKRMulticlassLoss({ alpha, minMargin: m, temperature: T, penalty });
      const loop = (y: Matrix): number => lseLoop(y, labels, { alpha: convex(alpha), ...rest });
      expect(compared(valueAndGradient(loss, x, target), rows, loop)).toEqual(RIGHT);
    }
  });

  it("the log-sum-exp KR loss is the HKR one of alpha 0", () => {
    const options = { minMargin: 0.5, temperature: 2 };
    const loop = (y: Matrix): number => lseLoop(y, labels, { alpha: 0, m: 0.5, T: 2, penalty: 1 });
    expect(compared(valueAndGradient(new LseKRMulticlassLoss(options), x, target), rows, loop)).toEqual(RIGHT);
  });

  it.each([0, 0.3, 1, 4])("soft HKR of alpha %d is the loop's, at the heat of its running mean", (alpha) => {
    for (const [m, T] of [
      [1, 1],
      [0.1, 5],
      [0.02, 0.5],
    ] as const) {
      const soft = { alpha: convex(alpha), m, T };
      const average = 0.9 * m + 0.1 * magnitude(rows);
      const loss = new SoftHKRMulticlassLoss({ alpha, minMargin: m, temperature: T, alphaMean: 0.9 });
      const loop = (y: Matrix): number => softLoop(y, labels, soft, heatOf(average, soft));
      expect(compared(valueAndGradient(loss, x, target), rows, loop)).toEqual(RIGHT);
      expect(loss.currentMean.item()).toBeCloseTo(Math.max(average, 0.005), 5);
      const twin = functional.softHkrMulticlass(x, target, { alpha, minMargin: m, temperature: T, mean: average });
      expect(twin.item()).toBeCloseTo(loop(rows), 4);
      const alone = functional.softHkrMulticlass(x, target, { alpha, minMargin: m, temperature: T });
      expect(alone.item()).toBeCloseTo(softLoop(rows, labels, soft, heatOf(magnitude(rows), soft)), 4);
    }
  });

  it("the categorical hinge is the loop's", () => {
    for (const m of [0, 0.3, 2]) {
      const loop = (y: Matrix): number => categoricalLoop(y, labels, m);
      const got = valueAndGradient(new CategoricalHingeLoss({ minMargin: m }), x, target);
      expect(compared(got, rows, loop)).toEqual(RIGHT);
    }
  });

  const losses: [string, (options: object) => Loss][] = [
    ["soft HKR", (options) => new SoftHKRMulticlassLoss(options)],
    ["log-sum-exp HKR", (options) => new LseHKRMulticlassLoss({ alpha: 0.5, ...options })],
    ["log-sum-exp KR", (options) => new LseKRMulticlassLoss(options)],
    ["the categorical hinge", (options) => new CategoricalHingeLoss(options)],
  ];

  it.each(losses)("%s takes rows of both codes, and has the sum and the mean of its values", (_, make) => {
    const code = target.oneHot(classes);
    const [zeroOne, plusMinus] = [code, code.mul(2).sub(1)].map((t) => tensor(t.dataSync(), t.shape));
    const value = make({}).forward(x, target).item();
    expect(
      make({})
        .forward(x, zeroOne as Tensor)
        .item(),
    ).toBe(value);
    expect(
      make({})
        .forward(x, plusMinus as Tensor)
        .item(),
    ).toBe(value);
    const each = Array.from(make({ reduction: "none" }).forward(x, target).dataSync());
    expect(each).toHaveLength(labels.length);
    expect(Math.abs(mean(each) - value)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(value)));
    const sum = make({ reduction: "sum" }).forward(x, target).item();
    expect(Math.abs(sum - value * labels.length)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(sum)));
    expect(make({ reduction: "auto" }).forward(x, target).item()).toBe(value);
  });

  it.each(losses)("%s leaves out ignored samples, whatever their logits are", (_, make) => {
    const more = x.concat(tensor(new Float32Array(classes).fill(Number.NaN), [1, classes]), 0);
    const given = tensor(more.dataSync(), [labels.length + 1, classes]);
    const { value } = valueAndGradient(make({ ignoreIndex: -1 }), given, indices([...labels, -1]));
    const alone = valueAndGradient(make({}), x, target).value;
    expect(Math.abs(value - alone)).toBeLessThan(FLOAT32_SUMS * (1 + Math.abs(alone)));
    const none = make({ ignoreIndex: -1 }).forward(x, indices(labels.map(() => -1)));
    expect(Math.abs(none.item())).toBe(0);
  });

  it.each(losses)("%s is NaN for NaN, and finite for ties and for logits of any finite size", (_, make) => {
    const bad = Float32Array.from(x.dataSync());
    bad[0] = Number.NaN;
    expect(make({}).forward(tensor(bad, x.shape), target).item()).toBeNaN();
    for (const size of [0, 1e-30, 1, 1e4, 1e30]) {
      const { value, gradient } = valueAndGradient(make({}), x.sign().mul(size), target);
      expect(Number.isFinite(value)).toBe(true);
      expect(gradient.every(Number.isFinite)).toBe(true);
    }
  });
});

describe("log-sum-exp HKR with two classes", () => {
  it("is finite, and takes the other logit as it is", () => {
    const [logits, target] = [tensor([0.5, -1, 2, 3], [2, 2]), indices([0, 1])];
    const loss = new LseHKRMulticlassLoss({ alpha: 0.5, minMargin: 1, temperature: 1, penalty: 1 });
    const { value, gradient } = valueAndGradient(loss, logits, target);
    // p = 0.5, q = -1: hinge 0 + 0, KR 1.5; p = 3, q = 2: hinge 0 + 2.5, KR 1.
    expect(value).toBeCloseTo((-0.75 + (1.25 - 0.5)) / 2, 6);
    expect(gradient.map((g) => g * 4)).toEqual([-1, 1, 2, -1]);
  });

  it("may have a masked class among three", () => {
    const logits = tensor([0.5, Number.NEGATIVE_INFINITY, 2], [1, 3]);
    const { value, gradient } = valueAndGradient(new LseKRMulticlassLoss(), logits, indices([0]));
    expect(value).toBeCloseTo(1.5, 6);
    expect(gradient).toEqual([-1, 0, 1]);
  });
});

describe("the running mean of soft HKR", () => {
  const images = Float32Array.from(randn([12, 3], { seed: 1 }).dataSync());
  const data = fromArrays(
    images,
    [12, 3],
    Array.from({ length: 12 }, (_, i) => i % 3),
  );

  it("moves in each call of forward, at once as in a compiled function, and the value is that of the mean it has moved to", () => {
    const { x } = logitsOf([4, 3], 5);
    const t = indices([0, 1, 2, 0]);
    const options = { minMargin: 0.1, temperature: 5, alphaMean: 0.5 };
    const [eager, compiled] = [new SoftHKRMulticlassLoss(options), new SoftHKRMulticlassLoss(options)];
    const step = compile((y: Tensor, target: Tensor) => compiled.forward(y, target));
    for (let call = 0; call < 3; call += 1) {
      const value = eager.forward(x, t);
      expect(value.item()).toBeCloseTo(step.sync(x, t).item(), 6);
      expect(value.item()).toBe(value.item());
      expect(eager.currentMean.item()).toBeCloseTo(compiled.currentMean.item(), 6);
    }
    const size = x.abs().mean().item();
    expect(compiled.currentMean.item()).toBeCloseTo(0.125 * 0.1 + 0.875 * size, 5);
  });

  it("is written in training, and in evaluation is not", async () => {
    const [model, loss] = [new Linear(3, 3), new SoftHKRMulticlassLoss({ minMargin: 0.25, alphaMean: 0.5 })];
    await evaluate(model, data, { loss });
    expect(loss.currentMean.item()).toBe(0.25);
    const options = { epochs: 1, batchSize: 4, loss, optimizer: new SGD({ lr: 0 }), shuffle: false, verbose: false };
    await fit(model, data, { ...options, validation: data });
    let expected = 0.25;
    for (let batch = 0; batch < 3; batch += 1) {
      const size = model.forward(data.batch(batch, 4).images).abs().mean().item();
      expected = 0.5 * expected + 0.5 * size;
    }
    expect(loss.currentMean.item()).toBeCloseTo(expected, 5);
  });

  it("is a state that is listed, saved and put back", async () => {
    const [model, loss, optimizer] = [new Linear(3, 3), new SoftHKRMulticlassLoss(), new SGD({ lr: 0.1 })];
    expect(loss.namedStates("loss.").map(([name]) => name)).toEqual(["loss.currentMean"]);
    const training = new TrainingState({ model, optimizer, loss });
    await fit(model, data, { epochs: 1, batchSize: 4, loss, optimizer, verbose: false });
    const kept = await training.snapshot();
    const value = loss.currentMean.item();
    expect(value).not.toBe(1);
    expect(kept["loss.currentMean"]?.item()).toBe(value);
    await fit(model, data, { epochs: 1, batchSize: 4, loss, optimizer, verbose: false });
    expect(loss.currentMean.item()).not.toBe(value);
    await training.restore(kept);
    expect(loss.currentMean.item()).toBe(value);
  });

  it("keeps from 0.005 to 1000", () => {
    const loss = new SoftHKRMulticlassLoss({ minMargin: 0.001, alphaMean: 0 });
    loss.forward(tensor([0, 0], [1, 2]), indices([0]));
    expect(loss.currentMean.item()).toBeCloseTo(0.005, 8);
    loss.forward(tensor([1e6, 1e6], [1, 2]), indices([0]));
    expect(loss.currentMean.item()).toBe(1000);
  });

  it("stays where no sample counts, and is of those that count", () => {
    const loss = new SoftHKRMulticlassLoss({ ignoreIndex: -1, alphaMean: 0.5 });
    loss.forward(tensor([4, 2, 8, 8], [2, 2]), indices([-1, -1]));
    expect(loss.currentMean.item()).toBe(1);
    loss.forward(tensor([4, 2, 8, 8], [2, 2]), indices([0, -1]));
    expect(loss.currentMean.item()).toBe(2);
  });

  it("starts at a margin that is a tensor", () => {
    expect(new SoftHKRMulticlassLoss({ minMargin: scalar(0.5) }).currentMean.item()).toBe(0.5);
  });
});

describe("soft HKR on rows with several positive labels", () => {
  it("counts each of them once, and is finite for samples that have all labels or none", () => {
    const rows = [
      [1, -2, 0.375],
      [0.25, 1, -1],
      [0, 1, 2],
    ];
    const positive = [
      [1, 1, 1],
      [0, 0, 0],
      [1, 0, 1],
    ];
    const soft = { m: 1, T: 1 };
    const heat = 1;
    const loop = (y: Matrix): number =>
      mean(
        y.map((row, i) => {
          const own = (c: number): boolean => (positive[i]?.[c] ?? 0) > 0;
          const sum = row.reduce((s, v, c) => s + (own(c) ? 0 : Math.exp(heat * v)), 0);
          return row.reduce(
            (s, v, c) => s + (own(c) ? relu(soft.m / 2 - v) : (Math.exp(heat * v) / sum) * relu(0.5 + v)),
            0,
          );
        }),
      );
    const loss = new SoftHKRMulticlassLoss({ alpha: 1 });
    expect(compared(valueAndGradient(loss, tensorOf(rows), tensorOf(positive)), rows, loop)).toEqual(RIGHT);
  });
});

describe("losses of one class a sample", () => {
  const x = tensor([1, 2, 3, 4], [2, 2]);

  it("refuse rows of several classes and of none, at once or as NaN where they are computed on the way", () => {
    for (const loss of [new LseHKRMulticlassLoss(), new CategoricalHingeLoss(), new LseKRMulticlassLoss()]) {
      for (const rows of [
        [1, 1, 0, 1],
        [0, 0, 0, 1],
      ]) {
        const error = refusal(() => loss.forward(x, tensor(rows, [2, 2])));
        expect(error.code).toBe("LABEL_OUT_OF_RANGE");
        expect(error.message).toMatch(/names no single class/);
        const step = compile((t: Tensor) => loss.forward(x, t.mul(1)));
        expect(step.sync(tensor(rows, [2, 2])).item()).toBeNaN();
      }
    }
  });

  it("refuse one logit, and options out of range", () => {
    const one = tensor([1, 2], [2, 1]);
    for (const loss of [new LseHKRMulticlassLoss(), new CategoricalHingeLoss(), new SoftHKRMulticlassLoss()]) {
      expect(refusal(() => loss.forward(one, indices([0, 0]))).code).toBe("SHAPE_MISMATCH");
    }
    const refused: (() => unknown)[] = [
      () => new LseHKRMulticlassLoss({ minMargin: 0 }),
      () => new LseHKRMulticlassLoss({ penalty: 0 }),
      () => new LseHKRMulticlassLoss({ temperature: -1 }),
      () => new LseHKRMulticlassLoss({ alpha: Number.NaN }),
      () => new SoftHKRMulticlassLoss({ alphaMean: 1.5 }),
      () => new SoftHKRMulticlassLoss({ minMargin: 0 }),
      () => new CategoricalHingeLoss({ minMargin: -1 }),
      () => new LseHKRMulticlassLoss({ alpha: tensor([1, 2]) }),
    ];
    expect(refused.map((run) => refusal(run).code)).toEqual(refused.map(() => "INVALID_ARGUMENT"));
  });
});
