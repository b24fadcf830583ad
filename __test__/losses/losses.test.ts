// Losses against plain loops in float64, and what they refuse.

import {
  accuracy,
  CrossEntropyLoss,
  compile,
  functional,
  grad,
  HingeMulticlassLoss,
  HKRMulticlassLoss,
  KRMulticlassLoss,
  krMulticlass,
  type Loss,
  MSELoss,
  randn,
  type Tensor,
  TslipError,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";

/** Sums of a few hundred float32 terms of order 1: relative rounding stays well below this. */
const FLOAT32_SUMS = 2e-6;

const labelsOf = (labels: readonly number[]): Tensor => tensor(Int32Array.from(labels));

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

/** Mean over classes that have members and others of (mean logit of the members - mean logit of the others). */
function krLoop(rows: number[][], labels: readonly number[]): number {
  const classes = rows[0]?.length ?? 0;
  const differences: number[] = [];
  for (let c = 0; c < classes; c++) {
    let [inside, outside, members] = [0, 0, 0];
    rows.forEach((row, i) => {
      if (labels[i] === c) {
        inside += row[c] ?? 0;
        members += 1;
      } else outside += row[c] ?? 0;
    });
    const others = rows.length - members;
    if (members > 0 && others > 0) differences.push(inside / members - outside / others);
  }
  return differences.length === 0 ? 0 : differences.reduce((a, b) => a + b, 0) / differences.length;
}

function hingeLoop(rows: number[][], labels: readonly number[], margin: number): number {
  let sum = 0;
  let count = 0;
  rows.forEach((row, i) => {
    row.forEach((y, c) => {
      const own = labels[i] === c;
      sum += (own ? row.length - 1 : 1) * Math.max(0, margin - (own ? y : -y));
      count += 1;
    });
  });
  return sum / count;
}

function logitsOf(samples: number, classes: number, seed: number): { x: Tensor; rows: number[][] } {
  const x = randn([samples, classes], { seed });
  const flat = Array.from(x.dataSync());
  return { x, rows: Array.from({ length: samples }, (_, i) => flat.slice(i * classes, (i + 1) * classes)) };
}

const valueAndGradient = (loss: Loss, logits: Tensor, target: Tensor): { value: number; gradient: number[] } => {
  const step = compile((x: Tensor, t: Tensor) => {
    const value = loss.forward(x, t);
    return { value, gradient: grad(value, [x])[0] };
  });
  const { value, gradient } = step.sync(logits, target);
  return { value: value.item(), gradient: Array.from(gradient.data()) };
};

const cases: { name: string; samples: number; classes: number; labels: readonly number[] }[] = [
  { name: "ten classes", samples: 64, classes: 10, labels: Array.from({ length: 64 }, (_, i) => (i * 7) % 10) },
  { name: "classes absent from the batch", samples: 5, classes: 8, labels: [1, 1, 6, 6, 1] },
  { name: "a batch of one class alone", samples: 4, classes: 3, labels: [2, 2, 2, 2] },
  { name: "two classes", samples: 7, classes: 2, labels: [0, 1, 1, 0, 1, 1, 1] },
  { name: "a batch of one sample", samples: 1, classes: 4, labels: [3] },
];

describe.each(cases)("with $name", ({ samples, classes, labels }) => {
  const { x, rows } = logitsOf(samples, classes, 11);
  const target = labelsOf(labels);
  const check = (loss: Loss, expected: number): void => {
    const { value, gradient } = valueAndGradient(loss, x, target);
    expect(Math.abs(value - expected)).toBeLessThanOrEqual(FLOAT32_SUMS * (1 + Math.abs(expected)) * 10);
    expect(gradient.every(Number.isFinite)).toBe(true);
  };

  it("the additive HKR loss is alpha hinge - KR with whole margins", () => {
    check(
      new HKRMulticlassLoss({ alpha: 100, minMargin: 0.25 }),
      100 * hingeLoop(rows, labels, 0.25) - krLoop(rows, labels),
    );
    check(
      new HKRMulticlassLoss({ alpha: 0.5, minMargin: 1, form: "additive" }),
      0.5 * hingeLoop(rows, labels, 1) - krLoop(rows, labels),
    );
  });

  it("the convex HKR loss weighs with alpha / (1 + alpha) above 1 and halves margins", () => {
    for (const alpha of [0, 0.3, 1, 10]) {
      const weight = alpha > 1 ? alpha / (1 + alpha) : alpha;
      check(
        new HKRMulticlassLoss({ alpha, minMargin: 0.7, form: "convex" }),
        weight * hingeLoop(rows, labels, 0.35) - (1 - weight) * krLoop(rows, labels),
      );
    }
  });

  it("an infinite alpha leaves the hinge alone", () => {
    check(new HKRMulticlassLoss({ alpha: Number.POSITIVE_INFINITY, minMargin: 0.4 }), hingeLoop(rows, labels, 0.4));
    const convex = new HKRMulticlassLoss({ alpha: Number.POSITIVE_INFINITY, minMargin: 0.4, form: "convex" });
    check(convex, hingeLoop(rows, labels, 0.2));
  });

  it("the KR value leaves out classes without members or without others", () => {
    check(new KRMulticlassLoss(), krLoop(rows, labels));
  });

  it("cross-entropy is the mean of log-sum-exp minus the class's logit", () => {
    const expected =
      rows.reduce((sum, row, i) => {
        const largest = Math.max(...row);
        const total = row.reduce((s, y) => s + Math.exp(y - largest), 0);
        return sum + largest + Math.log(total) - (row[labels[i] ?? 0] ?? 0);
      }, 0) / samples;
    check(new CrossEntropyLoss(), expected);
  });

  it("the gradient is that of central differences of the float64 loops", () => {
    const loss = (r: number[][]): number => 10 * hingeLoop(r, labels, 0.3) - krLoop(r, labels);
    const { gradient } = valueAndGradient(new HKRMulticlassLoss({ alpha: 10, minMargin: 0.3 }), x, target);
    const step = 1e-6;
    // Differences of float64 sums over 2e-6 are good to about 1e-9; entries at a corner within the step are none here.
    const DIFFERENCES = 1e-5;
    rows.forEach((row, i) => {
      row.forEach((_, c) => {
        const moved = (by: number): number[][] =>
          rows.map((r, k) => (k === i ? r.map((y, j) => (j === c ? y + by : y)) : r));
        const slope = (loss(moved(step)) - loss(moved(-step))) / (2 * step);
        expect(Math.abs((gradient[i * classes + c] ?? Number.NaN) - slope)).toBeLessThan(DIFFERENCES);
      });
    });
  });
});

describe("targets", () => {
  const { x } = logitsOf(4, 3, 2);

  it("mean the same as labels and as one-hot rows of any element type", () => {
    const labels = labelsOf([2, 0, 1, 1]);
    const loss = new HKRMulticlassLoss({ alpha: 5 });
    const { value } = valueAndGradient(loss, x, labels);
    for (const dtype of ["f32", "i32", "u8"] as const) {
      expect(valueAndGradient(loss, x, labels.oneHot(3).cast(dtype)).value).toBe(value);
    }
    expect(valueAndGradient(loss, x, labels.cast("u8")).value).toBe(value);
  });

  it("of a wrong shape or type are refused with both shapes", () => {
    const loss = new HKRMulticlassLoss({ alpha: 5 });
    for (const target of [labelsOf([0, 1]), tensor([0, 1, 2, 1]), randn([4, 2], { seed: 1 }), tensor(1)]) {
      expect(codeOf(() => loss.forward(x, target))).toBe("SHAPE_MISMATCH");
      expect(codeOf(() => new KRMulticlassLoss().forward(x, target))).toBe("SHAPE_MISMATCH");
      expect(codeOf(() => new CrossEntropyLoss().forward(x, target))).toBe("SHAPE_MISMATCH");
    }
    expect(codeOf(() => loss.forward(randn([4], { seed: 1 }), labelsOf([0, 1, 2, 1])))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => loss.forward(x.cast("i32"), labelsOf([0, 1, 2, 1])))).toBe("DTYPE_MISMATCH");
    expect(codeOf(() => new CrossEntropyLoss().forward(randn([4], { seed: 1 }), labelsOf([0, 1, 2, 1])))).toBe(
      "SHAPE_MISMATCH",
    );
  });
});

