// Normalisation against plain definitions in float64: training, evaluation, exports, bounds, and what torchlip gets wrong of it.
import {
  Adam,
  BatchCentering,
  BatchLipNorm,
  CrossEntropyLoss,
  certify,
  compile,
  fit,
  fromArrays,
  grad,
  LayerCentering,
  Linear,
  type Module,
  Normalize,
  randn,
  ScaleBiasLayer,
  Sequential,
  SharedLipFactory,
  SpectralLinear,
  type Tensor,
  TslipError,
  tensor,
  zeros,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { spectralNorm } from "../soundness/float64.js";
import { exactOf, gapOfDerivatives, jacobian, onGrid } from "./exactly.js";

/** Sums of some dozens of float32 numbers. */
const FLOAT32 = 5e-6;
/** What a Jacobian of float64 may exceed a bound by: the bound is of float32 parameters. */
const BOUND = 1 + 2e-6;
/** Central differences with steps of 2^-9. */
const DIFFERENCES = 2e-4;

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return error.code;
    throw error;
  }
  return "nothing thrown";
};

/** All values of a channel in a batch [n, channels, places]. */
const valuesOf = (x: Tensor, channel: number): number[] => {
  const [, channels = 1, ...places] = x.shape;
  const each = places.reduce((a, b) => a * b, 1);
  return Array.from(x.dataSync()).filter((_, i) => Math.floor(i / each) % channels === channel);
};
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

interface Averages {
  readonly means: number[];
  readonly squares: number[];
  readonly count: number;
}

/** Of batches, each of which counts as much as another. */
function averages(batches: readonly Tensor[]): Averages {
  const channels = Array.from({ length: batches[0]?.shape[1] ?? 0 }, (_, c) => c);
  return {
    means: channels.map((c) => mean(batches.map((x) => mean(valuesOf(x, c))))),
    squares: channels.map((c) => mean(batches.map((x) => mean(valuesOf(x, c).map((v) => v * v))))),
    count: batches.reduce((sum, x) => sum + x.size / channels.length, 0),
  };
}

/** x less its means, over the root of the largest variance. */
function normalized(
  x: Tensor,
  { means, squares, count }: Averages,
  options: { centering?: boolean; eps?: number } = {},
) {
  const { centering = true, eps = 1e-5 } = options;
  const off = means.map((m) => (centering ? m : 0));
  const variances = squares.map((s, c) => ((s - (off[c] ?? 0) ** 2) * count) / Math.max(count - 1, 1));
  const scale = 1 / Math.sqrt(Math.max(...variances.map((v) => (v < eps ? 1 : v))));
  const [, channels = 1, ...places] = x.shape;
  const each = places.reduce((a, b) => a * b, 1);
  const y = Array.from(x.dataSync(), (v, i) => (v - (off[Math.floor(i / each) % channels] ?? 0)) * scale);
  return { y, scale };
}

function near(got: ArrayLike<number>, want: ArrayLike<number>, allowed = FLOAT32): void {
  expect(got.length).toBe(want.length);
  const scale = Math.max(1, ...Array.from(want, Math.abs));
  Array.from(want).forEach((w, i) => {
    expect(Math.abs((got[i] ?? Number.NaN) - w)).toBeLessThanOrEqual(allowed * scale);
  });
}

const batch = (shape: readonly number[], seed: number, scale = 2, shift = 1): Tensor => {
  const made = randn(shape, { seed }).mul(scale).add(shift);
  return tensor(made.dataSync(), shape);
};

/** Steps of training, each of which assigns what it adds to the statistics. */
async function trained(layer: Module, batches: readonly Tensor[]): Promise<Float32Array[]> {
  layer.train();
  const step = compile((x: Tensor) => layer.forward(x));
  const results: Float32Array[] = [];
  for (const x of batches) results.push((await step(x)).held() as Float32Array);
  return results;
}

