// What holds for every layer of the library; a layer without examples here does not compile.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AOLConv2d,
  AOLLinear,
  AvgPool2d,
  BatchCentering,
  BatchLipNorm,
  BROLinear,
  Concat,
  Container,
  Conv1d,
  Conv2d,
  ConvexPotentialConv2d,
  ConvexPotentialLinear,
  ConvTranspose2d,
  CPLConv2d,
  CPLLinear,
  certify,
  Flatten,
  FrobeniusConv2d,
  FrobeniusLinear,
  FullSort,
  fromJSON,
  GroupSort,
  GroupSort2,
  grad,
  HouseHolder,
  Identity,
  InvertibleDownSampling,
  InvertibleUpSampling,
  LastLayerNormalization,
  LayerCentering,
  Linear,
  LipResidual,
  LipschitzModule,
  LPReLU,
  loadModel,
  MaxMin,
  MaxPool2d,
  type Module,
  manualSeed,
  Normalize,
  OrthogonalConv2d,
  OrthogonalConvTranspose2d,
  OrthogonalLinear,
  PatchEmbedding,
  ReLU,
  randn,
  ScaleBiasLayer,
  ScaledAdaptiveAvgPool2d,
  ScaledAdaptiveL2NormPool2d,
  ScaledAvgPool2d,
  ScaledL2NormPool2d,
  Sequential,
  Sigmoid,
  SLLConv2d,
  SLLLinear,
  Softmax,
  SpectralConv1d,
  SpectralConv2d,
  SpectralConvTranspose2d,
  SpectralLinear,
  saveModel,
  Tanh,
  type Tensor,
  tensor,
  Unflatten,
} from "tslip";
import { afterAll, beforeAll, describe, expect, expectTypeOf, it, vi } from "vitest";
import type { LayerClass } from "../../src/export/architecture.js";
import * as layers from "../../src/nn/layers/index.js";
import type { NoOptions } from "../../src/options.js";
import { Program } from "../../src/tensor/compile.js";
import { bytesOf } from "../../src/tensor/dtype.js";
import { spectralNorm } from "../soundness/float64.js";
import { codeOf } from "../train/subset.js";

/** A layer with the shape of the samples that it is tried on. */
type Example = [layer: () => Module, sample: readonly number[]];

/** A layer with parameters that are no special ones: at orthogonal rows norms and magnitudes have corners. */
function randomly<L extends Module>(layer: L): L {
  layer.parameters().forEach((parameter, i) => {
    parameter.assign(randn(parameter.shape, { seed: 31 + i }));
  });
  return layer;
}