describe("the hinge", () => {
  it("is 0 with gradient 0 on its corner", () => {
    const onCorner = tensor([[0.25, -0.25, -0.25]]);
    const loss = new HingeMulticlassLoss({ minMargin: 0.25, form: "additive" });
    const { value, gradient } = valueAndGradient(loss, onCorner, labelsOf([0]));
    expect([value, ...gradient].map(Math.abs)).toEqual([0, 0, 0, 0]);
  });

  it("reduces to the mean, the sum or a value a sample", () => {
    const { x, rows } = logitsOf(6, 4, 3);
    const labels = [0, 1, 2, 3, 3, 0];
    const each = rows.map((row, i) => hingeLoop([row], [labels[i] ?? 0], 0.5));
    const of = (reduction: "mean" | "sum" | "none"): number[] =>
      Array.from(new HingeMulticlassLoss({ reduction }).forward(x, labelsOf(labels)).dataSync());
    const total = each.reduce((a, b) => a + b, 0);
    const near = (given: number[], expected: number[]): void => {
      expect(given.length).toBe(expected.length);
      given.forEach((value, i) => {
        expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThan(FLOAT32_SUMS * 10 * total);
      });
    };
    near(of("none"), each);
    near(of("sum"), [total]);
    near(of("mean"), [total / 6]);
  });
});