describe.each([[[4, 3, 2, 2]], [[5, 1]], [[2, 7]], [[1, 2, 6]], [[3, 5, 1]]])(
  "BatchLipNorm of batches of shape %j",
  (shape) => {
    const batches = [1, 2, 3].map((seed) => batch(shape, seed, seed, 0.5 * seed));
    const features = shape[1] ?? 1;

    it("normalizes with the batch in training, and with the average of all in evaluation", async () => {
      const layer = new BatchLipNorm(features);
      (await trained(layer, batches)).forEach((y, i) => {
        const x = batches[i] as Tensor;
        near(y, normalized(x, averages([x])).y);
      });
      const x = batch(shape, 9);
      const { y, scale } = normalized(x, averages(batches));
      near(layer.predictSync(x).held(), y);
      expect(layer.lipschitzBound() / scale).toBeCloseTo(1, 5);
      layer.eval();
      near(layer.predictSync(x).held(), y);
    });

    it("has the same results exported, and one at a time", async () => {
      const layer = new BatchLipNorm(features);
      layer.bias?.assign(randn([features], { seed: 5 }));
      await trained(layer, batches);
      const x = batch([4, ...shape.slice(1)], 9);
      const y = layer.predictSync(x).held();
      const exported = layer.vanillaExport();
      expect(exported).toBeInstanceOf(ScaleBiasLayer);
      expect(exported.predictSync(x).held()).toEqual(y);
      expect(exported.lipschitzBound()).toBe(layer.lipschitzBound());
      const each = y.length / 4;
      for (let n = 0; n < 4; n++) {
        expect(layer.predictSync(x.slice([n], [n + 1])).held()).toEqual(y.slice(n * each, (n + 1) * each));
      }
      await trained(layer, batches);
      expect(exported.predictSync(x).held()).toEqual(y);
    });
  },
);

