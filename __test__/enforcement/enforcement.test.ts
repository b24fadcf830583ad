// Regularizers and projections: what they pull towards and what they guarantee, against float64.
import {
  Adam,
  Conv2d,
  ConvTranspose2d,
  CrossEntropyLoss,
  compile,
  type FitOptions,
  Flatten,
  FrobeniusConv2d,
  FrobeniusLinear,
  fit,
  fromArrays,
  functional,
  GroupSort2,
  grad,
  Linear,
  type Metrics,
  type Module,
  manualSeed,
  type Projection,
  projections,
  type Regularizer,
  randn,
  regularizers,
  Sequential,
  SGD,
  SpectralLinear,
  type Tensor,
  TrainingPosition,
  TrainingState,
  tensor,
} from "tslip";
import { beforeEach, describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

/** Singular values that an iteration leaves above 1 are so by float32's rounding of sums of some tens of products. */
const ROUNDING = 4e-6;

beforeEach(() => {
  manualSeed(5);
});

function network(): Sequential {
  return new Sequential(
    [
      new Conv2d(1, 4, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new Conv2d(4, 6, { kernelSize: 2, stride: 2, groups: 2, bias: false }),
      new Flatten(),
      new Linear(6 * 9, 12),
      new GroupSort2(),
      new Linear(12, 3),
    ],
    { constrained: false },
  );
}

function data() {
  const images = Float32Array.from({ length: 60 * 36 }, (_, i) => Math.abs(Math.sin(i * i)));
  const labels = Array.from({ length: 60 }, (_, i) => i % 3);
  return fromArrays(images, [60, 1, 6, 6], labels);
}

const TRAINING = { epochs: 3, batchSize: 20, loss: new CrossEntropyLoss(), verbose: false, seed: 1 } as const;

const fail = (message: string) => (): never => {
  throw new Error(message);
};

/** Has the weights brought into a set, then calls. */
async function begunAnd(model: Module, then: () => void): Promise<void> {
  await projections.spectral().begin(model);
  then();
}

async function trained(model: Module, enforced: { projection?: Projection; regularizers?: Regularizer[] }, lr = 0.05) {
  await fit(model, data(), { ...TRAINING, optimizer: new Adam({ lr }), ...enforced });
  return model;
}

describe("projections from far out", () => {
  const each = (["spectral", "frobenius", "clip"] as const).flatMap((kind) =>
    [
      [1, 3e38],
      [0.3, 1e38],
      [1e-30, 1e10],
      [1e-30, 3e38],
      [1e-34, 1e5],
      [1e30, 3e38],
    ].map(([kCoefLip = 1, entry = 1]) => ({ kind, kCoefLip, entry })),
  );
  it.each(each)("$kind keeps the constant $kCoefLip of entries of $entry", async ({ kind, kCoefLip, entry }) => {
    for (const make of [
      () => new Linear(6, 5, { bias: false }),
      () => new Conv2d(2, 3, { kernelSize: 3, bias: false }),
    ]) {
      for (const when of ["begin", "project"] as const) {
        const layer = make();
        layer.weight.assign(randn(layer.weight.shape, { seed: 4 }).clip(-1, 1).mul(entry));
        const projection = projections[kind]({ kCoefLip });
        if (when === "begin") await projection.begin(layer);
        else {
          const step = compile(() => {
            projection.project(layer);
            return layer.weight.sum();
          });
          await step();
        }
        const share = layer.lipschitzBound() / kCoefLip;
        expect(share, when).toBeLessThanOrEqual(1 + ROUNDING);
        expect(share, when).toBeGreaterThan(0.1);
      }
    }
  });

  it.each([0.3, 1e-30, 1e-44])("a zero weight stays zero at the constant %d", async (kCoefLip) => {
    for (const kind of ["spectral", "frobenius", "clip"] as const) {
      const layer = new Linear(3, 2);
      layer.weight.assign(tensor(new Float32Array(6), [2, 3]));
      await projections[kind]({ kCoefLip }).begin(layer);
      expect(layer.weight.dataSync().every((w) => w === 0)).toBe(true);
    }
  });
});

describe("projections.spectral", () => {
  it.each([1e-3, 0.05, 3])("keeps each layer 1-Lipschitz after steps of a learning rate of %d", async (lr) => {
    const model = await trained(network(), { projection: projections.spectral() }, lr);
    expect(await model.lipschitzBound()).toBeLessThanOrEqual((1 + ROUNDING) ** 4);
  });

  it("keeps the constant that it is given in each layer, transposed ones too", async () => {
    const transposed = new ConvTranspose2d(1, 2, { kernelSize: 2 });
    const model = new Sequential([transposed, new Flatten(), new Linear(2 * 49, 3)], { constrained: false });
    await trained(model, { projection: projections.spectral({ kCoefLip: 1.5 }) });
    for (const layer of [transposed, model.layers[2] as Linear]) {
      expect(layer.lipschitzBound()).toBeLessThanOrEqual(1.5 * (1 + ROUNDING));
    }
    expect((model.layers[2] as Linear).lipschitzBound()).toBeGreaterThan(1.5 * 0.99);
  });

  it("begins with orthonormal weights, whatever they were", async () => {
    const layer = new Linear(7, 5);
    layer.weight.assign(randn([5, 7], { seed: 3 }).mul(1e4));
    await projections.spectral().begin(layer);
    const gram = layer.weight.matmul(layer.weight, { transposeB: true }).dataSync();
    for (let i = 0; i < 25; i++) expect(Math.abs((gram[i] ?? 0) - (i % 6 === 0 ? 1 : 0))).toBeLessThan(1e-4);
  });

  it("scales down what an iteration would not reach", () => {
    const layer = new Linear(6, 6, { bias: false });
    layer.weight.assign(tensor(new Float32Array(36).fill(1000), [6, 6]));
    compile(() => {
      projections.spectral().project(layer);
      return layer.weight.sum();
    })();
    expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + ROUNDING);
    expect(layer.lipschitzBound()).toBeGreaterThan(0.05);
  });

  it.each([1e6, 1e13, 1e18, 3e37])("brings entries of %d within the constant", (entry) => {
    for (const layer of [new Linear(6, 5, { bias: false }), new Conv2d(2, 3, { kernelSize: 3, bias: false })]) {
      layer.weight.assign(randn(layer.weight.shape, { seed: 4 }).clip(-1, 1).mul(entry));
      compile(() => {
        projections.spectral().project(layer);
        return layer.weight.sum();
      })();
      expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + ROUNDING);
      expect(layer.lipschitzBound()).toBeGreaterThan(0.2);
    }
  });

  it("keeps a zero weight at zero", async () => {
    const layer = new Linear(3, 2);
    layer.weight.assign(tensor(new Float32Array(6), [2, 3]));
    await projections.spectral().begin(layer);
    expect(Array.from(layer.weight.dataSync())).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("takes the part of the gradient across orthonormal matrices away", async () => {
    const layer = new Linear(5, 3, { bias: false });
    const projection = projections.spectral({ tangent: true });
    await projection.begin(layer);
    const along = compile(() => {
      const [gradient] = projection.gradients(
        layer,
        [layer.weight],
        grad(layer.weight.square().mul(3).sum(), [layer.weight]),
      );
      return gradient as typeof layer.weight;
    });
    // Of the norm itself nothing is along the set.
    for (const entry of (await along()).dataSync()) expect(Math.abs(entry)).toBeLessThan(1e-4);
  });

  it("leaves frozen weights, biases and layers that are constrained by themselves alone", async () => {
    const frozen = new Linear(36, 4);
    frozen.weight.trainable = false;
    const [weight, bias] = [frozen.weight.dataSync(), new Float32Array([1, 2, 3])];
    const spectral = new SpectralLinear(4, 4);
    const last = new Linear(4, 3);
    last.bias?.assign(tensor(bias, [3]));
    const raw = spectral.weight.dataSync();
    const model = new Sequential([new Flatten(), frozen, spectral, last], { constrained: false });
    await projections.spectral().begin(model);
    expect(frozen.weight.dataSync()).toEqual(weight);
    expect(spectral.weight.dataSync()).toEqual(raw);
    expect(last.bias?.dataSync()).toEqual(bias);
    expect(last.lipschitzBound()).toBeCloseTo(1, 5);
  });

  it.each([
    ["FrobeniusLinear", () => new FrobeniusLinear(3, 6)],
    ["FrobeniusLinear of one neuron", () => new FrobeniusLinear(3, 1)],
    ["FrobeniusConv2d", () => new FrobeniusConv2d(1, 2, { kernelSize: 2 })],
  ])("leaves the parameter of %s alone, which is not what the layer computes with", async (_, make) => {
    const layer = make();
    const before = layer.weight.dataSync();
    const model = new Sequential([layer, new Linear(6, 2)], { constrained: false });
    for (const projection of [projections.spectral(), projections.frobenius(), projections.clip()])
      await projection.begin(model);
    expect(layer.weight.dataSync()).toEqual(before);
    const alone = new Sequential([make()], { constrained: false });
    const term = regularizers.orthogonal({ strength: 1 });
    expect(await codeOf(async () => term(alone))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => projections.spectral().begin(alone))).toBe("INVALID_ARGUMENT");
  });

  it("goes on bit for bit after training was stopped and restored", async () => {
    const whole = network();
    const options = { ...TRAINING, projection: projections.spectral() };
    await fit(whole, data(), { ...options, optimizer: new Adam({ lr: 0.01 }) });
    manualSeed(5);
    const [model, optimizer, position] = [network(), new Adam({ lr: 0.01 }), new TrainingPosition()];
    await fit(model, data(), { ...options, optimizer, position, maxSteps: 4 });
    const taken = await new TrainingState({ model, optimizer, position }).snapshot();
    const [other, otherOptimizer, otherPosition] = [network(), new Adam({ lr: 0.01 }), new TrainingPosition()];
    new TrainingState({ model: other, optimizer: otherOptimizer, position: otherPosition }).restore(taken);
    await fit(other, data(), { ...options, optimizer: otherOptimizer, position: otherPosition });
    const bits = (m: Module) => m.parameters().map((p) => p.dataSync());
    expect(bits(other)).toEqual(bits(whole));
  });
});

describe("projections.frobenius and projections.clip", () => {
  it.each([
    ["frobenius", projections.frobenius({ kCoefLip: 2 })],
    ["clip", projections.clip({ kCoefLip: 2 })],
  ])("%s keeps each layer at its constant", async (_, projection) => {
    const model = (await trained(network(), { projection })) as Sequential;
    for (const layer of model.layers) {
      if (layer instanceof Linear || layer instanceof Conv2d)
        expect(layer.lipschitzBound()).toBeLessThanOrEqual(2 * (1 + ROUNDING));
    }
  });

  it("clip keeps entries within its limit", async () => {
    const model = await trained(network(), { projection: projections.clip({ limit: 0.02 }) });
    for (const { shape, dataSync } of model
      .parameters()
      .map((p) => ({ shape: p.shape, dataSync: () => p.dataSync() }))) {
      if (shape.length > 1)
        for (const entry of dataSync()) expect(Math.abs(entry)).toBeLessThanOrEqual(Math.fround(0.02));
    }
  });
});

describe("a weight that layers of different factors share", () => {
  /** Windows of the one overlap, those of the other do not: the factors are 1/3 and 1. */
  function tied(first: "overlapping" | "apart"): [Sequential, Conv2d[]] {
    const layers = [new Conv2d(2, 2, { kernelSize: 3, padding: 1 }), new Conv2d(2, 2, { kernelSize: 3, stride: 3 })];
    if (first === "apart") layers.reverse();
    const [one, other] = layers as [Conv2d, Conv2d];
    Object.assign(other, { weight: one.weight });
    const model = new Sequential([new Conv2d(1, 2, { kernelSize: 1 }), ...layers, new Flatten(), new Linear(8, 3)], {
      constrained: false,
    });
    return [model, layers];
  }

  it.each([
    ["spectral", projections.spectral()],
    ["spectral along the set", projections.spectral({ tangent: true })],
    ["frobenius", projections.frobenius()],
    ["clip", projections.clip()],
  ])("is put where each of them keeps its constant: %s", async (_, projection) => {
    for (const first of ["overlapping", "apart"] as const) {
      const [model, layers] = tied(first);
      await projection.begin(model);
      for (const layer of layers) expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + ROUNDING);
      await trained(model, { projection });
      for (const layer of layers) expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + ROUNDING);
      expect(Math.max(...layers.map((layer) => layer.lipschitzBound()))).toBeGreaterThan(0.1);
    }
  });

  it("counts in a regularizer with each of its layers", () => {
    const [model, layers] = tied("apart");
    const [one, other] = layers.map((layer) => regularizers.orthogonal({ strength: 1 })(layer).item());
    const rest = model.layers
      .filter((layer) => (layer instanceof Conv2d || layer instanceof Linear) && !layers.includes(layer as Conv2d))
      .map((layer) => regularizers.orthogonal({ strength: 1 })(layer).item());
    expect(one).not.toBe(other);
    const sum = [one, other, ...rest].reduce<number>((total, term) => total + (term ?? Number.NaN), 0);
    expect(regularizers.orthogonal({ strength: 1 })(model).item()).toBeCloseTo(sum, 3);
  });
});

