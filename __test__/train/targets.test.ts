// Trainings on targets other than single labels: two classes told by a sign, several labels a sample, numbers.
import {
  Adam,
  accuracy,
  binaryAccuracy,
  CrossEntropyLoss,
  type Dataset,
  evaluate,
  type FitOptions,
  Flatten,
  fit,
  fromArrays,
  GroupSort2,
  HingeMarginLoss,
  HingeMulticlassLoss,
  HKRLoss,
  HKRMulticlassLoss,
  KRLoss,
  kr,
  krMulticlass,
  Linear,
  type Loss,
  type Metrics,
  MSELoss,
  manualSeed,
  meanAbsoluteError,
  meanSquaredError,
  multilabelAccuracy,
  ReLU,
  randn,
  Sequential,
  SGD,
  SpectralLinear,
  type Targets,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, codeOf, smallNetwork, weightsOf } from "./subset.js";

const SIDE = 4;
const PIXELS = SIDE * SIDE;
/** Figures of a whole set, computed in one batch and from its predictions: float32 sums in other orders. */
const FLOAT32_SUMS = 1e-4;
const DTYPES = ["u8", "f32"] as const;

/** Images whose halves are brighter or darker; `numbers` are the mean brightness of left and right half, from 0 to 1. */
function halves(samples: number, seed: number, dtype: "u8" | "f32") {
  const [noise, levels] = [randn([samples, PIXELS], { seed }), randn([samples, 2], { seed: seed + 1 })];
  const [grain, level] = [noise.dataSync(), levels.sigmoid().dataSync()];
  const numbers: number[][] = [];
  const bytes = new Uint8Array(samples * PIXELS);
  for (let i = 0; i < samples; i++) {
    const pair = [level[2 * i] ?? 0, level[2 * i + 1] ?? 0];
    numbers.push(pair);
    for (let k = 0; k < PIXELS; k++) {
      const value = (pair[k % SIDE < SIDE / 2 ? 0 : 1] ?? 0) + 0.05 * (grain[i * PIXELS + k] ?? 0);
      bytes[i * PIXELS + k] = Math.round(255 * Math.min(1, Math.max(0, value)));
    }
  }
  const images = dtype === "u8" ? bytes : Float32Array.from(bytes, (byte) => byte / 255);
  return { numbers, set: (targets: Targets): Dataset => fromArrays(images, [samples, 1, SIDE, SIDE], targets) };
}

function network(outputs: number, lipschitz: boolean): Sequential {
  manualSeed(3);
  return lipschitz
    ? new Sequential([new Flatten(), new SpectralLinear(PIXELS, 16), new GroupSort2(), new SpectralLinear(16, outputs)])
    : new Sequential([new Flatten(), new Linear(PIXELS, 16), new ReLU(), new Linear(16, outputs)], {
        constrained: false,
      });
}

/** Trains on 90 images in batches of 20, the last one smaller, and validates on 33 others. */
async function trained<M extends Metrics>(
  model: Sequential,
  make: (samples: number, seed: number) => Dataset,
  options: Pick<FitOptions<M>, "loss" | "metrics">,
) {
  const [data, validation] = [make(90, 1), make(33, 7)];
  const { epochs } = await fit(model, data, {
    ...options,
    epochs: 30,
    batchSize: 20,
    optimizer: new Adam({ lr: 0.02 }),
    validation,
    verbose: false,
  });
  const [first, last] = [epochs[0], epochs.at(-1)];
  if (first === undefined || last === undefined) throw new Error("no record");
  const x = tensor(
    Float32Array.from(validation.imagesRaw, (p) => (validation.imageDtype === "u8" ? p / 255 : p)),
    [33, 1, SIDE, SIDE],
  );
  const outputs = (await model.predict(x)).reshape([33, -1]);
  return { first, last, outputs: rows(outputs), targets: validation };
}

const rows = (t: Tensor): number[][] => {
  const [n = 0, k = 0] = t.shape;
  const flat = Array.from(t.dataSync());
  return Array.from({ length: n }, (_, i) => flat.slice(i * k, (i + 1) * k));
};
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