describe("BatchLipNorm", () => {
  it("scales without centering, or centres without a scale", async () => {
    const batches = [1, 2].map((seed) => batch([4, 3], seed));
    const x = batch([2, 3], 7);
    const scaling = new BatchLipNorm(3, { centering: false, eps: 1e-3 });
    await trained(scaling, batches);
    near(scaling.predictSync(x).held(), normalized(x, averages(batches), { centering: false }).y);
    for (const centring of [new BatchLipNorm(3, { normalize: false }), new BatchCentering(3, { bias: false })]) {
      const [first] = await trained(centring, batches);
      const { means } = averages(batches);
      near(
        first ?? [],
        Array.from((batches[0] as Tensor).dataSync(), (v, i) => v - (averages(batches.slice(0, 1)).means[i % 3] ?? 0)),
      );
      near(
        centring.predictSync(x).held(),
        Array.from(x.dataSync(), (v, i) => v - (means[i % 3] ?? 0)),
      );
      expect(centring.lipschitzBound()).toBe(1);
      expect(centring.lipschitzByConstruction).toBe(true);
    }
  });

  it("loses nothing of a variance where means are large", async () => {
    const x = batch([64, 2], 3, 1, 3000);
    const [y] = await trained(new BatchLipNorm(2), [x]);
    const exact = [0, 1].map((c) => {
      const values = valuesOf(x, c);
      return values.reduce((sum, v) => sum + (v - mean(values)) ** 2, 0) / 63;
    });
    const scale = 1 / Math.sqrt(Math.max(...exact));
    near(
      y ?? [],
      Array.from(x.dataSync(), (v, i) => (v - mean(valuesOf(x, i % 2))) * scale),
      1e-3,
    );
  });

  it("evaluates with the variance of float32: what is nothing but rounding counts as that of a constant channel", async () => {
    const factor = (squares: number): number => {
      const layer = new BatchLipNorm(1, { bias: false });
      layer.loadStateDict({
        running_sum_bmean: tensor([3000]),
        running_num_batches: tensor(Int32Array.of(1), [1]),
        running_sum_bmeansq: tensor([squares]),
        running_mean_sample_per_batches: tensor([1e6]),
        total_num_samples: tensor([1e6]),
      });
      return layer.eval().getScalingFactor().item();
    };
    for (const rounding of [-7, -1, 0, 1, 2]) expect(factor(9e6 + rounding)).toBe(1);
    for (const variance of [4, 100]) expect(factor(9e6 + variance)).toBeCloseTo(Math.sqrt(variance), 5);
    // To a percent of the variance, after a hundred batches, where the mean is 30 deviations.
    const x = batch([64, 2], 3, 1, 30);
    const layer = new BatchLipNorm(2);
    for (let i = 0; i < 100; i++) await trained(layer, [x]);
    const variances = [0, 1].map((c) => {
      const values = valuesOf(x, c);
      return (values.reduce((sum, v) => sum + (v - mean(values)) ** 2, 0) / 64) * (6400 / 6399);
    });
    layer.eval();
    expect(layer.getScalingFactor().item() ** 2 / Math.max(...variances)).toBeCloseTo(1, 2);
  });

  it("is said once of a training to divide by rounding in evaluation, where it does", async () => {
    const said = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    try {
      for (const [offset, layers] of [
        [3, [new BatchLipNorm(2)]],
        [3000, [new BatchCentering(2), new BatchLipNorm(2)]],
        [3000, [new BatchLipNorm(2, { normalize: false })]],
        [3000, [new BatchLipNorm(2)]],
      ] as const) {
        said.mockClear();
        const x = batch([64, 2], 3, 1, offset);
        const data = fromArrays(
          x.dataSync() as Float32Array,
          [64, 2],
          Int32Array.from({ length: 64 }, (_, i) => i % 2),
        );
        const model = new Sequential([...layers, new Linear(2, 2)], { constrained: false });
        const options = {
          batchSize: 16,
          optimizer: new Adam({ lr: 1e-3 }),
          loss: new CrossEntropyLoss(),
          verbose: false,
        };
        await fit(model, data, { ...options, epochs: 3 });
        const messages = said.mock.calls.map(([message]) => String(message));
        const message =
          /the mean of channel \d that enters a BatchLipNorm is 3\.00e\+3, too large .* put a BatchCentering before it/;
        const expected =
          offset === 3000 && layers.length === 1 && layers[0].options.normalize === true
            ? [expect.stringMatching(message)]
            : [];
        expect(messages).toEqual(expected);
      }
    } finally {
      said.mockRestore();
    }
  });

  it("has the derivatives of its definition, through the statistics of the batch", () => {
    const x = onGrid(batch([3, 2, 2], 4));
    for (const layer of [new BatchLipNorm(2), new BatchLipNorm(2, { centering: false }), new BatchCentering(2)]) {
      const loss = (input: Tensor): Tensor => {
        const y = layer.forward(input);
        return y.mul(y.add(1)).mul(y.sub(x)).sum();
      };
      const { first, second } = gapOfDerivatives(loss, [x]);
      expect(first).toBeLessThan(DIFFERENCES);
      expect(second).toBeLessThan(20 * DIFFERENCES);
    }
  });

  it("keeps its statistics out of the parameters, under torchlip's names", async () => {
    const layer = new BatchLipNorm(3);
    expect(layer.namedParameters().map(([key]) => key)).toEqual(["bias"]);
    expect(Object.keys(await layer.stateDict()).sort()).toEqual([
      "bias",
      "running_mean_sample_per_batches",
      "running_num_batches",
      "running_sum_bmean",
      "running_sum_bmeansq",
      "total_num_samples",
    ]);
    expect(Object.keys(await new BatchCentering(3).stateDict()).sort()).toEqual([
      "bias",
      "running_num_batches",
      "running_sum_bmean",
    ]);
  });

  it("is trained by fit, whose epochs count as one batch each from their end on, and which evaluates with the statistics of the moment", async () => {
    const images = batch([12, 4], 1);
    const labels = Int32Array.from({ length: 12 }, (_, i) => i % 3);
    const data = fromArrays(images.dataSync() as Float32Array, [12, 4], labels);
    const norm = new BatchLipNorm(4);
    const model = new Sequential([norm, new Linear(4, 3)], { constrained: false });
    const options = {
      batchSize: 4,
      optimizer: new Adam({ lr: 1e-3 }),
      loss: new CrossEntropyLoss(),
      shuffle: false,
      validation: data,
      verbose: false,
    };
    await fit(model, data, { ...options, epochs: 1 });
    const parts = [0, 4, 8].map((i) => images.slice([i], [i + 4]));
    const { means } = averages(parts);
    expect(norm.runningNumBatches.item()).toBe(1);
    near(norm.runningSumBmean.dataSync(), means);
    expect(norm.totalNumSamples?.item()).toBe(12);
    await fit(model, data, { ...options, epochs: 1 });
    near(norm.runningSumBmean.dataSync(), averages([images, ...parts]).means);
    // The first epoch counts as a batch of its average size, and the bias has been trained a little.
    const { y } = normalized(images, { ...averages([images, ...parts]), count: 16 });
    near(norm.predictSync(images).held(), y, 1e-2);
  });

  it("refuses axes that mix channels, or leave some out, and other channels", () => {
    expect(codeOf(() => new BatchLipNorm(2, { dim: [0] }).forward(zeros([3, 2, 4])))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => new BatchLipNorm(2, { dim: [0, 1] }).forward(zeros([3, 2])))).toBe("SHAPE_MISMATCH");
    expect(new BatchLipNorm(2, { dim: [-1, 0] }).forward(zeros([3, 2, 4])).shape).toEqual([3, 2, 4]);
    expect(codeOf(() => new BatchCentering(2).forward(zeros([3, 1])))).toBe("SHAPE_MISMATCH");
    for (const make of [
      () => new BatchLipNorm(0),
      () => new BatchLipNorm(2, { eps: 0 }),
      () => new BatchLipNorm(2, { dim: [] }),
      () => new BatchCentering(2, { centering: false } as never),
    ]) {
      expect(codeOf(make)).toBe("INVALID_ARGUMENT");
    }
  });
});

