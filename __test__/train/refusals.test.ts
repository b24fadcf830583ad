// Bad input of every kind: a TslipError with its code, before anything changes.
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Adam,
  accuracy,
  Conv2d,
  CrossEntropyLoss,
  certify,
  type Dataset,
  type Device,
  evaluate,
  fit,
  fromArrays,
  fromIdx,
  functional,
  GroupSort2,
  HKRMulticlassLoss,
  Linear,
  type Module,
  MSELoss,
  OneCycleLR,
  projections,
  ScaledL2NormPool2d,
  Sequential,
  SGD,
  SpectralConv2d,
  SpectralLinear,
  setDefaultDevice,
  type Tensor,
  TrainingPosition,
  TslipError,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, codeOf, SUBSET_FOLDER, smallNetwork, weightsOf } from "./subset.js";

const good = () => ({
  epochs: 1,
  batchSize: 20,
  optimizer: new SGD({ lr: 0.1 }),
  loss: new CrossEntropyLoss(),
  verbose: false,
});

/** Runs `call`, expects `code`, and that the model is as before. */
async function expectRefusal(model: Module, code: string, call: () => unknown): Promise<void> {
  model.eval();
  const before = weightsOf(model);
  expect(await codeOf(call)).toBe(code);
  expect(weightsOf(model)).toEqual(before);
  expect(model.training).toBe(false);
}