const examples: Record<keyof typeof layers, Example[]> = {
  Linear: [
    [() => new Linear(5, 3), [5]],
    [() => new Linear(1, 1, { bias: false }), [1]],
    [() => new Linear(4, 7), [3, 4]],
  ],
  SpectralLinear: [
    [() => new SpectralLinear(6, 4, { kCoefLip: 2.5 }), [6]],
    [() => new SpectralLinear(3, 8, { bias: false, bjorckIterations: 5 }), [2, 3]],
  ],
  Conv2d: [
    [() => new Conv2d(2, 3, { kernelSize: 3, padding: "same", paddingMode: "reflect" }), [2, 5, 4]],
    [() => new Conv2d(4, 2, { kernelSize: [2, 3], stride: [2, 1], dilation: [1, 2], groups: 2 }), [4, 5, 7]],
    [() => new Conv2d(1, 1, { kernelSize: 1, stride: 4, padding: 1, inputSize: [7, 6], bias: false }), [1, 7, 6]],
  ],
  SpectralConv2d: [
    [() => new SpectralConv2d(2, 3, { kernelSize: 3, padding: 1, kCoefLip: 0.5 }), [2, 4, 5]],
    [() => new SpectralConv2d(1, 2, { kernelSize: 3, padding: 2, paddingMode: "replicate", stride: 2 }), [1, 3, 4]],
    [() => new SpectralConv2d(2, 2, { kernelSize: 2, norm: "overlap" }), [2, 3, 4]],
    [
      () => new SpectralConv2d(1, 3, { kernelSize: 3, padding: 1, norm: "exact", inputSize: [3, 4], kCoefLip: 2 }),
      [1, 3, 4],
    ],
  ],
  Conv1d: [
    [
      () => new Conv1d(2, 3, { kernelSize: 3, padding: "same", paddingMode: "symmetric", initializer: "xavierNormal" }),
      [2, 5],
    ],
    [() => new Conv1d(4, 2, { kernelSize: 2, stride: 3, padding: 1, dilation: 2, groups: 2, bias: false }), [4, 7]],
    [() => new Conv1d(1, 1, { kernelSize: 4, paddingMode: "circular", padding: 2, inputSize: 6 }), [1, 6]],
  ],
  SpectralConv1d: [
    [() => randomly(new SpectralConv1d(2, 3, { kernelSize: 3, padding: 1, kCoefLip: 0.5, epsBjorck: null })), [2, 6]],
    [() => new SpectralConv1d(1, 2, { kernelSize: 5, padding: 2, paddingMode: "reflect", stride: 2 }), [1, 7]],
  ],
  FrobeniusLinear: [
    [() => new FrobeniusLinear(6, 4, { kCoefLip: 2.5 }), [6]],
    [() => new FrobeniusLinear(3, 5, { disjointNeurons: false, initializer: "kaimingUniform" }), [2, 3]],
    [() => new FrobeniusLinear(5, 1, { bias: false }), [5]],
  ],
  FrobeniusConv2d: [
    [() => new FrobeniusConv2d(2, 3, { kernelSize: 3, padding: 1, kCoefLip: 0.7 }), [2, 4, 5]],
    [() => new FrobeniusConv2d(4, 2, { kernelSize: 2, stride: 2, groups: 2, initializer: "spectral" }), [4, 4, 4]],
  ],
  ConvTranspose2d: [
    [() => new ConvTranspose2d(1, 2, { kernelSize: 2, stride: 2, inputSize: 3 }), [1, 3, 3]],
    [() => new ConvTranspose2d(2, 3, { kernelSize: 3 }), [2, 3, 4]],
    [() => new ConvTranspose2d(3, 2, { kernelSize: [2, 3], stride: 2, padding: [0, 1], outputPadding: 1 }), [3, 3, 2]],
    [() => new ConvTranspose2d(4, 2, { kernelSize: 2, stride: 3, dilation: 2, groups: 2, bias: false }), [4, 2, 3]],
  ],
  SpectralConvTranspose2d: [
    [() => new SpectralConvTranspose2d(4, 2, { kernelSize: 2, stride: 2, kCoefLip: 3 }), [4, 3, 2]],
    [() => new SpectralConvTranspose2d(1, 6, { kernelSize: 4, padding: 1 }), [1, 3, 3]],
    [() => new SpectralConvTranspose2d(3, 2, { kernelSize: 3, norm: "exact", inputSize: [2, 3] }), [3, 2, 3]],
  ],
  GroupSort: [
    [() => new GroupSort(3, { kCoefLip: 0.3 }), [6, 2, 2]],
    [() => new GroupSort(9), [4]],
  ],
  GroupSort2: [[() => new GroupSort2({ kCoefLip: 1.7 }), [4]]],
  ReLU: [[() => new ReLU(), [4, 2]]],
  FullSort: [[() => new FullSort({ kCoefLip: 0.4 }), [5, 2]]],
  MaxMin: [
    [() => new MaxMin({ kCoefLip: 3 }), [3, 2]],
    [() => new MaxMin({ dim: -1 }), [2, 3]],
  ],
  LPReLU: [
    [() => new LPReLU(), [4, 2]],
    [() => slopes(new LPReLU({ numParameters: 3, kCoefLip: 2 }), [0.5, -7, 1.3]), [3, 2]],
    [() => slopes(new LPReLU({ numParameters: 2, init: -1, kCoefLip: 0.3 }), [0.1, -0.2]), [2]],
  ],
  HouseHolder: [
    [() => angles(new HouseHolder(6, { kCoefLip: 1.7 }), [0.3, -1.2, 40]), [6]],
    [() => new HouseHolder(2), [2, 2, 3]],
  ],
  Sigmoid: [[() => new Sigmoid(), [4, 2]]],
  Tanh: [[() => new Tanh(), [5]]],
  Softmax: [
    [() => new Softmax(), [4]],
    [() => new Softmax({ dim: 1 }), [3, 2]],
  ],
  LayerCentering: [
    [() => new LayerCentering(3), [3, 2, 4]],
    [() => new LayerCentering(4, { dim: [1], bias: false }), [4]],
  ],
  BatchCentering: [[() => seen(new BatchCentering(3)).eval(), [3, 2]]],
  BatchLipNorm: [
    [() => seen(new BatchLipNorm(2)).eval(), [2, 3, 2]],
    [() => seen(new BatchLipNorm(4, { bias: false, centering: false, eps: 1e-3 })).eval(), [4]],
    [() => new BatchLipNorm(3, { normalize: false }).eval(), [3]],
  ],
  ScaleBiasLayer: [
    [() => new ScaleBiasLayer(-1.5, 3), [3, 2]],
    [() => new ScaleBiasLayer(0.1, 1, { bias: false }), [4]],
  ],
  Normalize: [
    [() => new Normalize([0.5, -1, 3], [0.25, 2, 0.3]), [3, 2, 2]],
    [() => new Normalize(0, 255), [4]],
  ],
  Flatten: [[() => new Flatten(), [2, 3, 2]]],
  Unflatten: [
    [() => new Unflatten(1, [2, 3]), [6, 2]],
    [() => new Unflatten(-1, [2, -1, 1]), [3, 8]],
  ],
  Identity: [[() => new Identity(), [3]]],
  ScaledL2NormPool2d: [
    [() => new ScaledL2NormPool2d({ kernelSize: 2 }), [2, 4, 5]],
    [() => new ScaledL2NormPool2d({ kernelSize: [3, 2], stride: 1, kCoefLip: 0.01 }), [1, 4, 4]],
    [() => new ScaledL2NormPool2d({ kernelSize: 3, stride: 2, padding: 1, ceilMode: true }), [1, 4, 6]],
  ],
  ScaledAvgPool2d: [
    [() => new ScaledAvgPool2d({ kernelSize: 2 }), [2, 4, 5]],
    [() => new ScaledAvgPool2d({ kernelSize: [3, 2], stride: 1, padding: 1, kCoefLip: 2.5 }), [1, 5, 4]],
    [() => new ScaledAvgPool2d({ kernelSize: 3, ceilMode: true, divisorOverride: 2 }), [1, 5, 7]],
  ],
  ScaledAdaptiveAvgPool2d: [
    [() => new ScaledAdaptiveAvgPool2d({ outputSize: 1, kCoefLip: 3 }), [2, 3, 5]],
    [() => new ScaledAdaptiveAvgPool2d({ outputSize: [3, 2] }), [1, 5, 4]],
  ],
  ScaledAdaptiveL2NormPool2d: [
    [() => new ScaledAdaptiveL2NormPool2d({ outputSize: 1, kCoefLip: 0.5 }), [2, 3, 5]],
    [() => new ScaledAdaptiveL2NormPool2d({ outputSize: [3, 2] }), [1, 5, 4]],
  ],
  AvgPool2d: [
    [() => new AvgPool2d({ kernelSize: 2 }), [2, 4, 5]],
    [() => new AvgPool2d({ kernelSize: 3, stride: 2, padding: 1, countIncludePad: false }), [1, 5, 6]],
    [() => new AvgPool2d({ kernelSize: [2, 3], ceilMode: true }), [1, 3, 7]],
    [() => new AvgPool2d({ kernelSize: 3, stride: 1, divisorOverride: 5 }), [1, 7, 7]],
  ],
  MaxPool2d: [
    [() => new MaxPool2d({ kernelSize: 2 }), [2, 4, 5]],
    [() => new MaxPool2d({ kernelSize: 3, stride: 2, padding: 1, ceilMode: true }), [1, 4, 6]],
    [() => new MaxPool2d({ kernelSize: [1, 3], stride: [2, 1] }), [2, 3, 4]],
    [() => new MaxPool2d({ kernelSize: [3, 2], stride: [1, 2], padding: 1, dilation: [1, 2] }), [2, 4, 6]],
  ],
  InvertibleDownSampling: [
    [() => new InvertibleDownSampling({ kernelSize: 2 }), [3, 4, 2]],
    [() => new InvertibleDownSampling({ kernelSize: [1, 3], kCoefLip: 0.7 }), [1, 2, 6]],
  ],
  InvertibleUpSampling: [
    [() => new InvertibleUpSampling({ kernelSize: 2 }), [8, 2, 3]],
    [() => new InvertibleUpSampling({ kernelSize: [3, 1], kCoefLip: 1.9 }), [3, 1, 2]],
  ],
  Concat: [
    [() => new Concat([new SpectralLinear(4, 3), new GroupSort2()]), [4]],
    [() => new Concat([new Identity(), new SpectralConv2d(2, 3, { kernelSize: 1 })], { kCoefLip: 2 }), [2, 2, 3]],
    [() => new Concat([new Linear(3, 2), new ReLU()], { constrained: false }), [3]],
  ],
  Sequential: [
    [
      () => new Sequential([new SpectralLinear(4, 6), new GroupSort2(), new SpectralLinear(6, 2)], { kCoefLip: 3 }),
      [4],
    ],
    [() => new Sequential([new Linear(3, 2), new ReLU()], { constrained: false }), [3]],
    [() => new Sequential([]), [3]],
  ],
  OrthogonalLinear: [
    [() => new OrthogonalLinear(6, 4, { kCoefLip: 2.5 }), [6]],
    [() => new OrthogonalLinear(3, 8, { bias: false, method: "cayley" }), [2, 3]],
    [() => randomly(new OrthogonalLinear(3, 8, { bias: false, method: "cholesky" })), [2, 3]],
    [() => randomly(new OrthogonalLinear(6, 5, { kCoefLip: 0.8, method: "cholesky" })), [6]],
    [() => new OrthogonalLinear(1, 1, { bjorckIterations: 5 }), [1]],
  ],
  OrthogonalConv2d: [
    [() => new OrthogonalConv2d(2, 3, { kernelSize: 3, padding: 1, kCoefLip: 0.5 }), [2, 4, 5]],
    [
      () => {
        const options = { kernelSize: [2, 3], stride: [2, 1], padding: [0, 1], groups: 2 } as const;
        return new OrthogonalConv2d(6, 4, { ...options, paddingMode: "circular" });
      },
      [6, 4, 3],
    ],
    [
      () => new OrthogonalConv2d(1, 3, { kernelSize: 3, padding: 1, paddingMode: "reflect", inputSize: [4, 4] }),
      [1, 4, 4],
    ],
    [() => new OrthogonalConv2d(1, 1, { kernelSize: 4, padding: "same", bias: false }), [1, 5, 5]],
    [() => randomly(new OrthogonalConv2d(3, 2, { kernelSize: 1, method: "cholesky" })), [3, 2, 3]],
  ],
  OrthogonalConvTranspose2d: [
    [() => new OrthogonalConvTranspose2d(4, 2, { kernelSize: 2, stride: 2, kCoefLip: 3 }), [4, 3, 2]],
    [() => new OrthogonalConvTranspose2d(1, 6, { kernelSize: 4, padding: 1 }), [1, 3, 3]],
    [() => new OrthogonalConvTranspose2d(6, 4, { kernelSize: 3, stride: 2, groups: 2, outputPadding: 1 }), [6, 2, 3]],
  ],
  AOLLinear: [
    [() => randomly(new AOLLinear(6, 4, { kCoefLip: 2.5 })), [6]],
    [() => randomly(new AOLLinear(3, 8, { bias: false })), [2, 3]],
  ],
  AOLConv2d: [
    [() => randomly(new AOLConv2d(2, 3, { kernelSize: 3, padding: 1, kCoefLip: 0.5 })), [2, 4, 5]],
    [
      () => {
        const options = { kernelSize: 3, stride: 2, padding: 1, groups: 2, paddingMode: "circular" } as const;
        return randomly(new AOLConv2d(4, 6, { ...options, bias: false }));
      },
      [4, 4, 6],
    ],
  ],
  ConvexPotentialLinear: [
    [() => new ConvexPotentialLinear(4, 3), [4]],
    [() => randomly(new ConvexPotentialLinear(3, undefined, { kCoefLip: 0.7, bias: false })), [2, 3]],
  ],
  ConvexPotentialConv2d: [
    [() => randomly(new ConvexPotentialConv2d(2, 3, { kernelSize: 3 })), [2, 4, 3]],
    [() => new ConvexPotentialConv2d(2, 4, { kernelSize: 2, paddingMode: "circular", groups: 2 }), [2, 3, 3]],
  ],
  CPLLinear: [
    [() => randomly(new CPLLinear(4)), [4]],
    [() => randomly(new CPLLinear(3, 7, { kCoefLip: 2.5 })), [2, 3]],
  ],
  CPLConv2d: [
    [() => randomly(new CPLConv2d(2, 3, { kernelSize: [3, 2], bias: false })), [2, 4, 3]],
    [
      () => randomly(new CPLConv2d(4, 2, { kernelSize: 3, padding: 2, dilation: 2, groups: 2, kCoefLip: 0.5 })),
      [4, 5, 5],
    ],
  ],
  SLLLinear: [
    [() => randomly(new SLLLinear(4)), [4]],
    [() => randomly(new SLLLinear(3, 7, { kCoefLip: 2.5 })), [2, 3]],
  ],
  SLLConv2d: [
    [() => randomly(new SLLConv2d(2, 3, { kernelSize: [3, 2], bias: false })), [2, 4, 3]],
    [
      () => randomly(new SLLConv2d(4, 2, { kernelSize: 3, paddingMode: "circular", groups: 2, kCoefLip: 2 })),
      [4, 5, 4],
    ],
  ],
  BROLinear: [
    [() => new BROLinear(6, 4, { kCoefLip: 2.5 }), [6]],
    [() => randomly(new BROLinear(3, 8, { bias: false, rank: 2 })), [2, 3]],
  ],
  LastLayerNormalization: [
    [() => new LastLayerNormalization(6, 4), [6]],
    [() => new LastLayerNormalization(2, 5, { bias: false }), [2]],
  ],
  PatchEmbedding: [
    [() => new PatchEmbedding(2, 5, { patchSize: 2 }), [2, 4, 6]],
    [() => new PatchEmbedding(1, 9, { patchSize: [3, 2], inputSize: [7, 4], kCoefLip: 2, bias: false }), [1, 7, 4]],
  ],
  LipResidual: [
    [() => new LipResidual(new SpectralLinear(4, 4)), [4]],
    [
      () => {
        const branch = [new SpectralConv2d(2, 2, { kernelSize: 3, padding: 1 }), new GroupSort2()];
        const block = new LipResidual(new Sequential(branch), { kCoefLip: 2 });
        block.alpha.assign(tensor(-1.3));
        return block;
      },
      [2, 3, 4],
    ],
    [() => new LipResidual(new LipResidual(new Linear(3, 3))), [3]],
  ],
};