describe("what torchlip gets wrong", () => {
  it("BatchLipNorm of one sample is finite and right, in training, evaluation and gradients", async () => {
    const x = tensor([[3, -1]]);
    const layer = new BatchLipNorm(2);
    const step = compile((input: Tensor) => {
      const y = layer.forward(input);
      return { y, g: grad(y.square().sum(), [input])[0] };
    });
    const { y, g } = await step(x);
    // Nothing is left of a value less its mean, and what has no variance is not scaled.
    expect(Array.from(y.held())).toEqual([0, 0]);
    expect(Array.from(g.held())).toEqual([0, 0]);
    expect(Array.from(layer.predictSync(tensor([[4, 1]])).held())).toEqual([1, 2]);
    const scaling = new BatchLipNorm(2, { centering: false });
    near((await trained(scaling, [x]))[0] ?? [], [1, -1 / 3]);
    near(scaling.predictSync(tensor([[6, 3]])).held(), [2, 1]);
  });

  it("BatchLipNorm that has seen nothing adds its bias alone", () => {
    const layer = new BatchLipNorm(2);
    layer.bias?.assign(tensor([1, 2]));
    expect(Array.from(layer.predictSync(tensor([[3, 4]])).held())).toEqual([4, 6]);
    expect(layer.lipschitzBound()).toBe(1);
  });

  it("running statistics in evaluation are never stale: loaded, trained on, averaged or trained again", async () => {
    const first = [1, 2, 3].map((seed) => batch([4, 2], seed));
    const layer = new BatchLipNorm(2);
    const x = batch([3, 2], 8);
    await trained(layer, first);
    layer.eval();
    near(layer.predictSync(x).held(), normalized(x, averages(first)).y);
    // What is loaded counts at once, in evaluation mode too.
    const other = new BatchLipNorm(2).eval();
    other.predictSync(x);
    other.loadStateDict(await layer.stateDict());
    expect(other.predictSync(x).held()).toEqual(layer.predictSync(x).held());
    // The average goes on as one batch.
    const more = [4, 5].map((seed) => batch([4, 2], seed));
    await trained(layer, more);
    const { means, squares } = averages(first);
    const both = averages(more);
    const mixed = (one: number[], two: number[]): number[] => one.map((v, c) => (v + 2 * (two[c] ?? 0)) / 3);
    const now = { means: mixed(means, both.means), squares: mixed(squares, both.squares), count: 4 + 8 };
    near(layer.predictSync(x).held(), normalized(x, now).y);
    const before = layer.predictSync(x).held();
    layer.eval();
    expect(layer.predictSync(x).held()).toEqual(before);
    expect(layer.runningNumBatches.item()).toBe(1);
    // Evaluation writes nothing, however often.
    const states = await layer.stateDict();
    layer.predictSync(x);
    expect(await layer.stateDict()).toEqual(states);
  });

  it("a model with BatchLipNorm is certified with the scale of its statistics, in whatever mode it is", async () => {
    const norm = new BatchLipNorm(4);
    const model = new Sequential([norm, new SpectralLinear(4, 3)], { constrained: false });
    await trained(norm, [batch([8, 4], 1, 0.1)]);
    const [certificate] = await certify(model, batch([1, 4], 2));
    expect(norm.training).toBe(true);
    expect((certificate?.lipschitz ?? 0) / norm.lipschitzBound()).toBeCloseTo(1, 4);
    expect(norm.lipschitzBound()).toBeGreaterThan(3);
  });
});