describe("a fit with a projection", () => {
  const weights = (model: Module) => model.parameters().map((p) => Array.from(p.dataSync()));
  const infinite = { forward: (y: Tensor) => y.mean().mul(Number.POSITIVE_INFINITY) };

  it.each<[string, Partial<FitOptions<Metrics>>, RegExp | undefined]>([
    ["an epoch that a callback does not let begin", { callbacks: [{ onEpochStart: fail("not now") }] }, /not now/],
    [
      "a callback that stops it before its first step",
      { callbacks: [{ onEpochStart: (_, c) => c.stop() }] },
      undefined,
    ],
    ["a first loss that is not finite", { loss: infinite }, /step 1, which has changed nothing/],
    ["a projection that cannot begin", { projection: { ...projections.spectral(), begin: fail("no") } }, /no/],
    [
      "a projection that fails once it has moved them",
      { projection: { ...projections.spectral(), begin: async (m) => void (await begunAnd(m, fail("late"))) } },
      /late/,
    ],
  ])("that does no step leaves the weights as they were: %s", async (_, more, says) => {
    const model = network();
    const before = weights(model);
    const options = { ...TRAINING, optimizer: new Adam({ lr: 0.05 }), projection: projections.spectral(), ...more };
    const fitted = fit(model, data(), options);
    if (says === undefined) expect((await fitted).epochs).toEqual([]);
    else await expect(fitted).rejects.toThrow(says);
    expect(weights(model)).toEqual(before);
  });

  it("that is aborted before its first step leaves the weights as they were", async () => {
    const [model, abort] = [network(), new AbortController()];
    const before = weights(model);
    const projection = { ...projections.spectral(), begin: (m: Module) => begunAnd(m, () => abort.abort()) };
    const options = { ...TRAINING, optimizer: new Adam({ lr: 0.05 }), projection, signal: abort.signal };
    await expect(fit(model, data(), options)).rejects.toMatchObject({ name: "AbortError" });
    expect(weights(model)).toEqual(before);
  });

  it("begins within the set, behind what callbacks do before the first epoch", async () => {
    const model = network();
    const onEpochStart = async (epoch: number) => {
      if (epoch === 1) for (const p of model.parameters()) p.assign(p.mul(100));
    };
    const { epochs } = await fit(model, data(), {
      ...{ ...TRAINING, epochs: 1, batchSize: 60, optimizer: new SGD({ lr: 0 }) },
      ...{ projection: projections.spectral(), callbacks: [{ onEpochStart }] },
    });
    expect(epochs).toHaveLength(1);
    expect(await model.lipschitzBound()).toBeLessThanOrEqual((1 + ROUNDING) ** 4);
  });

  it.each<[string, Partial<FitOptions<Metrics>>]>([
    ["a later loss that is not finite", { optimizer: new SGD({ lr: 3e38 }) }],
    ["a callback that throws", { epochs: 1000, callbacks: [{ onProgress: fail("enough") }] }],
  ])("that has done steps keeps what they gave: %s", async (_, more) => {
    const [model, position] = [network(), new TrainingPosition()];
    const before = weights(model);
    const optimizer = new Adam({ lr: 0.05 });
    const fitted = fit(model, data(), {
      ...TRAINING,
      optimizer,
      position,
      projection: projections.frobenius(),
      ...more,
    });
    await expect(fitted).rejects.toThrow();
    expect(position.steps.item()).toBeGreaterThan(0);
    expect(weights(model)).not.toEqual(before);
    for (const layer of model.layers) {
      if (layer instanceof Linear || layer instanceof Conv2d)
        expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + ROUNDING);
    }
  });
});

