// Gradients that fit limits, and figures of epochs with samples that do not count.
import {
  accuracy,
  binaryAccuracy,
  CrossEntropyLoss,
  clipGradNorm,
  clipGradValue,
  compile,
  type Dataset,
  type FitOptions,
  fit,
  fromArrays,
  type GradientClip,
  grad,
  HingeMarginLoss,
  HKRLoss,
  HKRMulticlassLoss,
  KRLoss,
  kr,
  krMulticlass,
  Linear,
  type Loss,
  type Metrics,
  type Module,
  manualSeed,
  SGD,
  TauBCEWithLogitsLoss,
  type Tensor,
  tensor,
  WeightedLoss,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork, weightsOf } from "./subset.js";

const data = clouds(20);

const options = (more: Partial<FitOptions<Metrics>> = {}) => ({
  epochs: 1,
  batchSize: 20,
  loss: new CrossEntropyLoss() as Loss,
  optimizer: new SGD({ lr: 1 }),
  shuffle: false,
  verbose: false,
  ...more,
});

/** Weights after one step with gradients that are changed. */
async function stepped(model: Module, change: (gradients: readonly Tensor[]) => readonly Tensor[]): Promise<number[]> {
  const { images, targets } = data.batch(0, 20);
  const step = compile((x: Tensor, y: Tensor) => {
    const parameters = model.parameters().filter(({ trainable }) => trainable);
    const gradients = grad(new CrossEntropyLoss().forward(model.forward(x), y), parameters);
    new SGD({ lr: 1 }).update(parameters, change(gradients));
  });
  await step(images, targets);
  return weightsOf(model);
}

describe("gradientClip of fit", () => {
  it.each<[GradientClip, (gradients: readonly Tensor[]) => readonly Tensor[]]>([
    [{ norm: 0.01 }, (gradients) => clipGradNorm(gradients, 0.01)],
    [{ norm: 1e6 }, (gradients) => gradients],
    [{ value: 0.001 }, (gradients) => clipGradValue(gradients, 0.001)],
  ])("limits by %o", async (gradientClip, change) => {
    const model = smallNetwork();
    const before = weightsOf(model);
    await fit(model, data, options({ gradientClip }));
    const wanted = await stepped(smallNetwork(), change);
    weightsOf(model).forEach((w, i) => expect(w).toBeCloseTo(wanted[i] ?? Number.NaN, 6));
    const moved = weightsOf(model).map((w, i) => w - (before[i] ?? 0));
    const norm = Math.sqrt(moved.reduce((sum, x) => sum + x * x, 0));
    if ("norm" in gradientClip) expect(norm).toBeLessThan(gradientClip.norm * 1.001);
    else for (const x of moved) expect(Math.abs(x)).toBeLessThan(gradientClip.value * 1.001);
  });

  it("takes the norm of what is trained, frozen parameters left out", async () => {
    const frozen = () => {
      const model = smallNetwork();
      const [first] = model.layers;
      if (first !== undefined) first.trainable = false;
      return model;
    };
    const model = frozen();
    await fit(model, data, options({ gradientClip: { norm: 0.01 } }));
    const wanted = await stepped(frozen(), (gradients) => clipGradNorm(gradients, 0.01));
    weightsOf(model).forEach((w, i) => expect(w).toBeCloseTo(wanted[i] ?? Number.NaN, 6));
    const all = smallNetwork();
    all.trainable = false;
    const before = weightsOf(all);
    await fit(all, data, options({ gradientClip: { norm: 0.01 } }));
    expect(weightsOf(all)).toEqual(before);
  });

  it.each<[unknown, RegExp]>([
    [1, /gradientClip must be \{ norm \} or \{ value \}, one of them; given 1/],
    [{}, /one of them; given/],
    [{ norm: 1, value: 1 }, /one of them; given \{ norm, value \}/],
    [{ norm: 0 }, /norm must be finite and above 0; given 0/],
    [{ maxNorm: 1 }, /gradientClip has no option "maxNorm"; did you mean "norm"/],
  ])("is refused as %o", async (gradientClip, message) => {
    await expect(fit(smallNetwork(), data, options({ gradientClip: gradientClip as GradientClip }))).rejects.toThrow(
      message,
    );
  });
});