type Layers = typeof layers;
type Keys<T> = T extends object ? (T extends readonly unknown[] | Module | NoOptions ? never : keyof T) : never;
/** Options that a layer has by its type, and not when it reads them. */
type Unread<C> = C extends new (
  ...args: infer A
) => { readonly options: infer O }
  ? Exclude<Keys<A[number]>, keyof O>
  : never;

it("every option of a type is one that its layer reads", () => {
  // Values of parameters, and a factory that takes a layer in, are none of its options.
  expectTypeOf<{ [K in keyof Layers]: Unread<Layers[K]> }[keyof Layers]>().toEqualTypeOf<
    "factory" | "weight" | "alpha" | "theta"
  >();
});

const cases = Object.entries(examples).flatMap(([type, list]) =>
  list.map(([build, sample], i) => ({ type, which: i + 1, build, sample })),
);

function slopes(layer: LPReLU, values: number[]): LPReLU {
  layer.weight.assign(tensor(values));
  return layer;
}

function angles(layer: HouseHolder, values: number[]): HouseHolder {
  layer.theta.assign(tensor(values));
  return layer;
}

/** Two batches have gone through the layer. */
function seen<L extends BatchLipNorm>(layer: L): L {
  for (const seed of [21, 22])
    layer.forward(
      randn([5, layer.numFeatures, 2], { seed })
        .mul(2)
        .add(seed - 20),
    );
  return layer;
}