describe("regularizers", () => {
  const OF_ROWS = [3, 2, 1, 0, 0.5, -1];
  const layer = (): Linear => {
    const linear = new Linear(3, 2);
    linear.weight.assign(tensor(OF_ROWS, [2, 3]));
    return linear;
  };

  it("orthogonal is the squared distance of the Gram matrix from 1", async () => {
    const rows = [OF_ROWS.slice(0, 3), OF_ROWS.slice(3)].map((row) => row.map((v) => v / 2));
    let expected = 0;
    rows.forEach((a, i) => {
      rows.forEach((b, j) => {
        const dot = a.reduce((sum, v, k) => sum + v * (b[k] ?? 0), 0);
        expected += (dot - (i === j ? 1 : 0)) ** 2;
      });
    });
    const term = regularizers.orthogonal({ strength: 0.1, kCoefLip: 2 });
    expect(term(layer()).item()).toBeCloseTo(0.1 * expected, 5);
  });

  it("spectral is the squared excess of the norm, 0 within the constant", () => {
    const norm = layer().lipschitzBound();
    expect(regularizers.spectral({ strength: 0.5 })(layer()).item()).toBeCloseTo(0.5 * (norm - 1) ** 2, 4);
    expect(
      regularizers
        .spectral({ strength: 0.5, kCoefLip: norm * 1.01 })(layer())
        .item(),
    ).toBe(0);
  });

  it.each([
    { kernelSize: 3, stride: 1, inputs: 2, out: 2, groups: 1 },
    { kernelSize: 4, stride: 2, inputs: 1, out: 3, groups: 1 },
    { kernelSize: 2, stride: 1, inputs: 1, out: 4, groups: 1 },
    { kernelSize: [3, 1] as const, stride: 1, inputs: 4, out: 2, groups: 2 },
  ])(
    "lorth of $inputs channels to $out, kernel $kernelSize, stride $stride, is the squared distance of the operator from an orthogonal one",
    ({ inputs, out, kernelSize, stride, groups }) => {
      const conv = new Conv2d(inputs, out, { kernelSize, stride, groups, bias: false });
      const [height = 1, width = 1] = conv.weight.shape.slice(2);
      const per = inputs / groups;
      const rows = out / groups;
      const w = conv.weight.dataSync();
      const at = (o: number, c: number, y: number, x: number): number =>
        y < 0 || x < 0 || y >= height || x >= width ? 0 : (w[((o * per + c) * height + y) * width + x] ?? 0);
      let expected = 0;
      for (let g = 0; g < groups; g++) {
        expected -= Math.max(0, rows - per * stride * stride);
        for (let a = g * rows; a < (g + 1) * rows; a++) {
          for (let b = g * rows; b < (g + 1) * rows; b++) {
            for (let dy = -8 * stride; dy <= 8 * stride; dy += stride) {
              for (let dx = -8 * stride; dx <= 8 * stride; dx += stride) {
                let dot = a === b && dy === 0 && dx === 0 ? -1 : 0;
                for (let c = 0; c < per; c++)
                  for (let y = 0; y < height; y++)
                    for (let x = 0; x < width; x++) dot += at(a, c, y, x) * at(b, c, y + dy, x + dx);
                expected += dot ** 2;
              }
            }
          }
        }
      }
      expect(regularizers.lorth({ strength: 1 })(conv).item()).toBeCloseTo(expected, 4);
    },
  );

  it.each([
    ["orthogonal", regularizers.orthogonal({ strength: 10 })],
    ["spectral", regularizers.spectral({ strength: 10 })],
  ])("%s pulls the layers towards their constant", async (_, term) => {
    const model = network();
    const options = { ...TRAINING, epochs: 200, optimizer: new Adam({ lr: 0.01 }), regularizers: [term] };
    for (const [, parameter] of model.namedParameters()) parameter.assign(parameter.mul(3));
    await fit(model, data(), options);
    for (const layer of model.layers) {
      if (layer instanceof Linear || layer instanceof Conv2d) expect(layer.lipschitzBound()).toBeLessThan(1.2);
    }
  });

  it("leave the reported loss as it is", async () => {
    const histories = await Promise.all(
      [[], [regularizers.orthogonal({ strength: 5 })]].map((terms) => {
        manualSeed(5);
        const options = { ...TRAINING, epochs: 1, batchSize: 60, optimizer: new SGD({ lr: 0.1 }) };
        return fit(network(), data(), { ...options, regularizers: terms });
      }),
    );
    expect(histories[1]?.epochs[0]?.loss).toBe(histories[0]?.epochs[0]?.loss);
  });
});

