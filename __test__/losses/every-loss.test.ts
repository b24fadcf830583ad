// What holds for every loss of the library; a loss without examples here does not compile.
import {
  CategoricalHingeLoss,
  CertificateRegularization,
  CrossEntropyLoss,
  compile,
  type Dataset,
  EMMALoss,
  evaluate,
  fit,
  fromArrays,
  full,
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
  LseKRMulticlassLoss,
  MSELoss,
  manualSeed,
  NegKRLoss,
  OffsetCrossEntropyLoss,
  randn,
  SGD,
  SoftHKRMulticlassLoss,
  scalar,
  type Targets,
  TauBCEWithLogitsLoss,
  TauCrossEntropyLoss,
  type Tensor,
  tensor,
  WeightedLoss,
} from "tslip";
import { describe, expect, it } from "vitest";
import type * as losses from "../../src/losses/index.js";
import { Program } from "../../src/tensor/compile.js";
import { bytesOf } from "../../src/tensor/dtype.js";
import { isStateful } from "../../src/tensor/stateful.js";
import { weightsOf } from "../train/subset.js";

/** A loss, made with further options, how many outputs it is tried on, and the targets of so many samples. */
type Example = [loss: (more?: object) => Loss, outputs: number, targets: (samples: number) => Targets];

const each = <T>(samples: number, of: (i: number) => T): T[] => Array.from({ length: samples }, (_, i) => of(i));
const signs = (samples: number): Targets => each(samples, (i) => i % 2);
const classes = (samples: number): Targets => each(samples, (i) => (i * 2 + 1) % 3);
const rows = (samples: number): Targets => each(samples, (i) => [i % 2, 1, (i + 1) % 2]);
const shares = (samples: number): Targets =>
  each(samples, (i) => [0.25, i % 2 === 0 ? 0.5 : 0.25, i % 2 === 0 ? 0.25 : 0.5]);

/** 1 / p of positive labels and -1 / (1 - p) of others, in a batch with as many of both. */
const processed = (samples: number): Targets =>
  each(samples, (i) => [i % 2 === 0 ? 2 : -2, i % 3 === 0 ? 3 : -1.5, i % 2 === 0 ? -2 : 2]);
/** Rows of a last layer. */
const head = tensor([
  [1, 0.5],
  [0, 1],
  [-1, 0.25],
]);