describe.each(DTYPES)("on %s images fit trains, and validates with metrics that fit,", (dtype) => {
  const codes: [string, (right: boolean[]) => Targets][] = [
    ["-1 and +1", (right) => right.map((r) => (r ? 1 : -1))],
    ["0 and 1", (right) => Int32Array.from(right, Number)],
    ["booleans", (right) => right],
    ["float columns", (right) => ({ data: Float32Array.from(right, (r) => (r ? 1 : -1)), shape: [right.length, 1] })],
  ];
  it.each(codes)("the binary HKR loss of labels given as %s", async (_, code) => {
    const make = (samples: number, seed: number): Dataset => {
      const { numbers, set } = halves(samples, seed, dtype);
      return set(code(numbers.map(([left = 0, right = 0]) => right > left)));
    };
    const model = network(1, true);
    const metrics = { acc: binaryAccuracy(), KR: kr() };
    const loss = new HKRLoss({ alpha: 10, minMargin: 0.1 });
    const { first, last, outputs, targets } = await trained(model, make, { loss, metrics });
    expect(last.val_loss).toBeLessThan(first.val_loss ?? 0);
    expect(last.val_acc).toBeGreaterThan(0.9);
    const positive = Array.from(targets.targetsRaw, (t) => t > 0);
    const logits = outputs.map(([y = Number.NaN]) => y);
    const right = logits.filter((y, i) => y > 0 === positive[i]).length;
    expect(last.val_acc).toBeCloseTo(right / 33, 5);
    const distance = mean(logits.filter((_, i) => positive[i])) - mean(logits.filter((_, i) => !positive[i]));
    expect(Math.abs((last.val_KR ?? 0) - distance)).toBeLessThan(FLOAT32_SUMS);
    const hinge = mean(logits.map((y, i) => Math.max(0, 0.1 - (positive[i] ? y : -y))));
    expect(Math.abs((last.val_loss ?? 0) - (10 * hinge - distance))).toBeLessThan(FLOAT32_SUMS);
  });

  it("the same bits whichever way labels of two classes are given", async () => {
    const weights: number[][] = [];
    for (const [, code] of codes) {
      const { numbers, set } = halves(50, 1, dtype);
      const model = network(1, true);
      await fit(model, set(code(numbers.map(([left = 0, right = 0]) => right > left))), {
        epochs: 2,
        batchSize: 20,
        loss: new HKRLoss({ alpha: 10 }),
        optimizer: new Adam(),
        verbose: false,
      });
      weights.push(weightsOf(model));
    }
    for (const other of weights.slice(1)) expect(other).toEqual(weights[0]);
  });

  const hinges: [string, Loss, (y: number, own: boolean) => number][] = [
    [
      "the multiclass hinge of several labels a sample",
      new HingeMulticlassLoss({ minMargin: 0.2, form: "additive" }),
      // Of three labels a positive one weighs as much as the two others.
      (y, own) => (own ? 2 : 1) * Math.max(0, 0.2 - (own ? y : -y)),
    ],
    [
      "the binary hinge of several labels a sample",
      new HingeMarginLoss({ minMargin: 0.4 }),
      (y, own) => Math.max(0, 0.2 - (own ? y : -y)),
    ],
  ];
  it.each(hinges)("%s", async (_, loss, hinge) => {
    const make = (samples: number, seed: number): Dataset => {
      const { numbers, set } = halves(samples, seed, dtype);
      return set(numbers.map(([left = 0, right = 0]) => [left > 0.5, right > 0.5, right > left]));
    };
    const model = network(3, false);
    const { first, last, outputs, targets } = await trained(model, make, {
      loss,
      metrics: { acc: multilabelAccuracy() },
    });
    expect(last.val_loss).toBeLessThan((first.val_loss ?? 0) / 2);
    expect(last.val_acc).toBeGreaterThan(0.9);
    const own = Array.from(targets.targetsRaw, (t) => t > 0);
    const logits = outputs.flat();
    expect(last.val_acc).toBeCloseTo(mean(logits.map((y, k) => Number(y > 0 === own[k]))), 5);
    const expected = mean(logits.map((y, k) => hinge(y, own[k] ?? false)));
    expect(Math.abs((last.val_loss ?? 0) - expected)).toBeLessThan(FLOAT32_SUMS);
  });

  it("the squared error of a regression", async () => {
    const make = (samples: number, seed: number): Dataset => {
      const { numbers, set } = halves(samples, seed, dtype);
      return set(numbers);
    };
    const model = network(2, false);
    const metrics = { MSE: meanSquaredError(), MAE: meanAbsoluteError() };
    const { first, last, outputs, targets } = await trained(model, make, { loss: new MSELoss(), metrics });
    expect(last.val_loss).toBeLessThan((first.val_loss ?? 0) / 4);
    expect(last.val_MAE).toBeLessThan(0.1);
    const differences = outputs.flat().map((y, k) => y - (targets.targetsRaw[k] ?? Number.NaN));
    expect(Math.abs((last.val_loss ?? 0) - mean(differences.map((d) => d * d)))).toBeLessThan(FLOAT32_SUMS);
    expect(last.val_MSE).toBe(last.val_loss);
    expect(Math.abs((last.val_MAE ?? 0) - mean(differences.map(Math.abs)))).toBeLessThan(FLOAT32_SUMS);
  });

  it("the squared error of outputs with further axes, and of one number a sample", async () => {
    class Deep extends Sequential {
      override forward(x: Tensor): Tensor {
        return super.forward(x).reshape([x.shape[0] ?? 0, 2, 1]);
      }
    }
    class Flat extends Sequential {
      override forward(x: Tensor): Tensor {
        return super.forward(x).reshape([x.shape[0] ?? 0]);
      }
    }
    const { numbers, set } = halves(50, 1, dtype);
    const weights: number[][] = [];
    for (const [Model, outputs, targets] of [
      [Sequential, 2, numbers],
      [Deep, 2, numbers.map((pair) => pair.map((value) => [value]))],
      [Sequential, 1, numbers.map(([left = 0]) => [left])],
      [Flat, 1, Float32Array.from(numbers, ([left = 0]) => left)],
    ] as const) {
      manualSeed(5);
      const model = new Model([new Flatten(), new Linear(PIXELS, outputs)], { constrained: false });
      const options = {
        epochs: 3,
        batchSize: 20,
        loss: new MSELoss(),
        optimizer: new SGD({ lr: 0.1 }),
        verbose: false,
      };
      await fit(model, set(targets), options);
      weights.push(weightsOf(model));
    }
    expect(weights[1]).toEqual(weights[0]);
    expect(weights[3]).toEqual(weights[2]);
  });
});