describe("what cannot be enforced is refused before anything changes:", () => {
  it("a model whose layers keep their constant by themselves", async () => {
    const model = new Sequential([new Flatten(), new SpectralLinear(36, 3)]);
    const before = model.layers[1]?.parameters().map((p) => p.dataSync());
    const enforced = [
      { projection: projections.spectral() },
      { regularizers: [regularizers.spectral({ strength: 1 })] },
    ];
    for (const one of enforced) expect(await codeOf(() => trained(model, one))).toBe("INVALID_ARGUMENT");
    expect(model.layers[1]?.parameters().map((p) => p.dataSync())).toEqual(before);
  });

  it.each([
    ["an unknown option", () => projections.spectral({ iteration: 2 } as never)],
    ["no strength", () => regularizers.orthogonal({} as never)],
    ["a negative constant", () => projections.frobenius({ kCoefLip: -1 })],
    ["a limit of 0", () => projections.clip({ limit: 0 })],
    ["what is no projection", () => trained(network(), { projection: {} as never })],
    ["what is no regularizer", () => trained(network(), { regularizers: [{}] as never })],
  ])("%s", async (_, call) => {
    expect(await codeOf(async () => call())).toBe("INVALID_ARGUMENT");
  });

  it("a convolution with a stride and a dilation, of which L-orth says nothing", async () => {
    const conv = new Conv2d(1, 1, { kernelSize: 3, stride: 2, dilation: 2 });
    expect(await codeOf(async () => regularizers.lorth({ strength: 1 })(conv))).toBe("UNSUPPORTED");
    expect(functional.convolutionFactor({ kernelSize: [3, 3], stride: [2, 2], dilation: [2, 2] })).toBeLessThan(1);
  });
});