const examples: Record<keyof typeof losses, Example[]> = {
  KRLoss: [[(more) => new KRLoss({ ...more }), 1, signs]],
  NegKRLoss: [
    [(more) => new NegKRLoss({ ...more }), 1, signs],
    [(more) => new NegKRLoss({ reduction: "sum", ...more }), 3, rows],
  ],
  HingeMarginLoss: [
    [(more) => new HingeMarginLoss({ ...more }), 1, signs],
    [(more) => new HingeMarginLoss({ minMargin: 0.5, form: "additive", ...more }), 3, rows],
  ],
  HKRLoss: [
    [(more) => new HKRLoss({ alpha: 5, ...more }), 1, signs],
    [(more) => new HKRLoss({ alpha: 0.75, form: "convex", minMargin: 2, ...more }), 3, rows],
  ],
  HKRMulticlassLoss: [
    [(more) => new HKRMulticlassLoss({ alpha: 10, minMargin: 0.25, ...more }), 3, classes],
    [(more) => new HKRMulticlassLoss({ alpha: 3, form: "convex", ignoreIndex: 2, ...more }), 3, classes],
    [(more) => new HKRMulticlassLoss({ alpha: Number.POSITIVE_INFINITY, ...more }), 3, rows],
    [(more) => new HKRMulticlassLoss({ alpha: 0.5, form: "convex", multiGpu: true, ...more }), 3, processed],
    [
      (more) => new HKRMulticlassLoss({ alpha: scalar(2), minMargin: scalar(0.5), form: "convex", ...more }),
      3,
      classes,
    ],
  ],
  KRMulticlassLoss: [
    [(more) => new KRMulticlassLoss({ ...more }), 3, classes],
    [(more) => new KRMulticlassLoss({ classWeights: [1, 2, 0.5], ...more }), 3, classes],
    [(more) => new KRMulticlassLoss({ multiGpu: true, ...more }), 3, processed],
  ],
  HingeMulticlassLoss: [
    [(more) => new HingeMulticlassLoss({ ...more }), 3, classes],
    [(more) => new HingeMulticlassLoss({ minMargin: 0.5, form: "additive", reduction: "sum", ...more }), 3, rows],
  ],
  CrossEntropyLoss: [
    [(more) => new CrossEntropyLoss({ ...more }), 3, classes],
    [(more) => new CrossEntropyLoss({ labelSmoothing: 0.25, ...more }), 3, shares],
    [(more) => new CrossEntropyLoss({ labelSmoothing: 0.25, classWeights: [1, 2, 0.5], ...more }), 3, classes],
  ],
  SoftHKRMulticlassLoss: [
    [(more) => new SoftHKRMulticlassLoss({ ...more }), 3, classes],
    [(more) => new SoftHKRMulticlassLoss({ alpha: 3, minMargin: 0.5, temperature: 5, ...more }), 3, rows],
    [(more) => new SoftHKRMulticlassLoss({ alpha: 0, reduction: "sum", ignoreIndex: 2, ...more }), 3, classes],
  ],
  LseKRMulticlassLoss: [[(more) => new LseKRMulticlassLoss({ minMargin: 0.5, ...more }), 3, classes]],
  LseHKRMulticlassLoss: [
    [(more) => new LseHKRMulticlassLoss({ ...more }), 3, classes],
    [(more) => new LseHKRMulticlassLoss({ alpha: 0.75, temperature: 2, penalty: 0.5, ...more }), 2, signs],
    [(more) => new LseHKRMulticlassLoss({ alpha: scalar(0.5), penalty: scalar(2), ...more }), 3, classes],
  ],
  CategoricalHingeLoss: [
    [(more) => new CategoricalHingeLoss({ ...more }), 3, classes],
    [(more) => new CategoricalHingeLoss({ minMargin: 4, reduction: "sum", ...more }), 2, signs],
  ],
  TauCrossEntropyLoss: [
    [(more) => new TauCrossEntropyLoss({ tau: 2, ...more }), 3, classes],
    [(more) => new TauCrossEntropyLoss({ tau: scalar(0.5), labelSmoothing: 0.1, ...more }), 3, shares],
  ],
  TauBCEWithLogitsLoss: [
    [(more) => new TauBCEWithLogitsLoss({ tau: 2, ...more }), 1, signs],
    [(more) => new TauBCEWithLogitsLoss({ tau: 0.5, posWeight: [1, 2, 3], reduction: "sum", ...more }), 3, rows],
  ],
  EMMALoss: [
    // All of its radii are larger than this epsilon: what it adds to a logit is a constant.
    [(more) => new EMMALoss({ epsilon: 2 ** -20, ...more }), 3, classes],
    [(more) => new EMMALoss({ epsilon: 2 ** -20, kind: "pairwise", head, lipschitz: 2, ...more }), 3, classes],
  ],
  LogitAnnealingLoss: [
    [(more) => new LogitAnnealingLoss({ ...more }), 3, classes],
    [(more) => new LogitAnnealingLoss({ beta: 0.5, temperature: 2, offset: 0.5, ...more }), 2, signs],
  ],
  OffsetCrossEntropyLoss: [
    [(more) => new OffsetCrossEntropyLoss({ ...more }), 3, classes],
    [(more) => new OffsetCrossEntropyLoss({ offset: scalar(0.5), temperature: scalar(1), ...more }), 3, shares],
  ],
  CertificateRegularization: [
    [(more) => new CertificateRegularization({ loss: new CrossEntropyLoss(), gamma: 0.5, ...more }), 3, classes],
    [
      (more) =>
        new CertificateRegularization({
          loss: new HingeMulticlassLoss({ reduction: "sum" }),
          gamma: 0.1,
          kind: "pairwise",
          head,
          ...more,
        }),
      3,
      classes,
    ],
  ],
  WeightedLoss: [
    [(more) => new WeightedLoss(new CrossEntropyLoss(), { classWeights: [1, 2, 0.5], ...more }), 3, classes],
    [(more) => new WeightedLoss(new HKRLoss({ alpha: 5 }), { classWeights: [1, 2], ...more }), 1, signs],
    [(more) => new WeightedLoss(new KRLoss(), { classWeights: [1, 2], ...more }), 1, signs],
  ],
  MSELoss: [
    [(more) => new MSELoss({ ...more }), 3, shares],
    [(more) => new MSELoss({ reduction: "sum", ...more }), 1, (samples) => each(samples, (i) => [i / 4])],
  ],
};