describe("fit refuses, before anything changes,", () => {
  const model = smallNetwork();
  const data = clouds();
  type Options = Partial<Parameters<typeof fit>[2]>;
  const options: [string, string, Options][] = [
    ["a batch of 0", "INVALID_ARGUMENT", { batchSize: 0 }],
    ["a negative batch", "INVALID_ARGUMENT", { batchSize: -4 }],
    ["a fractional batch", "INVALID_ARGUMENT", { batchSize: 2.5 }],
    ["a batch of NaN", "INVALID_ARGUMENT", { batchSize: Number.NaN }],
    ["0 epochs", "INVALID_ARGUMENT", { epochs: 0 }],
    ["infinite epochs", "INVALID_ARGUMENT", { epochs: Number.POSITIVE_INFINITY }],
    ["a fractional seed", "INVALID_ARGUMENT", { seed: 0.5 }],
    ["an unknown device", "UNKNOWN_DEVICE", { device: "tpu" as Device }],
    ["a GPU that does not exist", "UNKNOWN_DEVICE", { device: "gpu:99" }],
    ["something that is no loss", "INVALID_ARGUMENT", { loss: {} as CrossEntropyLoss }],
    ["something that is no optimizer", "INVALID_ARGUMENT", { optimizer: { lr: 1 } as unknown as SGD }],
    ...(["begin", "gradients", "project"] as const).map((missing): [string, string, Options] => [
      `a projection without ${missing}`,
      "INVALID_ARGUMENT",
      { projection: { ...projections.spectral(), [missing]: undefined } as never },
    ]),
    [
      "a callback whose track is no function",
      "INVALID_ARGUMENT",
      { callbacks: [{ onEpochEnd: () => undefined, track: 1 as never }] },
    ],
    ["a metric that is no function", "INVALID_ARGUMENT", { metrics: { acc: "accuracy" as unknown as () => Tensor } }],
    ["a metric under the name of a record's field", "INVALID_ARGUMENT", { metrics: { loss: accuracy() } }],
    ["a metric that is no scalar", "SHAPE_MISMATCH", { metrics: { logits: (logits) => logits } }],
    ["a loss that is no scalar", "SHAPE_MISMATCH", { loss: new CrossEntropyLoss({ reduction: "none" }) }],
    ["a loss that does not take labels", "SHAPE_MISMATCH", { loss: new MSELoss() }],
    [
      "a validation set of other images",
      "SHAPE_MISMATCH",
      { validation: fromArrays(new Uint8Array(4), [2, 2], [0, 1]) },
    ],
    [
      "a validation set with labels the model has no logit for",
      "LABEL_OUT_OF_RANGE",
      { validation: fromArrays(new Float32Array(16), [2, 8], [0, 3]) },
    ],
    ["something that is no validation set", "INVALID_ARGUMENT", { validation: [] as unknown as Dataset }],
    [
      "a schedule that is too short",
      "INVALID_ARGUMENT",
      {
        schedule: {
          at() {
            throw new TslipError("INVALID_ARGUMENT", "too short");
          },
        },
      },
    ],
    [
      "a schedule that ends too soon",
      "INVALID_ARGUMENT",
      { epochs: 2, schedule: new OneCycleLR({ maxLr: 1, totalSteps: 5 }) },
    ],
    [
      "a schedule that gives a momentum for its first step alone",
      "INVALID_ARGUMENT",
      { schedule: { at: (step) => (step === 0 ? { lr: 0.1, momentum: 0.5 } : { lr: 0.1 }) } },
    ],
    [
      "a schedule that gives no momentum for its first step alone",
      "INVALID_ARGUMENT",
      { schedule: { at: (step) => (step > 0 ? { lr: 0.1, momentum: 0.5 } : { lr: 0.1 }) } },
    ],
    ["a schedule that gives NaN", "INVALID_ARGUMENT", { schedule: { at: () => ({ lr: Number.NaN }) } }],
  ];
  it.each(options)("%s", async (_, code, bad) => {
    await expectRefusal(model, code, () => fit(model, data, { ...good(), ...bad }));
  });

  it("a schedule without a momentum for a step in the middle, which it names", async () => {
    const schedule = { at: (step: number) => (step === 4 ? { lr: 0.1 } : { lr: 0.1, momentum: 0.9 }) };
    const options = { ...good(), epochs: 2, optimizer: new SGD({ lr: 0.1, momentum: 0.5 }), schedule };
    await expect(fit(model, data, options)).rejects.toThrow(/no momentum for step 4/);
    expect(options.optimizer.momentumState?.item()).toBe(0.5);
  });

  it("no schedule that is as long as the steps that are made of more epochs, before and after it is put back", async () => {
    const schedule = new OneCycleLR({ maxLr: 0.1, totalSteps: 8 });
    const position = new TrainingPosition();
    const options = { ...good(), epochs: 100, optimizer: new SGD({ lr: 0.1, momentum: 0.5 }), schedule, position };
    const trained = smallNetwork();
    await fit(trained, data, { ...options, maxSteps: 4 });
    await fit(trained, data, { ...options, maxSteps: 8 });
    expect(position.steps.item()).toBe(8);
    expect(options.optimizer.lr).toBe(Math.fround(schedule.at(7).lr));
    expect(await codeOf(() => fit(trained, data, { ...options, maxSteps: 9 }))).toBe("INVALID_ARGUMENT");
    expect(await fit(trained, data, { ...options, maxSteps: 8 })).toEqual({ device: "cpu", epochs: [] });
  });

  it("a metric under a name that figures have, as evaluate does", async () => {
    for (const name of ["loss", "epoch", "val_acc"]) {
      const metrics = { [name]: accuracy() };
      await expectRefusal(model, "INVALID_ARGUMENT", () => fit(model, data, { ...good(), metrics }));
      await expectRefusal(model, "INVALID_ARGUMENT", () => evaluate(model, data, { loss: good().loss, metrics }));
    }
    const metrics = { acc: "accuracy" as unknown as () => Tensor };
    await expectRefusal(model, "INVALID_ARGUMENT", () => evaluate(model, data, { metrics }));
  });

  it("images of a shape the model does not take", async () => {
    const other = fromArrays(new Float32Array(14), [2, 7], [0, 1]);
    await expectRefusal(model, "SHAPE_MISMATCH", () => fit(model, other, good()));
  });

  it("labels that the model has no logit for", async () => {
    const other = fromArrays(new Float32Array(16), [2, 8], [0, 3]);
    await expectRefusal(model, "LABEL_OUT_OF_RANGE", () => fit(model, other, good()));
    await expectRefusal(model, "LABEL_OUT_OF_RANGE", () => evaluate(model, other, { metrics: { acc: accuracy() } }));
  });

  it("what is no model or no data set", async () => {
    expect(await codeOf(() => fit({} as Module, data, good()))).toBe("INVALID_ARGUMENT");
    await expectRefusal(model, "INVALID_ARGUMENT", () => fit(model, [] as unknown as Dataset, good()));
    await expectRefusal(model, "INVALID_ARGUMENT", () => evaluate(model, [] as unknown as Dataset));
  });

  it("no options, and says what they look like", async () => {
    const missing = undefined as unknown as ReturnType<typeof good>;
    await expectRefusal(model, "INVALID_ARGUMENT", () => fit(model, data, missing));
    await expect(fit(model, data, missing)).rejects.toThrow(
      /fit takes its options as a record \{ epochs, batchSize, .*given undefined/,
    );
  });

  it("and trains as if nothing had happened afterwards", async () => {
    const untouched = smallNetwork();
    await fit(model, data, good());
    await fit(untouched, data, good());
    expect(weightsOf(model)).toEqual(weightsOf(untouched));
  });
});

describe("a data set refuses", () => {
  const labels = [0, 1];
  const refused: [string, string, () => unknown][] = [
    ["NaN pixels", "NON_FINITE", () => fromArrays(Float32Array.of(0, Number.NaN), [2, 1], labels)],
    ["infinite pixels", "NON_FINITE", () => fromArrays(Float32Array.of(0, Number.NEGATIVE_INFINITY), [2, 1], labels)],
    ["negative labels", "LABEL_OUT_OF_RANGE", () => fromArrays(new Uint8Array(2), [2, 1], [0, -1])],
    ["fractional labels", "LABEL_OUT_OF_RANGE", () => fromArrays(new Uint8Array(2), [2, 1], [0, 0.5])],
    ["labels of NaN", "LABEL_OUT_OF_RANGE", () => fromArrays(new Uint8Array(2), [2, 1], [0, Number.NaN])],
    [
      "labels beyond its class names",
      "LABEL_OUT_OF_RANGE",
      () => fromArrays(new Uint8Array(2), [2, 1], [0, 2], { classNames: ["a", "b"] }),
    ],
    ["no images", "EMPTY_DATASET", () => fromArrays(new Uint8Array(0), [0, 1], [])],
    ["images without pixels", "EMPTY_DATASET", () => fromArrays(new Uint8Array(0), [2, 0], labels)],
    ["fewer pixels than its shape says", "SHAPE_MISMATCH", () => fromArrays(new Uint8Array(3), [2, 2], labels)],
    ["fewer labels than images", "SHAPE_MISMATCH", () => fromArrays(new Uint8Array(4), [4, 1], labels)],
    [
      "pixels of another type",
      "DTYPE_MISMATCH",
      () => fromArrays(new Uint16Array(2) as unknown as Float32Array, [2, 1], labels),
    ],
  ];
  it.each(refused)("%s", async (_, code, call) => {
    expect(await codeOf(call)).toBe(code);
  });

  it("a truncated file, and says at which byte it ends", async () => {
    const whole = await readFile(join(SUBSET_FOLDER, "t10k-images-idx3-ubyte.gz"));
    const cut = join(tmpdir(), `tslip-truncated-${process.pid}.gz`);
    await writeFile(cut, whole.subarray(0, 5000));
    const images = fromIdx(cut, join(SUBSET_FOLDER, "t10k-labels-idx1-ubyte.gz"));
    expect(await codeOf(() => images)).toBe("INVALID_FILE");
    await expect(images).rejects.toThrow(/byte/);
  });
});

describe("layers and losses refuse", () => {
  const missing = undefined as never;
  const conv =
    (options: object): (() => unknown) =>
    () =>
      new SpectralConv2d(1, 4, { kernelSize: 3, ...options });
  const refused: [string, string, () => unknown][] = [
    ["kCoefLip 0", "INVALID_ARGUMENT", () => new SpectralLinear(4, 4, { kCoefLip: 0 })],
    ["a negative kCoefLip", "INVALID_ARGUMENT", conv({ kCoefLip: -1 })],
    ["kCoefLip NaN", "INVALID_ARGUMENT", () => new GroupSort2({ kCoefLip: Number.NaN })],
    ["kCoefLip 0 of a whole", "INVALID_ARGUMENT", () => new Sequential([new GroupSort2()], { kCoefLip: 0 })],
    ["an infinite kCoefLip", "INVALID_ARGUMENT", () => new Sequential([], { kCoefLip: Number.POSITIVE_INFINITY })],
    ["a kernel of 0", "INVALID_ARGUMENT", conv({ kernelSize: 0 })],
    [
      "a kernel larger than the padded image",
      "SHAPE_MISMATCH",
      () =>
        new SpectralConv2d(1, 4, { kernelSize: 9, padding: 1 }).predictSync(tensor(new Float32Array(36), [1, 1, 6, 6])),
    ],
    [
      "images with other channels than theirs",
      "SHAPE_MISMATCH",
      () => new SpectralConv2d(3, 4, { kernelSize: 3 }).predictSync(tensor(new Float32Array(36), [1, 1, 6, 6])),
    ],
    [
      "input of an integer type",
      "DTYPE_MISMATCH",
      () => new Linear(4, 2).predictSync(tensor(new Int32Array(4), [1, 4])),
    ],
    ["a negative margin", "INVALID_ARGUMENT", () => new HKRMulticlassLoss({ alpha: 10, minMargin: -1 })],
    ["alpha of at most 1 without a form", "INVALID_ARGUMENT", () => new HKRMulticlassLoss({ alpha: 1 })],
    ["a convolution without options", "INVALID_ARGUMENT", () => new Conv2d(1, 1, missing)],
    ["a spectral convolution without options", "INVALID_ARGUMENT", () => new SpectralConv2d(1, 1, missing)],
    ["pooling without options", "INVALID_ARGUMENT", () => new ScaledL2NormPool2d(missing)],
    ["a loss without options", "INVALID_ARGUMENT", () => new HKRMulticlassLoss(missing)],
    ["SGD without options", "INVALID_ARGUMENT", () => new SGD(missing)],
    ["a schedule without options", "INVALID_ARGUMENT", () => new OneCycleLR(missing)],
    ["a factor of no convolution", "INVALID_ARGUMENT", () => functional.convolutionFactor(missing)],
    ["an unknown device", "UNKNOWN_DEVICE", () => setDefaultDevice("cuda" as Device)],
    ["a negative learning rate", "INVALID_ARGUMENT", () => new Adam({ lr: -1 })],
  ];
  it.each(refused)("%s", async (_, code, call) => {
    expect(await codeOf(call)).toBe(code);
  });
});

describe("certify refuses", () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "images with a pixel of %d",
    async (bad) => {
      const model = new Sequential([new SpectralLinear(3, 2)]);
      expect(await codeOf(() => certify(model, tensor([[0, bad, 1]])))).toBe("NON_FINITE");
    },
  );
});