describe("one-hot rows", () => {
  it("train to the bits of class indices, and have their accuracy", async () => {
    const indices = clouds();
    const rows = fromArrays(indices.imagesRaw, [60, 8], tensor(indices.labelsRaw).oneHot(3));
    for (const loss of [new HKRMulticlassLoss({ alpha: 10 }), new HingeMulticlassLoss()]) {
      const [one, two] = [smallNetwork(), smallNetwork()];
      const options = { epochs: 2, batchSize: 25, loss, metrics: { acc: accuracy() }, verbose: false };
      const history = await fit(one, indices, { ...options, optimizer: new SGD({ lr: 0.1 }) });
      const other = await fit(two, rows, { ...options, optimizer: new SGD({ lr: 0.1 }) });
      expect(weightsOf(two)).toEqual(weightsOf(one));
      expect(other.epochs[1]?.acc).toBe(history.epochs[1]?.acc);
    }
  });
});

describe("samples of an ignored class", () => {
  it("are left out by losses and metrics that know of them, and refused by others; a loss of one's own gets them", async () => {
    const data = clouds(40);
    const labels = Int32Array.from(data.labelsRaw, (label, i) => (i % 4 === 0 ? -100 : label));
    const ignoring = fromArrays(data.imagesRaw, [40, 8], labels, { ignoreIndex: -100 });
    const some = data.subset(Array.from({ length: 40 }, (_, i) => i).filter((i) => i % 4 !== 0));
    const figures = (ignoreIndex: { ignoreIndex?: number }) => ({
      loss: new CrossEntropyLoss(ignoreIndex),
      metrics: { acc: accuracy(ignoreIndex), kr: krMulticlass(ignoreIndex) },
    });
    const model = smallNetwork();
    const counted = await evaluate(model, ignoring, figures({ ignoreIndex: -100 }));
    const expected = await evaluate(model, some, figures({}));
    for (const name of ["loss", "acc", "kr"] as const) {
      expect(Math.abs((counted[name] ?? Number.NaN) - (expected[name] ?? 0))).toBeLessThan(FLOAT32_SUMS);
    }
    const { loss, metrics } = figures({});
    for (const call of [
      () => evaluate(model, ignoring, { loss }),
      ...Object.values(metrics).map((metric) => () => evaluate(model, ignoring, { metrics: { metric } })),
    ]) {
      const refused = call();
      await expect(refused).rejects.toMatchObject({ code: "LABEL_OUT_OF_RANGE" });
      await expect(refused).rejects.toThrow(/sample 0 is -100; .*ignoreIndex: -100/);
    }
    const own = { forward: (_: Tensor, t: Tensor) => t.equal(-100).cast("f32").mean() };
    expect((await evaluate(model, ignoring, { loss: own })).loss).toBe(0.25);
  });

  it("do not move the parameters, though the class has no logit", async () => {
    const data = clouds(40);
    const unknown = Int32Array.from(data.labelsRaw, (label, i) => (i % 4 === 0 ? 3 : label));
    const some = data.subset(Array.from({ length: 40 }, (_, i) => i).filter((i) => i % 4 !== 0));
    const options = { epochs: 4, shuffle: false, optimizer: new SGD({ lr: 0.1 }), verbose: false };
    const [one, two] = [smallNetwork(), smallNetwork()];
    await fit(one, fromArrays(data.imagesRaw, [40, 8], unknown), {
      ...options,
      batchSize: 40,
      loss: new CrossEntropyLoss({ ignoreIndex: 3 }),
      metrics: { acc: accuracy({ ignoreIndex: 3 }) },
    });
    await fit(two, some, { ...options, batchSize: 30, loss: new CrossEntropyLoss(), optimizer: new SGD({ lr: 0.1 }) });
    weightsOf(one).forEach((w, i) => {
      expect(Math.abs(w - (weightsOf(two)[i] ?? 0))).toBeLessThan(FLOAT32_SUMS);
    });
  });
});