describe("BatchLipNorm with a SharedLipFactory", () => {
  const make = () => {
    const factory = new SharedLipFactory();
    const norms = [new BatchLipNorm(4, { factory }), new BatchLipNorm(3, { factory, centering: false, bias: false })];
    const model = new Sequential(
      norms.flatMap((norm, i) => [norm, new SpectralLinear(norm.numFeatures, 3 - i)]),
      { constrained: false },
    );
    return { factory, norms, model };
  };

  it("registers itself; the network times the product of evaluation is 1-Lipschitz, and its own bound says so", async () => {
    const { factory, norms, model } = make();
    expect(factory.modules).toEqual(norms);
    for (const seed of [1, 2, 3]) await trained(model, [batch([8, 4], seed, 0.01)]);
    model.eval();
    const product = factory.getCurrentProductValue();
    expect(product.shape).toEqual([]);
    const [value = 0] = product.dataSync();
    expect(value).toBeLessThan(0.1);
    const bounds = norms.reduce((all, norm) => all * norm.lipschitzBound(), 1);
    expect(value * bounds).toBeCloseTo(1, 5);
    const x = batch([1, 4], 9);
    const { rows, matrix } = jacobian(model, x);
    expect(spectralNorm(matrix, rows, 4) * value).toBeLessThanOrEqual(1 + 1e-5);
    expect(norms[0]?.getScalingFactor(false).dataSync()[0]).toBeCloseTo(1 / (norms[0]?.lipschitzBound() ?? 0), 6);
    // Exported, and saved, as without.
    const plain = new BatchLipNorm(4);
    expect(norms[0]?.options).toEqual(plain.options);
    expect(model.vanillaExport().predictSync(x).held()).toEqual(model.predictSync(x).held());
  });

  it("gives in training the factor of the batch, which gradients run through", () => {
    const { factory, norms } = make();
    const [norm] = norms as [BatchLipNorm];
    const lone = new SharedLipFactory();
    lone.register(norm);
    const x = batch([6, 4], 5, 2);
    expect(codeOf(() => norm.getScalingFactor(true))).toBe("INVALID_ARGUMENT");
    const step = compile((given: Tensor) => {
      const y = norm.forward(given);
      const factor = lone.getCurrentProductValue(true);
      return [y.mul(factor), factor, grad(factor, [given])[0]] as const;
    });
    const [y, factor, gradient] = step.sync(x);
    const values = Array.from(x.dataSync());
    const variances = [0, 1, 2, 3].map((c) => {
      const column = values.filter((_, i) => i % 4 === c);
      const mean = column.reduce((sum, v) => sum + v, 0) / 6;
      return column.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 5;
    });
    const largest = Math.max(...variances);
    expect(factor.dataSync()[0]).toBeCloseTo(Math.sqrt(largest), 5);
    const at = variances.indexOf(largest);
    const mean = values.filter((_, i) => i % 4 === at).reduce((sum, v) => sum + v, 0) / 6;
    gradient.dataSync().forEach((g, i) => {
      expect(g).toBeCloseTo(i % 4 === at ? ((values[i] ?? 0) - mean) / (5 * Math.sqrt(largest)) : 0, 5);
    });
    // Times the factor it is centred alone.
    expect(y.dataSync()[at]).toBeCloseTo((values[at] ?? 0) - mean, 4);
    expect(codeOf(() => factory.getCurrentProductValue(true))).toBe("INVALID_ARGUMENT");
  });

  it("trains with a loss that divides its temperature by the product", async () => {
    const { factory, norms, model } = make();
    const loss = {
      forward: (output: Tensor, target: Tensor) =>
        new CrossEntropyLoss().forward(output.mul(factory.getCurrentProductValue(model.training)), target),
    };
    const x = batch([24, 4], 3).dataSync() as Float32Array;
    const labels = Array.from({ length: 24 }, (_, i) => ((x[4 * i] ?? 0) > 1 ? 1 : 0));
    const data = fromArrays(x, [24, 4], labels);
    const { epochs } = await fit(model, data, {
      ...{ epochs: 12, batchSize: 8, loss, optimizer: new Adam({ lr: 5e-2 }), validation: data, verbose: false },
    });
    expect(epochs.at(-1)?.loss).toBeLessThan(0.9 * (epochs[0]?.loss ?? 0));
    expect(epochs.at(-1)?.["val_loss" as never]).toBeLessThan(epochs[0]?.loss ?? 0);
    expect(norms.every((norm) => norm.getScalingFactor().item() > 0)).toBe(true);
  });

  it("takes no other factory, and is 1 where nothing is scaled", () => {
    expect(() => new BatchLipNorm(2, { factory: {} as never })).toThrow(/factory must be a SharedLipFactory; given/);
    const factory = new SharedLipFactory();
    const centring = new BatchLipNorm(2, { factory, normalize: false });
    expect(factory.getCurrentProductValue(true).item()).toBe(1);
    expect(centring.lipschitzBound()).toBe(1);
  });
});