describe("figures of an epoch", () => {
  const IGNORED = -100;
  const labels = [0, IGNORED, IGNORED, 1, IGNORED, 0, 1, 2, 1];
  const pixels = Float32Array.from({ length: 8 * labels.length }, (_, i) => Math.sin(i));
  const masked = fromArrays(pixels, [labels.length, 8], labels, { ignoreIndex: IGNORED });
  const kept = labels.flatMap((label, i) => (label === IGNORED ? [] : [i]));

  it("are means over the samples that count", async () => {
    const still = { optimizer: new SGD({ lr: 0 }), batchSize: 4 };
    const ignoring = { ignoreIndex: IGNORED };
    const one = await fit(smallNetwork(), masked, {
      ...options({ ...still, loss: new CrossEntropyLoss(ignoring) }),
      metrics: { acc: accuracy(ignoring) },
    });
    const counted = fromArrays(
      kept
        .flatMap((i) => [...pixels.slice(8 * i, 8 * i + 8)])
        .reduce((all, x, i) => all.fill(x, i, i + 1), new Float32Array(8 * kept.length)),
      [kept.length, 8],
      kept.map((i) => labels[i] ?? 0),
    );
    const other = await fit(smallNetwork(), counted, { ...options(still), metrics: { acc: accuracy() } });
    expect(one.epochs[0]?.loss).toBeCloseTo(other.epochs[0]?.loss ?? Number.NaN, 6);
    expect(one.epochs[0]?.["acc"]).toBeCloseTo(other.epochs[0]?.["acc"] ?? Number.NaN, 6);
    expect(one.epochs[0]?.imagesPerSecond).toBeCloseTo(labels.length / (one.epochs[0]?.seconds ?? 0), 6);
  });

  it("go by the class that each loss and metric ignores", async () => {
    const all = fromArrays(
      pixels,
      [labels.length, 8],
      labels.map((label) => Math.max(0, label)),
    );
    const samples = labels.filter((label) => label > 0).length;
    const seen: number[] = [];
    const { epochs } = await fit(smallNetwork(), all, {
      ...options({
        optimizer: new SGD({ lr: 0 }),
        batchSize: 4,
        loss: new HKRMulticlassLoss({ alpha: 10, ignoreIndex: 0 }),
      }),
      metrics: { some: accuracy({ ignoreIndex: 0 }), KR: krMulticlass({ ignoreIndex: 0 }), every: accuracy() },
      callbacks: [
        {
          onEpochEnd: (_, __, { some, every, loss }) =>
            void seen.push(...[some, every, loss].flatMap((row) => [...(row ?? [])])),
        },
      ],
    });
    // Batches of 4, 4 and 1 samples, of which 1, 2 and 1 have another class than 0.
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0] = seen;
    expect(samples).toBe(4);
    expect(epochs[0]?.some).toBeCloseTo((a + 2 * b + c) / 4, 12);
    expect(epochs[0]?.every).toBeCloseTo((4 * d + 4 * e + f) / 9, 12);
    expect(epochs[0]?.loss).toBeCloseTo((g + 2 * h + i) / 4, 9);
  });

  it("are over all samples of a metric that counts all, whatever the data set ignores, and over its own without a say", async () => {
    const all = labels.map((label) => Math.max(0, label));
    const ignoring = fromArrays(pixels, [labels.length, 8], all, { ignoreIndex: 0 });
    const mine = (outputs: Tensor, targets: Tensor): Tensor =>
      outputs.stopGradient().sum().mul(0).add(targets.cast("f32").mean());
    const seen: number[] = [];
    const { epochs } = await fit(smallNetwork(), ignoring, {
      ...options({ optimizer: new SGD({ lr: 0 }), batchSize: 4, loss: new CrossEntropyLoss() }),
      metrics: { every: accuracy(), mine },
      callbacks: [
        {
          onEpochEnd: (_, __, { every, loss, mine }) =>
            void seen.push(...[every, loss, mine].flatMap((row) => [...(row ?? [])])),
        },
      ],
    });
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0, i = 0] = seen;
    expect(epochs[0]?.every).toBeCloseTo((4 * a + 4 * b + c) / 9, 12);
    expect(epochs[0]?.loss).toBeCloseTo((4 * d + 4 * e + f) / 9, 9);
    expect(epochs[0]?.mine).toBeCloseTo((g + 2 * h + i) / 4, 12);
  });

  it.each<[string, (ignoreIndex?: number) => Loss]>([
    ["HKR", (ignoreIndex) => new HKRLoss({ alpha: 5, ignoreIndex })],
    ["the hinge", (ignoreIndex) => new HingeMarginLoss({ ignoreIndex })],
    ["cross-entropy", (ignoreIndex) => new TauBCEWithLogitsLoss({ tau: 1, ignoreIndex })],
    ["a weighted loss", (ignoreIndex) => new WeightedLoss(new KRLoss({ ignoreIndex }), { classWeights: [1, 2] })],
  ])("of one logit a sample are of the samples that count: %s", async (name, make) => {
    const binary = labels.map((label) => (label > 1 ? 0 : label));
    const ignoring = fromArrays(pixels, [labels.length, 8], binary, { ignoreIndex: IGNORED });
    const rest = ignoring.subset(kept);
    const figures = async (set: Dataset, batchSize: number, ignoreIndex?: number) => {
      manualSeed(2);
      const metrics = { right: binaryAccuracy({ ignoreIndex }), KR: kr({ ignoreIndex }) };
      const still = { optimizer: new SGD({ lr: 0 }), batchSize, loss: make(ignoreIndex) };
      const { epochs } = await fit(new Linear(8, 1), set, { ...options(still), metrics });
      return [epochs[0]?.loss, epochs[0]?.right, epochs[0]?.KR].map((value) => value ?? Number.NaN);
    };
    const right = await figures(rest, kept.length);
    (await figures(ignoring, labels.length, IGNORED)).forEach((value, k) =>
      expect(value).toBeCloseTo(right[k] ?? 0, 5),
    );
    // Those that are means over samples are so in batches too.
    const [loss, share] = await figures(ignoring, 4, IGNORED);
    expect(share).toBeCloseTo(right[1] ?? 0, 5);
    if (name === "the hinge" || name === "cross-entropy") expect(loss).toBeCloseTo(right[0] ?? 0, 5);
  });

  it("are those of other batches where a batch has no sample that counts", async () => {
    const ordered = fromArrays(pixels.slice(0, 32), [4, 8], [0, 1, IGNORED, IGNORED], { ignoreIndex: IGNORED });
    const seen = (outputs: Tensor, targets: Tensor): Tensor =>
      outputs.stopGradient().sum().mul(0).add(targets.cast("f32").max());
    const { epochs } = await fit(smallNetwork(), ordered, {
      ...options({ batchSize: 2, loss: new HKRMulticlassLoss({ alpha: 10, ignoreIndex: IGNORED }) }),
      metrics: { seen: Object.assign(seen, { ignoreIndex: IGNORED }) },
    });
    expect(epochs[0]?.["seen"]).toBe(1);
    expect(
      tensor([epochs[0]?.loss ?? Number.NaN])
        .isFinite()
        .item(),
    ).toBe(1);
  });
});