describe("fit and evaluate refuse, before anything changes,", () => {
  const images = new Float32Array(48);
  const of = (targets: Targets, classNames?: string[]): Dataset =>
    fromArrays(images, [6, 8], targets, classNames === undefined ? {} : { classNames });
  const good = () => ({ epochs: 1, batchSize: 4, optimizer: new SGD({ lr: 0.1 }), verbose: false });
  const rowsOfThree = Array.from({ length: 6 }, (_, i) => [i % 2, 1, 0]);
  const refused: [string, string, RegExp, Dataset, Partial<FitOptions<Metrics>>][] = [
    [
      "a third class of a binary loss",
      "LABEL_OUT_OF_RANGE",
      /given 2 \(element 4\)/,
      of([0, 1, 0, 1, 2, 0]),
      { loss: new HKRLoss({ alpha: 5 }) },
    ],
    [
      "class labels for a regression",
      "SHAPE_MISMATCH",
      /given i32 \[4\]/,
      of([0, 1, 0, 1, 2, 0]),
      { loss: new MSELoss() },
    ],
    [
      "numbers for a hinge",
      "LABEL_OUT_OF_RANGE",
      /given 0.5 \(element 17\)/,
      of(rowsOfThree.map((row, i) => (i === 5 ? [0, 1, 0.5] : row))),
      { loss: new HingeMulticlassLoss() },
    ],
    [
      "several classes for an accuracy",
      "LABEL_OUT_OF_RANGE",
      /row 1 .* classes 0 and 1 both have 1.*multilabelAccuracy/,
      of(rowsOfThree),
      { loss: new HingeMulticlassLoss(), metrics: { acc: accuracy() } },
    ],
    [
      "rows of another length",
      "SHAPE_MISMATCH",
      /given f32 \[4, 2\]/,
      of(rowsOfThree.map((row) => row.slice(1))),
      { loss: new HingeMulticlassLoss() },
    ],
    [
      "validation targets of another shape",
      "SHAPE_MISMATCH",
      /training targets are f32 \[3\], validation targets i32 \[\]/,
      of(rowsOfThree),
      { loss: new HingeMulticlassLoss(), validation: of([0, 1, 2, 0, 1, 2]) },
    ],
    [
      "validation classes of other names",
      "INVALID_ARGUMENT",
      /classes are a, b, c in training and b, c in validation/,
      of(["a", "b", "c", "a", "b", "c"]),
      { loss: new CrossEntropyLoss(), validation: of(["c", "b", "c", "c", "b", "c"]) },
    ],
    [
      "validation strings that are digits of other indices",
      "INVALID_ARGUMENT",
      /classes are 0, 1, 2 in training and 1, 2 in validation/,
      of(["0", "1", "2", "0", "1", "2"]),
      { loss: new CrossEntropyLoss(), validation: of(["2", "1", "2", "2", "1", "2"]) },
    ],
    [
      "labels without a logit of a loss of one's own",
      "LABEL_OUT_OF_RANGE",
      /the label of sample 2 is 3; 3 logits/,
      of([0, 1, 3, 0, 1, 2]),
      { loss: { forward: (y, t) => y.mul(t.oneHot(3)).mean() } },
    ],
  ];
  it.each(refused)("%s", async (_, code, text, data, options) => {
    const binary = options.loss instanceof HKRLoss || options.loss instanceof KRLoss;
    manualSeed(1);
    const model = binary ? new Sequential([new Linear(8, 1)], { constrained: false }) : smallNetwork();
    model.eval();
    const before = weightsOf(model);
    const optimizer = new SGD({ lr: 0.1, momentum: 0.9 });
    const states = optimizer.namedStates().map(([name]) => name);
    const call = (): Promise<unknown> =>
      fit(model, data, { loss: new CrossEntropyLoss(), ...good(), ...options, optimizer });
    expect(await codeOf(call)).toBe(code);
    await expect(call()).rejects.toThrow(text);
    expect(weightsOf(model)).toEqual(before);
    expect(model.training).toBe(false);
    expect(optimizer.namedStates().map(([name]) => name)).toEqual(states);
  });

  it("what evaluate alone is asked for", async () => {
    const model = smallNetwork();
    const metrics = { acc: multilabelAccuracy() };
    expect(await codeOf(() => evaluate(model, of(Float32Array.of(0, 1, 0, 1, 1, 1)), { metrics }))).toBe(
      "SHAPE_MISMATCH",
    );
    expect((await evaluate(model, of(rowsOfThree), { metrics })).acc).toBeGreaterThanOrEqual(0);
  });

  it("outputs without a row a sample", async () => {
    class Total extends Sequential {
      override forward(x: Tensor): Tensor {
        return super.forward(x).sum();
      }
    }
    const model = new Total([new Linear(8, 1)], { constrained: false });
    await expect(evaluate(model, of([0, 1, 0, 1, 1, 1]), { loss: new KRLoss() })).rejects.toThrow(/a row a sample/);
  });

  it("validation sets that lack the last classes are none of these", async () => {
    const validation = of(["a", "b", "b", "a", "b", "a"]);
    const options = { ...good(), loss: new CrossEntropyLoss(), validation };
    const history = await fit(smallNetwork(), of(["a", "b", "c", "a", "b", "c"]), options);
    expect(history.epochs).toHaveLength(1);
  });
});