describe("LayerCentering", () => {
  it.each([
    [[2, 3, 4, 5], [-2, -1], 3],
    [[1, 2, 1, 1], [2, 3], 2],
    [[3, 6], [-1], 6],
    [[2, 3, 4], [1, 2], 3],
    [[2, 3, 4], [2], 3],
  ])("takes the mean of each sample of shape %j over %j off", (shape, dim, features) => {
    const layer = new LayerCentering(features, { dim });
    const bias = randn([features], { seed: 2 });
    layer.bias?.assign(bias);
    const x = batch(shape, 1, 3, 10);
    const y = layer.predictSync(x).held();
    const over = dim.map((axis) => (axis < 0 ? axis + shape.length : axis));
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    const values = Array.from(x.dataSync());
    const kept = (i: number): string =>
      shape.map((n, axis) => (over.includes(axis) ? 0 : Math.floor(i / (strides[axis] ?? 1)) % n)).join();
    const groups = new Map<string, number[]>();
    values.forEach((v, i) => groups.set(kept(i), [...(groups.get(kept(i)) ?? []), v]));
    const want = values.map((v, i) => {
      const channel = Math.floor(i / (strides[1] ?? 1)) % features;
      return v - mean(groups.get(kept(i)) ?? []) + (bias.dataSync()[channel] ?? 0);
    });
    near(y, want);
    near(exactOf(layer, x), want, 1e-12);
  });

  it("counts as many roundings as there are values to a mean, where it is told the shape", () => {
    const layer = new LayerCentering(3, { bias: false });
    expect(layer.rounding(60, [3, 4, 5]).roundings).toBe(24);
    expect(layer.rounding(60).roundings).toBe(64);
  });

  it("is exported with the bias of now", () => {
    const layer = new LayerCentering(2, { dim: [1] });
    layer.bias?.assign(tensor([1, 2]));
    const exported = layer.vanillaExport();
    layer.bias?.assign(tensor([0, 0]));
    expect(Array.from(exported.predictSync(tensor([[4, 6]])).held())).toEqual([0, 3]);
  });

  it("refuses the axis of the samples, axes that are not there, and other channels", () => {
    expect(codeOf(() => new LayerCentering(2, { dim: [0] }).forward(zeros([3, 2])))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => new LayerCentering(2).forward(zeros([3, 2])))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => new LayerCentering(2, { dim: [3] }).forward(zeros([3, 2])))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => new LayerCentering(2, { dim: [1, -1] }).forward(zeros([3, 2])))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => new LayerCentering(2).forward(zeros([3, 4, 2, 2])))).toBe("SHAPE_MISMATCH");
    expect(codeOf(() => new LayerCentering(2, { dim: 1 as never }))).toBe("INVALID_ARGUMENT");
  });
});