const SAMPLES = 3;
/** Of a difference in float64, of numbers that are float32. */
const STEP = 2 ** -10;
/** Coordinates of a tensor of which differences are taken. */
const COORDINATES = 8;
const UNIT = 2 ** -24;

let folder = "";
const warn = vi.spyOn(process, "emitWarning");
beforeAll(async () => {
  warn.mockImplementation(() => undefined);
  folder = await mkdtemp(join(tmpdir(), "tslip-layers-"));
});
afterAll(async () => {
  warn.mockRestore();
  await rm(folder, { recursive: true });
});

/** The layer's function in float64, by the plain definitions of the ops. */
function exact(layer: Module, x: Tensor): Float64Array {
  const { shape, dtype } = x;
  const program = layer.evaluating(() =>
    Program.record((input: Tensor) => layer.forward(input), [{ shape, dtype, batched: true }]),
  );
  return program.exact([bytesOf(x.dataSync())])[0] ?? new Float64Array();
}

const norm = (values: ArrayLike<number>): number => Math.hypot(...Array.from(values));
const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

describe.each(cases)("$type, example $which", ({ type, build, sample }) => {
  const made = (): Module => {
    manualSeed(7);
    const layer = build();
    // Biases that are not zero.
    layer.namedParameters().forEach(([key, parameter], i) => {
      if (key.endsWith("bias")) parameter.assign(randn(parameter.shape, { seed: i }));
    });
    return layer;
  };
  const x = randn([SAMPLES, ...sample], { seed: 11 });

  it("is defined under its own name", () => {
    const classes: Readonly<Record<string, LayerClass>> = layers;
    expect(made().constructor).toBe(classes[type]);
    expect(made().constructor.name).toBe(type);
    expect(classes[type]?.definition.type).toBe(type);
  });

  it("comes back from JSON and from a file, with all of its options written out", async () => {
    const layer = made();
    const text = JSON.stringify(layer);
    expect(JSON.stringify(fromJSON(JSON.parse(text)))).toBe(text);
    const path = join(folder, `${type}.safetensors`);
    await saveModel(layer, path);
    const loaded = await loadModel(path);
    expect(loaded.predictSync(x).held()).toEqual(layer.predictSync(x).held());
    expect(await loaded.lipschitzBound()).toBe(await layer.lipschitzBound());
    const exported = layer.vanillaExport();
    await saveModel(exported, path);
    expect((await loadModel(path)).predictSync(x).held()).toEqual(exported.predictSync(x).held());
  });

  it("refuses options that it does not have, naming the nearest", () => {
    const { type: _, ...options } = JSON.parse(JSON.stringify(made()));
    const wrong = { type, ...options, kCoefLipp: 1, stridde: 1 };
    expect(() => fromJSON(wrong)).toThrow(/has no option "kCoefLipp"/);
  });

  it("is exported with the same results", () => {
    const layer = made();
    expect(layer.vanillaExport().predictSync(x).held()).toEqual(layer.predictSync(x).held());
  });

  it("has a bound that its slope never exceeds, and that is its constant where it promises one", async () => {
    const layer = made();
    const bound = await layer.lipschitzBound();
    const point = randn([1, ...sample], { seed: 13 });
    const y = layer.forward(point);
    const jacobian: number[] = [];
    for (let i = 0; i < y.size; i++) {
      const [row] = grad(
        y
          .flatten()
          .slice([i], [i + 1])
          .sum(),
        [point],
      );
      jacobian.push(...row.dataSync());
    }
    const slope = spectralNorm(jacobian, y.size, size(sample));
    // The Jacobian is one of float32.
    expect(slope).toBeLessThanOrEqual(bound * (1 + 1e-5));
    expect(bound).toBeLessThan(Math.max(4 * slope, 1e-3));
    if (layer instanceof LipschitzModule && layer.lipschitzByConstruction) {
      expect(bound).toBeLessThanOrEqual(layer.kCoefLip * (1 + 1e-5));
    }
  });

  it("has second derivatives that agree with differences in float64", () => {
    const layer = made();
    const parameters = layer.parameters();
    const cotangent = randn(layer.forward(x).shape, { seed: 17 });
    const slope = (input: Tensor): Tensor => {
      const [gradient] = grad(layer.forward(input).mul(cotangent).sum(), [input]);
      return gradient.square().sum();
    };
    const [penalty, curvature] = layer.evaluating(() => {
      const spec = [{ shape: x.shape, dtype: x.dtype, batched: true }] as const;
      return [Program.record(slope, spec), Program.record((i: Tensor) => grad(slope(i), [i, ...parameters]), spec)];
    });
    const input = x.dataSync().slice() as Float32Array;
    const right = curvature.exact([bytesOf(input)]);
    const computed = Object.values(curvature.step([bytesOf(input)])) as unknown as Tensor[];
    const value = (): number => penalty.exact([bytesOf(input)])[0]?.[0] ?? Number.NaN;
    /** By the values at -2, -1, 1 and 2 steps. */
    const difference = (put: (change: number) => void): number => {
      const [far, near, next, last] = [-2, -1, 1, 2].map((steps) => {
        put(steps * STEP);
        return value();
      }) as [number, number, number, number];
      put(0);
      return (far - 8 * near + 8 * next - last) / (12 * STEP);
    };
    right.forEach((exactly, which) => {
      const parameter = which === 0 ? undefined : parameters[which - 1];
      const values = parameter === undefined ? input : (parameter.dataSync().slice() as Float32Array);
      const largest = Math.max(1, ...exactly.map(Math.abs));
      computed[which]?.dataSync().forEach((of, i) => {
        expect(Math.abs(of - (exactly[i] ?? 0))).toBeLessThanOrEqual(1e-3 * largest);
      });
      for (let i = 0; i < exactly.length; i += Math.ceil(exactly.length / COORDINATES)) {
        // A number from which steps can be taken without rounding.
        const from = Math.round((values[i] ?? 0) / STEP) * STEP;
        const put = (change: number): void => {
          values[i] = from + change;
          if (parameter !== undefined) parameter.assign(tensor(values, parameter.shape));
        };
        put(0);
        const again = curvature.exact([bytesOf(input)])[which]?.[i] ?? Number.NaN;
        const differs = difference(put);
        expect(Math.abs(differs - again), `number ${i} of ${which}`).toBeLessThanOrEqual(1e-3 * largest);
      }
    });
  });

  it.each([1e-3, 1, 1e4])("rounds as it promises, for inputs of about %d", async (scale) => {
    const layer = made().vanillaExport();
    if (layer instanceof Container) return;
    const input = x.mul(scale);
    const computed = layer.predictSync(input).held();
    const right = exact(layer, input);
    const results = right.length / SAMPLES;
    const { roundings, offset } = await layer.rounding(results, sample);
    const bound = await layer.lipschitzBound();
    const gamma = (roundings * UNIT) / (1 - roundings * UNIT);
    const values = input.dataSync();
    for (let n = 0; n < SAMPLES; n++) {
      const off = right
        .slice(n * results, (n + 1) * results)
        .map((value, i) => value - (computed[n * results + i] ?? 0));
      const entering = norm(values.slice((n * values.length) / SAMPLES, ((n + 1) * values.length) / SAMPLES));
      expect(norm(off)).toBeLessThanOrEqual(gamma * (bound * entering + offset));
    }
  });

  it("is certified, with a radius that no step against the gradient beats", async () => {
    const layer = made();
    const outputs = layer.forward(x).size / SAMPLES;
    const model = new Sequential([layer, new Flatten(), new Linear(outputs, 3)], {
      constrained: false,
    }).vanillaExport();
    const certificates = await certify(model, x);
    expect(certificates).toHaveLength(SAMPLES);
    const generic = await certify(model, x, { head: "generic" });
    const values = x.dataSync();
    const each = values.length / SAMPLES;
    for (const [n, { predicted, runnerUp, margin, radius, lipschitz }] of certificates.entries()) {
      const plain = generic[n]?.radius ?? Number.NaN;
      expect(plain).toBeLessThanOrEqual(margin / (Math.SQRT2 * lipschitz));
      expect(plain).toBeGreaterThan((margin / (Math.SQRT2 * lipschitz)) * 0.99 - 1e-4);
      expect(radius).toBeGreaterThanOrEqual(plain);
      const image = tensor(Float32Array.from(values.slice(n * each, (n + 1) * each)), [1, ...sample]);
      const logits = model.forward(image).flatten();
      const gap = logits
        .slice([predicted], [predicted + 1])
        .sub(logits.slice([runnerUp], [runnerUp + 1]))
        .sum();
      const [direction] = grad(gap, [image]);
      const length = norm(direction.dataSync());
      if (length === 0) continue;
      const moved = image.sub(direction.mul((radius * (1 - 1e-5)) / length));
      expect((await model.classify(moved))[0]).toBe(predicted);
    }
  });

  it("is refused by certify once its forward is replaced", async () => {
    const layer = made();
    layer.forward = (value: Tensor) => value.mul(100);
    expect(await codeOf(() => certify(new Sequential([layer], { constrained: false }), x))).toBe("NOT_LIPSCHITZ");
  });
});

it("a transposed convolution cannot be made with more padding of its result than its stride leaves room for", () => {
  const made = (outputPadding: number): ConvTranspose2d =>
    new ConvTranspose2d(1, 1, { kernelSize: 2, stride: 2, dilation: 3, outputPadding });
  expect(made(1).forward(randn([1, 1, 2, 2])).shape).toEqual([1, 1, 7, 7]);
  expect(() => made(2)).toThrow(/outputPadding \[2, 2\] must be below the stride \[2, 2\]/);
});
