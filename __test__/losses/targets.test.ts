// What targets mean: one reading for all losses, and errors for what is no target.
import {
  accuracy,
  binaryAccuracy,
  CrossEntropyLoss,
  compile,
  functional,
  HingeMarginLoss,
  HingeMulticlassLoss,
  HKRLoss,
  HKRMulticlassLoss,
  KRLoss,
  KRMulticlassLoss,
  kr,
  krMulticlass,
  type Loss,
  type Metric,
  MSELoss,
  multilabelAccuracy,
  state,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { FLOAT32_SUMS, logitsOf, refusal, valueAndGradient } from "./reference.js";

const indices = (...labels: number[]): Tensor => tensor(Int32Array.from(labels));
const ofClasses: [string, Loss][] = [
  ["hinge", new HingeMulticlassLoss({ minMargin: 1, form: "additive" })],
  ["KR", new KRMulticlassLoss()],
  ["HKR", new HKRMulticlassLoss({ alpha: 5 })],
  ["cross-entropy", new CrossEntropyLoss({ labelSmoothing: 0.1 })],
];

const metricsOfClasses: [string, Metric][] = [
  ["accuracy", accuracy()],
  ["krMulticlass", krMulticlass()],
];

describe("rows", () => {
  it("of both codes are the same to losses of signs and to metrics", () => {
    const { x } = logitsOf([5, 4], 6);
    const [, ...told] = x.argmax(1).dataSync();
    const zeros = indices(3, ...told).oneHot(4);
    const [zeroOne, plusMinus] = [zeros, zeros.mul(2).sub(1)].map((rows) => tensor(rows.dataSync(), rows.shape));
    for (const of of [
      ...[new KRLoss(), new HingeMarginLoss(), new HKRLoss({ alpha: 5 })].map(
        (loss) =>
          (y: Tensor, t: Tensor): Tensor =>
            loss.forward(y, t),
      ),
      ...metricsOfClasses.map(([, metric]) => metric),
      multilabelAccuracy(),
      kr(),
    ]) {
      const value = of(x, zeroOne as Tensor).item();
      expect(value).not.toBe(0);
      expect(of(x, plusMinus as Tensor).item()).toBe(value);
    }
    const column = x.slice([0, 0], [5, 1]);
    for (const metric of [binaryAccuracy(), kr()]) {
      expect(metric(column, tensor([[1], [-1], [-1], [1], [1]])).item()).toBe(
        metric(column, indices(1, 0, 0, 1, 1)).item(),
      );
    }
  });

  it("of -1/+1 give the hinge that rows of 0/1 give", () => {
    const logits = tensor([[2, -1, 0.5]]);
    for (const row of [
      [1, -1, -1],
      [1, 0, 0],
    ]) {
      const target = tensor([row]);
      expect(functional.hingeMulticlass(logits, target, { minMargin: 1, form: "additive" }).item()).toBe(0.5);
      expect(functional.hkrMulticlass(logits, target, { alpha: 2, minMargin: 1 }).item()).toBe(1);
    }
  });

  it.each(ofClasses)("of both codes and class indices are the same to %s", (_, loss) => {
    const { x } = logitsOf([5, 4], 1);
    const labels = indices(3, 0, 0, 2, 1);
    const { value, gradient } = valueAndGradient(loss, x, labels);
    for (const rows of [labels.oneHot(4), labels.oneHot(4).mul(2).sub(1)]) {
      expect(valueAndGradient(loss, x, tensor(rows.dataSync(), rows.shape))).toEqual({ value, gradient });
      // Inside a function they may be computed.
      expect(loss.forward(x, rows).item()).toBe(value);
    }
  });

  it("of probabilities are taken by cross-entropy alone", () => {
    const logits = tensor([[1, 2, 4]]);
    const rows = tensor([[0.25, 0.25, 0.5]]);
    const log = Math.log(Math.exp(1) + Math.exp(2) + Math.exp(4));
    const expected = log - (0.25 + 0.5 + 2);
    expect(Math.abs(new CrossEntropyLoss().forward(logits, rows).item() - expected)).toBeLessThan(FLOAT32_SUMS);
    for (const [name, loss] of ofClasses.filter(([name]) => name !== "cross-entropy")) {
      const { code, message } = refusal(() => loss.forward(logits, rows));
      expect([name, code]).toEqual([name, "LABEL_OUT_OF_RANGE"]);
      expect(message).toMatch(/0 and 1, or -1 and \+1; given 0\.25 \(element 0\)/);
    }
  });
});

describe("a class index without a logit", () => {
  const { x } = logitsOf([3, 4], 2);

  it.each(ofClasses)("is refused by %s, which names it", (_, loss) => {
    for (const wrong of [4, -1, -100]) {
      const { code, message } = refusal(() => loss.forward(x, indices(0, wrong, 1)));
      expect(code).toBe("LABEL_OUT_OF_RANGE");
      expect(message).toContain(`the label of sample 1 is ${wrong}; 4 logits`);
    }
  });

  it.each(ofClasses)("is refused by %s in a compiled function when that is called, each time", async (_, loss) => {
    const step = compile((logits: Tensor, target: Tensor) => loss.forward(logits, target));
    const { value } = valueAndGradient(loss, x, indices(0, 3, 1));
    for (let turn = 0; turn < 2; turn++) {
      await expect(step(x, indices(0, 4, 1))).rejects.toMatchObject({ code: "LABEL_OUT_OF_RANGE" });
      expect(refusal(() => step.sync(x, indices(0, -1, 1))).code).toBe("LABEL_OUT_OF_RANGE");
      await expect(step.profile(x, indices(0, 4, 1))).rejects.toMatchObject({ code: "LABEL_OUT_OF_RANGE" });
      expect((await step(x, indices(0, 3, 1))).item()).toBe(value);
    }
  });

  it("changes no state of a compiled function that refuses it", () => {
    const count = state(tensor(0));
    const step = compile((target: Tensor) => {
      count.assign(count.add(1));
      return new CrossEntropyLoss().forward(x, target);
    });
    expect(refusal(() => step.sync(indices(0, 4, 1))).code).toBe("LABEL_OUT_OF_RANGE");
    expect(count.item()).toBe(0);
    step.sync(indices(0, 3, 1));
    expect(count.item()).toBe(1);
  });

  it.each(ofClasses)("makes %s NaN where it was computed on the way", (_, loss) => {
    const step = compile((logits: Tensor, target: Tensor) => loss.forward(logits, target.add(1)));
    expect(step.sync(x, indices(0, 3, 1)).item()).toBeNaN();
    expect(step.sync(x, indices(0, 2, 1)).item()).toBe(valueAndGradient(loss, x, indices(1, 3, 2)).value);
    const rows = compile((logits: Tensor, target: Tensor) => loss.forward(logits, target.add(1)));
    expect(rows.sync(x, tensor(new Float32Array(12).fill(-3), [3, 4])).item()).toBeNaN();
    expect(rows.sync(x, tensor(new Float32Array(12).fill(-1), [3, 4])).item()).not.toBeNaN();
  });

  it("makes the values of its own samples NaN with reduction none", () => {
    const step = compile((target: Tensor) => new CrossEntropyLoss({ reduction: "none" }).forward(x, target.add(1)));
    expect(Array.from(step.sync(indices(0, 3, 1)).dataSync(), Number.isNaN)).toEqual([false, true, false]);
  });

  it("is named with the way to leave such samples out", () => {
    const { message } = refusal(() => new CrossEntropyLoss().forward(x, indices(0, -100, 1)));
    expect(message).toMatch(/the label of sample 1 is -100; .*\(with ignoreIndex: -100 such samples do not count\)/);
    const ignoring = new CrossEntropyLoss({ ignoreIndex: -100 });
    expect(refusal(() => ignoring.forward(x, indices(-100, 7, 1))).message).not.toMatch(/ignoreIndex/);
  });

  it.each(metricsOfClasses)("is refused by the metric %s, which names it", (_, metric) => {
    for (const wrong of [4, -1, -100]) {
      const { code, message } = refusal(() => metric(x, indices(0, wrong, 1)));
      expect([code, message]).toEqual([
        "LABEL_OUT_OF_RANGE",
        expect.stringContaining(`sample 1 is ${wrong}; 4 logits`),
      ]);
    }
  });
});

describe("a single logit", () => {
  const column = tensor([[1], [2]]);
  const ofClass: [string, (logits: Tensor, target: Tensor) => Tensor][] = [
    ...ofClasses.map(([name, loss]): [string, (y: Tensor, t: Tensor) => Tensor] => [
      name,
      (y, t) => loss.forward(y, t),
    ]),
    ...metricsOfClasses,
  ];
  it.each(ofClass)("is no class to %s, whatever the labels; the losses that fit are named", (_, of) => {
    for (const target of [indices(0, 0), indices(0, 1), tensor([[1], [0]]), tensor([[1], [-1]])]) {
      const { code, message } = refusal(() => of(column, target));
      expect(code).toBe("SHAPE_MISMATCH");
      expect(message).toMatch(/\[n, classes\], of two classes or more; given \[2, 1\].*HKRLoss, binaryAccuracy/);
    }
  });
});

describe("logits that are NaN", () => {
  it.each([
    ...ofClasses,
    ["binary KR", new KRLoss()],
    ["binary hinge", new HingeMarginLoss()],
    ["binary HKR", new HKRLoss({ alpha: 5 })],
    ["squared error", new MSELoss()],
  ] satisfies [string, Loss][])("make %s NaN", (_, loss) => {
    const logits = tensor([
      [Number.NaN, 1],
      [2, 1],
    ]);
    const rows = tensor([
      [0, 1],
      [1, 0],
    ]);
    expect(loss.forward(logits, rows).item()).toBeNaN();
    const each = Reflect.construct(loss.constructor, [{ ...loss, reduction: "none" }]) as Loss;
    expect(each.forward(logits, rows).dataSync()[0]).toBeNaN();
  });
});

describe("ignoreIndex", () => {
  const { x } = logitsOf([5, 3], 3);
  const rest = x.gather(indices(0, 2, 4));
  const make: [string, (ignoreIndex?: number, reduction?: "none" | "sum") => Loss][] = [
    ["hinge", (ignoreIndex, reduction) => new HingeMulticlassLoss(given({ ignoreIndex, reduction }))],
    ["KR", (ignoreIndex, reduction) => new KRMulticlassLoss(given({ ignoreIndex, reduction }))],
    ["HKR", (ignoreIndex, reduction) => new HKRMulticlassLoss({ alpha: 5, ...given({ ignoreIndex, reduction }) })],
    ["cross-entropy", (ignoreIndex, reduction) => new CrossEntropyLoss(given({ ignoreIndex, reduction }))],
  ];

  it.each(make)("leaves samples out of %s as if they were not there", (_, of) => {
    for (const ignored of [-100, 7]) {
      const all = valueAndGradient(of(ignored), x, indices(0, ignored, 1, ignored, 1));
      const some = valueAndGradient(of(), rest, indices(0, 1, 1));
      expect(Math.abs(all.value - some.value)).toBeLessThan(FLOAT32_SUMS);
      const [a, b, c] = [0, 2, 4].map((row) => all.gradient.slice(row * 3, row * 3 + 3));
      [a, b, c].flat().forEach((g, k) => {
        expect(Math.abs((g ?? Number.NaN) - (some.gradient[k] ?? 0))).toBeLessThan(FLOAT32_SUMS);
      });
      expect([...all.gradient.slice(3, 6), ...all.gradient.slice(9, 12)].map(Math.abs)).toEqual([0, 0, 0, 0, 0, 0]);
    }
  });

  it.each(make)("may be a class that has a logit, for %s", (_, of) => {
    const { value } = valueAndGradient(of(2), x, indices(0, 2, 1, 2, 1));
    expect(Math.abs(value - valueAndGradient(of(), rest, indices(0, 1, 1)).value)).toBeLessThan(FLOAT32_SUMS);
  });

  it.each(make)("gives 0 for ignored samples, and for a batch of nothing else, of %s", (_, of) => {
    const each = of(-1, "none")
      .forward(x, indices(0, -1, 1, -1, 1))
      .dataSync();
    expect([each[1], each[3]].map((value) => Math.abs(value ?? 1))).toEqual([0, 0]);
    expect(
      of(-1)
        .forward(x, indices(-1, -1, -1, -1, -1))
        .item(),
    ).toBeCloseTo(0, 12);
    expect(
      of(-1, "sum")
        .forward(x, indices(-1, -1, -1, -1, -1))
        .item(),
    ).toBeCloseTo(0, 12);
  });

  it.each(make)(
    "leaves samples out of %s where labels were computed on the way, and is NaN for others without a logit",
    (_, of) => {
      const step = compile((target: Tensor) => of(9).forward(x, target.add(1)));
      const value = step.sync(indices(-1, 8, 0, 8, 0)).item();
      expect(
        Math.abs(
          value -
            of()
              .forward(rest, indices(0, 1, 1))
              .item(),
        ),
      ).toBeLessThan(FLOAT32_SUMS);
      expect(step.sync(indices(-1, 7, 0, 8, 0)).item()).toBeNaN();
    },
  );

  it("still refuses other indices without a logit, and counts bytes", () => {
    expect(refusal(() => new CrossEntropyLoss({ ignoreIndex: 9 }).forward(x, indices(0, 9, 3, 0, 0))).code).toBe(
      "LABEL_OUT_OF_RANGE",
    );
    const bytes = tensor(Uint8Array.of(0, 255, 1, 255, 1));
    const value = new CrossEntropyLoss({ ignoreIndex: 255 }).forward(x, bytes).item();
    expect(Math.abs(value - new CrossEntropyLoss().forward(rest, indices(0, 1, 1)).item())).toBeLessThan(FLOAT32_SUMS);
    expect(accuracy({ ignoreIndex: 255 })(x, bytes).item()).toBeCloseTo(accuracy()(rest, indices(0, 1, 1)).item(), 6);
  });

  it("is for class indices, and an integer", () => {
    const loss = new CrossEntropyLoss({ ignoreIndex: 1 });
    expect(refusal(() => loss.forward(x, indices(0, 1, 1, 0, 2).oneHot(3))).code).toBe("INVALID_ARGUMENT");
    for (const bad of [0.5, Number.NaN, "1" as unknown as number]) {
      expect(refusal(() => new CrossEntropyLoss({ ignoreIndex: bad })).code).toBe("INVALID_ARGUMENT");
      expect(refusal(() => new HKRMulticlassLoss({ alpha: 3, ignoreIndex: bad })).code).toBe("INVALID_ARGUMENT");
      expect(refusal(() => accuracy({ ignoreIndex: bad })).code).toBe("INVALID_ARGUMENT");
    }
  });
});

describe("targets that mean nothing", () => {
  const { x } = logitsOf([2, 3], 4);
  const column = x.slice([0, 0], [2, 1]);
  const refused: [string, string, RegExp, () => unknown][] = [
    [
      "a code of 2",
      "LABEL_OUT_OF_RANGE",
      /given 2 \(element 1\)/,
      () => new HKRLoss({ alpha: 5 }).forward(column, tensor([1, 2])),
    ],
    [
      "NaN",
      "LABEL_OUT_OF_RANGE",
      /given NaN \(element 0\)/,
      () => new KRLoss().forward(column, tensor([Number.NaN, 1])),
    ],
    [
      "both codes at once",
      "LABEL_OUT_OF_RANGE",
      /given 0 \(element 1\) beside -1 \(element 0\)/,
      () => new HingeMarginLoss().forward(column, tensor(Int32Array.of(-1, 0))),
    ],
    [
      "a negative probability",
      "LABEL_OUT_OF_RANGE",
      /given -0.5 \(element 3\)/,
      () =>
        new CrossEntropyLoss().forward(
          x,
          tensor([
            [1, 0, 0],
            [-0.5, 1, 0.5],
          ]),
        ),
    ],
    [
      "labels of another number",
      "SHAPE_MISMATCH",
      /a label a sample, \[2\].*given i32 \[3\]/,
      () => new KRLoss().forward(column, indices(0, 1, 1)),
    ],
    ["floats as class indices", "SHAPE_MISMATCH", /given f32 \[2\]/, () => new KRLoss().forward(x, tensor([0, 1]))],
    [
      "rows of another length",
      "SHAPE_MISMATCH",
      /given f32 \[2, 2\]/,
      () =>
        new HingeMarginLoss().forward(
          x,
          tensor([
            [0, 1],
            [1, 0],
          ]),
        ),
    ],
    [
      "a logit without samples",
      "SHAPE_MISMATCH",
      /\[n\] or \[n, \.\.\.\]; given \[\]/,
      () => new KRLoss().forward(tensor(1), tensor(1)),
    ],
    [
      "numbers of another shape",
      "SHAPE_MISMATCH",
      /outputs \[2, 1\].*given f32 \[2\]/,
      () => new MSELoss().forward(column, tensor([1, 2])),
    ],
  ];
  it.each(refused)("%s", (_, code, text, run) => {
    const { code: given, message } = refusal(run);
    expect(given).toBe(code);
    expect(message).toMatch(text);
  });
});

/** Options without those that are undefined. */
function given<T extends object>(options: T): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: NonNullable<T[K]>;
  };
}