describe("the KR value", () => {
  it("is the mean of the values it gives with reduction none", () => {
    const { x, rows } = logitsOf(9, 3, 5);
    const labels = [0, 0, 1, 2, 2, 2, 1, 0, 0];
    const none = Array.from(new KRMulticlassLoss({ reduction: "none" }).forward(x, labelsOf(labels)).dataSync());
    expect(none).toHaveLength(9);
    const mean = none.reduce((a, b) => a + b, 0) / 9;
    expect(Math.abs(mean - krLoop(rows, labels))).toBeLessThan(FLOAT32_SUMS * 10);
    const sum = new KRMulticlassLoss({ reduction: "sum" }).forward(x, labelsOf(labels)).item();
    expect(Math.abs(sum - 9 * krLoop(rows, labels))).toBeLessThan(FLOAT32_SUMS * 90);
  });
});

describe("cross-entropy", () => {
  it("stays finite, with finite gradients, for logits of 1e4", () => {
    const { value, gradient } = valueAndGradient(
      new CrossEntropyLoss(),
      tensor([
        [1e4, -1e4],
        [0, 1e4],
      ]),
      labelsOf([1, 1]),
    );
    expect(value).toBe(1e4);
    expect(gradient.every(Number.isFinite)).toBe(true);
  });

  it("with label smoothing mixes in the uniform distribution", () => {
    const smoothed = new CrossEntropyLoss({ labelSmoothing: 0.3 }).forward(tensor([[1, 2, 4]]), labelsOf([2])).item();
    const log = Math.log(Math.exp(1) + Math.exp(2) + Math.exp(4));
    const expected = 0.7 * (log - 4) + 0.1 * (3 * log - 7);
    expect(Math.abs(smoothed - expected)).toBeLessThan(FLOAT32_SUMS * 10);
  });
});

describe("mean squared error", () => {
  it("is the mean of squares and refuses what does not broadcast", () => {
    expect(new MSELoss().forward(tensor([1, 2, 4]), tensor([0, 2, 1])).item()).toBeCloseTo(10 / 3, 6);
    expect(new MSELoss({ reduction: "sum" }).forward(tensor([1, 2, 4]), tensor([0, 2, 1])).item()).toBe(10);
    expect(codeOf(() => new MSELoss().forward(tensor([1, 2, 4]), tensor([0, 2])))).toBe("SHAPE_MISMATCH");
  });

  it("refuses shapes that would silently broadcast", () => {
    expect(codeOf(() => new MSELoss().forward(randn([4, 1], { seed: 1 }), randn([4], { seed: 1 })))).toBe(
      "SHAPE_MISMATCH",
    );
  });
});