describe("ScaleBiasLayer", () => {
  it("scales and shifts channels, with the size of its scalar for a bound", async () => {
    const layer = new ScaleBiasLayer(-1.5, 2);
    layer.bias?.assign(tensor([1, 2]));
    expect(
      Array.from(
        layer
          .predictSync(
            tensor([
              [
                [2, 4],
                [0, -2],
              ],
            ]),
          )
          .held(),
      ),
    ).toEqual([-2, -5, 2, 5]);
    expect(layer.lipschitzBound()).toBe(1.5);
    expect(Array.from(new ScaleBiasLayer(3, 1, { bias: false }).predictSync(tensor([[2, 4, 6]])).held())).toEqual([
      6, 12, 18,
    ]);
  });

  it("refuses scalars that are no numbers, and channels that it has no bias for", () => {
    expect(codeOf(() => new ScaleBiasLayer(Number.NaN))).toBe("INVALID_ARGUMENT");
    expect(codeOf(() => new ScaleBiasLayer(1, 2).forward(zeros([1, 3])))).toBe("SHAPE_MISMATCH");
  });
});

describe("Normalize", () => {
  it("is torchvision's, for a number a channel or one for all", () => {
    const x = batch([2, 3, 2, 2], 1);
    const [means, stds] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.225],
    ];
    const want = Array.from(x.dataSync(), (v, i) => {
      const c = Math.floor(i / 4) % 3;
      return (v - Math.fround(means?.[c] ?? 0)) / Math.fround(stds?.[c] ?? 1);
    });
    near(new Normalize(means ?? [], stds ?? []).predictSync(x).held(), want);
    near(new Normalize(0, 255).predictSync(tensor([[51, 255]])).held(), [0.2, 1]);
    near(new Normalize([1, 2], 4).predictSync(tensor([[5, 5]])).held(), [1, 0.75]);
  });

  it("has its factor in bounds and certificates of what holds it: radii are of what comes in", async () => {
    const head = new SpectralLinear(4, 3);
    const raw = batch([2, 4], 3, 20, 100);
    const scaled = new Sequential([new Normalize(0, 8), head], { constrained: false });
    const plain = new Sequential([head], { constrained: false });
    const [inRaw, inScaled] = [await certify(scaled, raw), await certify(plain, tensor(raw.div(8).dataSync(), [2, 4]))];
    inRaw.forEach(({ radius, lipschitz }, i) => {
      expect(lipschitz * 8).toBeCloseTo(inScaled[i]?.lipschitz ?? 0, 5);
      expect(radius / (8 * (inScaled[i]?.radius ?? 0))).toBeCloseTo(1, 3);
    });
    expect(new Normalize([0, 0], [0.5, 4]).lipschitzBound()).toBeCloseTo(2, 12);
    expect(new Normalize(0, 1).lipschitzBound()).toBe(1);
  });

  it("refuses what it cannot divide by, and channels that it does not know", () => {
    for (const make of [
      () => new Normalize(0, 0),
      () => new Normalize(0, -1),
      () => new Normalize(0, 1e-60),
      () => new Normalize(1e60, 1),
      () => new Normalize([1, 2], [1, 2, 3]),
      () => new Normalize([], 1),
      () => new Normalize("0" as never, 1),
    ]) {
      expect(codeOf(make)).toBe("INVALID_ARGUMENT");
    }
    expect(codeOf(() => new Normalize([1, 2], 1).forward(zeros([1, 3])))).toBe("SHAPE_MISMATCH");
  });
});

it.each([
  ["LayerCentering", () => new LayerCentering(2), [2, 2, 3]],
  ["ScaleBiasLayer", () => new ScaleBiasLayer(-0.7, 2), [2, 2]],
  ["Normalize", () => new Normalize([0, 1], [0.3, 3]), [2, 2]],
] as const)(
  "%s has a Jacobian in float64 whose norm its bound is not below, and derivatives of its definition",
  async (_, make, sample) => {
    const layer: Module = make();
    const size = sample.reduce((a: number, b: number) => a * b, 1);
    const x = onGrid(randn([1, ...sample], { seed: 4 }));
    const { rows, matrix } = jacobian(layer, x);
    const norm = spectralNorm(matrix, rows, size);
    const bound = await layer.lipschitzBound();
    expect(norm).toBeLessThanOrEqual(bound * BOUND);
    expect(norm).toBeGreaterThan(bound * (1 - 1e-6));
    const { first, second } = gapOfDerivatives((input) => layer.forward(input).square().sum(), [x]);
    expect(first).toBeLessThan(DIFFERENCES);
    expect(second).toBeLessThan(DIFFERENCES);
  },
);