const cases = Object.entries(examples).flatMap(([type, list]) =>
  list.map(([make, outputs, targets], i) => ({ type, which: i + 1, make, outputs, targets })),
);

const SAMPLES = 6;
const INPUTS = 4;
/** Sums of some tens of float32 terms of order 1, times factors of up to 10. */
const FLOAT32_SUMS = 2e-5;
/** Of central differences: corners are further away than it, and both neighbours are floats. */
const STEP = 2 ** -10;
/** Third derivatives of order 1, times STEP squared. */
const DIFFERENCES = 1e-5;

describe.each(cases)("$type, example $which", ({ type, make, outputs, targets }) => {
  const data = (samples: number): Dataset => {
    const images = Float32Array.from(randn([samples, INPUTS], { seed: 1 }).dataSync());
    return fromArrays(images, [samples, INPUTS], targets(samples));
  };
  /** Odd multiples of 4 STEP, and their targets: margins are multiples of 32 STEP. */
  const batch = (samples: number): [outputs: Float32Array, targets: Tensor] => {
    const drawn = randn([samples, outputs], { seed: 2 }).dataSync();
    const values = Float32Array.from(drawn, (value) => (2 * Math.floor(value / (8 * STEP)) + 1) * 4 * STEP);
    return [values, data(samples).batch(0, samples).targets];
  };
  const valueAndGradient = (x: Tensor, t: Tensor) => {
    const value = make().forward(x, t);
    return [value, ...grad(value, [x])];
  };
  /** Value and gradient in float64. */
  const exact = (values: Float32Array, t: Tensor): [value: number, gradient: number[]] => {
    const x = { shape: [t.shape[0] ?? 0, outputs], dtype: "f32", batched: true } as const;
    const program = Program.record(valueAndGradient, [x, { shape: t.shape, dtype: t.dtype, batched: true }]);
    const [value, gradient] = program.exact([bytesOf(values), bytesOf(t.dataSync())]);
    return [value?.[0] ?? Number.NaN, [...(gradient ?? [])]];
  };

  it("is exported under its own name", () => {
    expect(make().constructor.name).toBe(type);
  });

  it("refuses options that it does not have", () => {
    expect(() => make({ reductoin: "sum" })).toThrow(/has no option "reductoin"/);
  });

  it("becomes smaller in two steps of fit, which are along its gradient", async () => {
    manualSeed(3);
    const model = new Linear(INPUTS, outputs);
    const [set, loss, lr] = [data(SAMPLES), make(), 1e-3];
    const before = await evaluate(model, set, { loss });
    const parameters = weightsOf(model);
    const options = { batchSize: SAMPLES, optimizer: new SGD({ lr }), shuffle: false, verbose: false };
    const { images, targets: labels } = set.batch(0, SAMPLES);
    const slopes = grad(loss.forward(model.forward(images), labels), model.parameters()).flatMap((g) => [
      ...g.dataSync(),
    ]);
    await fit(model, set, { ...options, epochs: 1, loss });
    weightsOf(model).forEach((w, i) => {
      expect(Math.abs(w - ((parameters[i] ?? 0) - lr * (slopes[i] ?? 0)))).toBeLessThan(FLOAT32_SUMS * lr + 1e-6);
    });
    const { epochs } = await fit(model, set, { ...options, epochs: 1, loss });
    const after = await evaluate(model, set, { loss });
    expect(epochs[0]?.loss).toBeLessThan(before.loss ?? Number.NaN);
    expect(after.loss).toBeLessThan(epochs[0]?.loss ?? Number.NaN);
  });

  it.each([SAMPLES, 1])(
    "has in a batch of %d the value of float64, at once and in a compiled function",
    async (samples) => {
      const [values, t] = batch(samples);
      const x = tensor(values, [samples, outputs]);
      const [right, slopes] = exact(values, t);
      expect(Number.isFinite(right)).toBe(true);
      const near = (value: number | undefined, to: number | undefined): void => {
        const off = Math.abs((value ?? Number.NaN) - (to ?? Number.NaN));
        expect(off).toBeLessThanOrEqual(FLOAT32_SUMS * (1 + Math.abs(to ?? 0)));
      };
      for (const [value, gradient] of [valueAndGradient(x, t), await compile(valueAndGradient)(x, t)]) {
        expect(value?.shape).toEqual([]);
        near(value?.item(), right);
        expect(gradient?.shape).toEqual(x.shape);
        gradient?.dataSync().forEach((slope, i) => near(slope, slopes[i]));
      }
    },
  );

  it.each([SAMPLES, 1])("has in a batch of %d the gradient of differences in float64", (samples) => {
    const [values, t] = batch(samples);
    const [, slopes] = exact(values, t);
    expect(slopes).toHaveLength(values.length);
    slopes.forEach((slope, k) => {
      const moved = (by: number): number =>
        exact(
          values.map((value, i) => (i === k ? value + by : value)),
          t,
        )[0];
      expect(Math.abs((moved(STEP) - moved(-STEP)) / (2 * STEP) - slope)).toBeLessThan(DIFFERENCES);
    });
  });

  it("has in a batch of 6 the second derivative, along a direction, of differences of gradients in float64", () => {
    const [values, t] = batch(SAMPLES);
    const x = { shape: [SAMPLES, outputs], dtype: "f32", batched: true } as const;
    const direction = Float32Array.from({ length: values.length }, (_, i) => ((i % 3) - 1) * STEP);
    const along = Program.record(
      (y: Tensor, target: Tensor, d: Tensor) => {
        const [slopes] = grad(make().forward(y, target), [y]);
        return grad(slopes.mul(d).sum(), [y])[0];
      },
      [x, { shape: t.shape, dtype: t.dtype, batched: true }, x],
    );
    const [second = []] = along.exact([bytesOf(values), bytesOf(t.dataSync()), bytesOf(direction)]);
    const gradientAt = (by: number): number[] =>
      exact(
        values.map((value, i) => value + by * (direction[i] ?? 0)),
        t,
      )[1];
    const [forth, back] = [gradientAt(1), gradientAt(-1)];
    expect(second).toHaveLength(values.length);
    second.forEach((value, i) => {
      const difference = ((forth[i] ?? Number.NaN) - (back[i] ?? 0)) / 2;
      expect(Math.abs(difference - value)).toBeLessThan(DIFFERENCES * STEP);
    });
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "has no part of a sample of weight 0 whose logits are %d, in its value and its gradient",
    (broken) => {
      const [values, t] = batch(SAMPLES);
      // With targets of several devices there are no weights.
      if ("multiGpu" in make() && (make() as { multiGpu?: boolean }).multiGpu === true) return;
      const sampleWeights = tensor([1, 0, 2, 1, 0, 1]);
      const of = (logits: Float32Array): number[] => {
        const x = tensor(logits, [SAMPLES, outputs]);
        const value = new WeightedLoss(make(), { sampleWeights }).forward(x, t);
        return [value, ...grad(value, [x])].flatMap((one) => Array.from(one.dataSync()));
      };
      const without = (i: number): boolean => [1, 4].includes(Math.floor(i / outputs));
      const result = of(values.map((value, i) => (without(i) ? broken : value)));
      expect(result.map(Math.abs)).toEqual(of(values).map(Math.abs));
      expect(result.slice(1).filter((slope, i) => without(i) && slope !== 0)).toEqual([]);
    },
  );

  it("gives with weights of 1 what it gives without, and lists its states", () => {
    const [values, t] = batch(SAMPLES);
    const x = tensor(values, [SAMPLES, outputs]);
    const loss = make();
    const ones = new WeightedLoss(loss, { sampleWeights: full([SAMPLES], 1) });
    const near = (one: Tensor, other: Tensor): void => {
      one.dataSync().forEach((value, i) => {
        const to = other.dataSync()[i] ?? Number.NaN;
        expect(Math.abs(value - to)).toBeLessThanOrEqual(FLOAT32_SUMS * (1 + Math.abs(to)));
      });
    };
    // With targets of several devices there are no weights.
    if (!("multiGpu" in loss && loss.multiGpu === true)) near(ones.forward(x, t), make().forward(x, t));
    else expect(() => ones.forward(x, t)).toThrow(/multiGpu/);
    expect(isStateful(loss)).toBe(true);
  });
});