describe("constructors", () => {
  it("refuse alpha of at most 1 without a form, and say what the forms are", () => {
    for (const alpha of [0, 0.5, 1]) {
      expect(() => new HKRMulticlassLoss({ alpha })).toThrow(/form: "additive".*form: "convex"/);
    }
    expect(codeOf(() => new HKRMulticlassLoss({ alpha: 1 }))).toBe("INVALID_ARGUMENT");
  });

  it("refuse options out of range", () => {
    const refused: (() => unknown)[] = [
      () => new HKRMulticlassLoss({ alpha: Number.NaN }),
      () => new HKRMulticlassLoss({ alpha: -1, form: "additive" }),
      () => new HKRMulticlassLoss({ alpha: -1, form: "convex" }),
      () => new HKRMulticlassLoss({ alpha: "10" as unknown as number }),
      () => new HKRMulticlassLoss({ alpha: 10, minMargin: -0.1 }),
      () => new HKRMulticlassLoss({ alpha: 10, minMargin: Number.NaN }),
      () => new HKRMulticlassLoss({ alpha: 10, minMargin: Number.POSITIVE_INFINITY }),
      () => new HKRMulticlassLoss({ alpha: 10, form: "other" as "convex" }),
      () => new HingeMulticlassLoss({ minMargin: -1 }),
      () => new HingeMulticlassLoss({ reduction: "max" as "sum" }),
      () => new KRMulticlassLoss({ reduction: "max" as "sum" }),
      () => new MSELoss({ reduction: "max" as "sum" }),
      () => new CrossEntropyLoss({ labelSmoothing: 1.1 }),
      () => new CrossEntropyLoss({ labelSmoothing: Number.NaN }),
    ];
    expect(refused.map(codeOf)).toEqual(refused.map(() => "INVALID_ARGUMENT"));
  });

  it("refuse misspelt options as functions and metrics do, but not the further fields of a loss of one's own", () => {
    const { x } = logitsOf(4, 2, 1);
    const labels = labelsOf([0, 1, 0, 1]);
    const misspelt = { alpha: 10, minMargn: 2 };
    const index = { ignoreIndx: 0 };
    for (const call of [
      () => new HKRMulticlassLoss(misspelt),
      () => functional.hkrMulticlass(x, labels, misspelt),
      () => functional.hkr(x, labels.oneHot(2), misspelt),
      () => functional.krMulticlass(x, labels, index as object),
      () => functional.crossEntropy(x, labels, index as object),
      () => accuracy(index as object),
      () => krMulticlass(index as object),
      () => new MSELoss("sum" as unknown as object),
    ]) {
      expect(codeOf(call)).toBe("INVALID_ARGUMENT");
    }
    expect(() => new HKRMulticlassLoss(misspelt)).toThrow(/has no option "minMargn"; did you mean "minMargin"/);
    class Twice extends HKRMulticlassLoss {
      readonly times = 2;
      override forward(logits: Tensor, target: Tensor): Tensor {
        return functional.hkrMulticlass(logits, target, this).mul(this.times);
      }
    }
    const [own, once] = [new Twice({ alpha: 10 }), new HKRMulticlassLoss({ alpha: 10 })];
    expect(own.forward(x, labels).item()).toBe(2 * once.forward(x, labels).item());
  });

  it("refuse them as functions too", () => {
    const { x } = logitsOf(4, 2, 1);
    const labels = labelsOf([0, 1, 0, 1]);
    const missing = undefined as unknown as { alpha: number };
    const refused: (() => unknown)[] = [
      () => functional.hkrMulticlass(x, labels, missing),
      () => functional.hkrMulticlass(x, labels, { alpha: 1 }),
      () => functional.hkrMulticlass(x, labels, { alpha: 10, minMargin: Number.NaN }),
      () => functional.hkrMulticlass(x, labels, { alpha: 10, form: "other" as "convex" }),
      () => functional.hingeMulticlass(x, labels, { minMargin: -1 }),
      () => functional.hingeMulticlass(x, labels, { form: "other" as "convex" }),
      () => functional.krMulticlass(x, labels, { reduction: "max" as "sum" }),
      () => functional.crossEntropy(x, labels, { labelSmoothing: 2 }),
      () => functional.meanSquaredError(x, x, { reduction: "max" as "sum" }),
    ];
    expect(refused.map(codeOf)).toEqual(refused.map(() => "INVALID_ARGUMENT"));
  });
});

describe("functional twins", () => {
  it("give the values of the classes", () => {
    const { x } = logitsOf(6, 3, 9);
    const labels = labelsOf([0, 1, 2, 0, 1, 2]);
    const pairs: [Tensor, Tensor][] = [
      [functional.hkrMulticlass(x, labels, { alpha: 7 }), new HKRMulticlassLoss({ alpha: 7 }).forward(x, labels)],
      [functional.hingeMulticlass(x, labels), new HingeMulticlassLoss().forward(x, labels)],
      [functional.krMulticlass(x, labels), new KRMulticlassLoss().forward(x, labels)],
      [functional.crossEntropy(x, labels), new CrossEntropyLoss().forward(x, labels)],
      [functional.meanSquaredError(x, x.mul(2)), new MSELoss().forward(x, x.mul(2))],
    ];
    for (const [twin, own] of pairs) expect(twin.item()).toBe(own.item());
  });
});
