// Dense layers and convolutions: their norms in float64, over geometries and kernels by which wrong constants are found out.
import {
  Adam,
  Conv1d,
  certify,
  compile,
  Flatten,
  FrobeniusConv2d,
  FrobeniusLinear,
  fit,
  fromArrays,
  GroupSort2,
  grad,
  HKRMulticlassLoss,
  init,
  Linear,
  LipResidual,
  Module,
  manualSeed,
  PadConv1d,
  PadConv2d,
  type PaddingMode,
  Parameter,
  randn,
  Sequential,
  SGD,
  SharedLipFactory,
  SpectralConv1d,
  SpectralConv2d,
  SpectralConvTranspose2d,
  SpectralLinear,
  type Tensor,
  TslipError,
  tensor,
  Unflatten,
  vanillaModel,
} from "tslip";
import { describe, expect, it, vi } from "vitest";
import { spectralNorm } from "../soundness/float64.js";
import { type AxisGeometry, convolutionMatrix, KERNELS, type Matrix, ONE_ROW, windows } from "./dense-jacobian.js";

/** How far a norm may pass the constant of a layer: the rounding of its float32 weight. */
const WEIGHT_ROUNDING = 2e-6;
/** How exactly the norms of this file are computed. */
const FLOAT64 = 1e-11;

const MODES: readonly PaddingMode[] = ["zeros", "circular", "reflect", "replicate", "symmetric"];

const normOf = ({ data, rows, columns }: Matrix): number => spectralNorm(data, rows, columns);

type Constrained =
  | SpectralConv1d
  | SpectralConv2d
  | SpectralConvTranspose2d
  | SpectralLinear
  | FrobeniusConv2d
  | FrobeniusLinear;

/** Holds the norm of a layer with each of the kernels against what is proved of it and against its constant. */
function tryKernels(what: string, layer: Constrained, matrixOf: (weight: ArrayLike<number>) => Matrix): number {
  const { shape } = layer.weight;
  let largest = 0;
  for (const [name, kernel] of Object.entries(KERNELS)) {
    layer.weight.assign(tensor(kernel(shape), shape));
    largest = Math.max(largest, tryNow(`${what}, a kernel ${name}`, layer, matrixOf));
  }
  return largest;
}

/** The same with the weight of now. Returns the norm. */
function tryNow(what: string, layer: Constrained, matrixOf: (weight: ArrayLike<number>) => Matrix): number {
  const norm = normOf(matrixOf(layer.effectiveWeight().dataSync()));
  const bound = layer.lipschitzBound();
  expect(norm, what).toBeLessThanOrEqual(bound * (1 + FLOAT64));
  if (layer.lipschitzByConstruction) {
    expect(norm, what).toBeLessThanOrEqual(layer.kCoefLip * (1 + WEIGHT_ROUNDING));
    expect(bound, what).toBeLessThanOrEqual(layer.kCoefLip * (1 + 1e-5));
  }
  return norm;
}

interface Grid {
  kernel: number;
  stride: number;
  dilation: number;
  groups: number;
  mode: PaddingMode;
}

/** Kernels of 1 to 5 taps, strides to 3, dilations and groups to 2, in one mode. */
function grid(mode: PaddingMode): Grid[] {
  const all: Grid[] = [];
  for (let kernel = 1; kernel <= 5; kernel++) {
    for (const stride of [1, 2, 3]) {
      for (const dilation of kernel === 1 ? [1] : [1, 2]) {
        for (const groups of [1, 2]) all.push({ kernel, stride, dilation, groups, mode });
      }
    }
  }
  return all;
}

const show = (values: object): string => JSON.stringify(values);

describe("the norm of a layer is at most its constant, whatever the kernel,", () => {
  it.each(MODES)(
    "of a convolution of sequences, padding %s",
    (mode) => {
      let largest = 0;
      for (const { kernel, stride, dilation, groups } of grid(mode)) {
        const half = Math.ceil((dilation * (kernel - 1)) / 2);
        for (const padding of new Set([0, half])) {
          const size = 2 * half + 1 + (kernel % 2) + stride;
          const axis: AxisGeometry = { size, kernel, stride, dilation, padding: [padding, padding], mode };
          for (const inputSize of [undefined, size]) {
            const geometry = { kernelSize: kernel, stride, dilation, groups, padding, paddingMode: mode, inputSize };
            const layer = new SpectralConv1d(2, 4, {
              ...geometry,
              kCoefLip: 1.5,
              epsBjorck: stride === 2 ? null : undefined,
            });
            const matrixOf = (weight: ArrayLike<number>) =>
              convolutionMatrix(weight, [4, 2 / groups], groups, [ONE_ROW, axis]);
            largest = Math.max(largest, tryKernels(show(geometry), layer, matrixOf));
          }
        }
      }
      expect(largest).toBeGreaterThan(1.499);
    },
    120_000,
  );

  it.each(MODES)(
    "of a convolution of images, padding %s",
    (mode) => {
      let largest = 0;
      for (const { kernel, stride, dilation, groups } of grid(mode)) {
        const half = Math.ceil((dilation * (kernel - 1)) / 2);
        const [h, w] = [Math.min(half, 3) + 2, 4];
        const fits = (padding: number, size: number) => (mode === "reflect" ? padding < size : padding <= size);
        const padding: [number, number] = [half, fits(half, w) ? half : 0];
        if (w + 2 * padding[1] < dilation * (kernel - 1) + 1 || !fits(padding[0], h)) continue;
        const common = { kernel, stride, dilation, mode };
        const axes: [AxisGeometry, AxisGeometry] = [
          { ...common, size: h, padding: [padding[0], padding[0]] },
          { ...common, size: w, padding: [padding[1], padding[1]] },
        ];
        const inputSize = groups === 2 ? ([h, w] as const) : undefined;
        const geometry = { kernelSize: kernel, stride, dilation, groups, padding, paddingMode: mode, inputSize };
        const matrixOf = (weight: ArrayLike<number>) => convolutionMatrix(weight, [2, 2 / groups], groups, axes);
        const layers: Constrained[] = [
          new SpectralConv2d(2, 2, { ...geometry, bjorckIterations: stride === 3 ? 0 : 15 }),
        ];
        if (dilation === 1) layers.push(new FrobeniusConv2d(2, 2, { ...geometry, kCoefLip: 0.3 }));
        for (const layer of layers) {
          largest = Math.max(largest, tryKernels(`${layer.constructor.name} ${show(geometry)}`, layer, matrixOf));
        }
      }
      expect(largest).toBeGreaterThan(0.999);
    },
    180_000,
  );

  it("of a transposed convolution", () => {
    let largest = 0;
    for (const { kernel, stride, dilation, groups } of grid("zeros")) {
      const geometry = { kernelSize: kernel, stride, dilation, groups, padding: Math.min(1, kernel - 1) };
      const layer = new SpectralConvTranspose2d(2, 4, geometry);
      const [, , h = 0, w = 0] = layer.forward(randn([1, 2, 2, 3])).shape;
      const axis = (size: number): AxisGeometry => ({
        ...{ size, kernel, stride, dilation, mode: "zeros" },
        padding: [geometry.padding, geometry.padding],
      });
      // The adjoint of the convolution from what comes out to what goes in has the same norm.
      const matrixOf = (weight: ArrayLike<number>) =>
        convolutionMatrix(weight, [2, 4 / groups], groups, [axis(h), axis(w)]);
      expect([windows(axis(h)), windows(axis(w))]).toEqual([2, 3]);
      largest = Math.max(largest, tryKernels(show(geometry), layer, matrixOf));
    }
    expect(largest).toBeGreaterThan(0.999);
  });

  it("of dense layers", () => {
    for (const [rows, columns] of [
      [1, 1],
      [1, 7],
      [5, 5],
      [4, 9],
      [9, 4],
      [16, 3],
    ] as const) {
      const matrixOf = (data: ArrayLike<number>) => ({ data: Float64Array.from(data), rows, columns });
      const spectral = [
        {},
        { bjorckIterations: 0 },
        { epsBjorck: 1e-3, epsSpectral: 1e-3 },
        { epsSpectral: 0, epsBjorck: 0 },
      ];
      const layers: Constrained[] = spectral.map(
        (options) => new SpectralLinear(columns, rows, { kCoefLip: 3, ...options }),
      );
      for (const disjointNeurons of [true, false])
        layers.push(new FrobeniusLinear(columns, rows, { kCoefLip: 0.1, disjointNeurons }));
      for (const layer of layers) tryKernels(`${rows} x ${columns} ${show(layer)}`, layer, matrixOf);
    }
  });

  it("before, during and after training", async () => {
    manualSeed(1);
    const axis = (size: number, over: Partial<AxisGeometry> = {}): AxisGeometry => ({
      ...{ size, kernel: 3, stride: 1, dilation: 1, padding: [1, 1], mode: "zeros" },
      ...over,
    });
    const conv = (out: number, into: number, axes: [AxisGeometry, AxisGeometry]) => (weight: ArrayLike<number>) =>
      convolutionMatrix(weight, [out, into], 1, axes);
    const dense = (rows: number, columns: number) => (data: ArrayLike<number>) => ({
      data: Float64Array.from(data),
      rows,
      columns,
    });
    const layers: [Constrained, (weight: ArrayLike<number>) => Matrix, number[]][] = [
      [
        new SpectralConv1d(2, 3, { kernelSize: 3, padding: 1, paddingMode: "reflect" }),
        conv(3, 2, [ONE_ROW, axis(7, { mode: "reflect" })]),
        [2, 7],
      ],
      [
        new SpectralConv2d(2, 3, { kernelSize: 3, padding: 1, stride: 2, paddingMode: "replicate" }),
        conv(3, 2, [axis(5, { mode: "replicate", stride: 2 }), axis(5, { mode: "replicate", stride: 2 })]),
        [2, 5, 5],
      ],
      [new FrobeniusConv2d(2, 3, { kernelSize: 3, padding: 1 }), conv(3, 2, [axis(4), axis(4)]), [2, 4, 4]],
      [
        new SpectralConvTranspose2d(1, 6, { kernelSize: 3, stride: 2 }),
        conv(1, 6, [axis(5, { padding: [0, 0], stride: 2 }), axis(5, { padding: [0, 0], stride: 2 })]),
        [1, 2, 2],
      ],
      [new SpectralLinear(4, 6, { epsBjorck: 1e-2 }), dense(6, 4), [4]],
      [new FrobeniusLinear(4, 6), dense(6, 4), [4]],
    ];
    for (const [layer, matrixOf, sample] of layers) {
      const optimizer = new SGD({ lr: 3, momentum: 0.9 });
      const step = compile((x: Tensor, direction: Tensor) => {
        const loss = layer.forward(x).mul(direction).sum();
        optimizer.update(layer.parameters(), grad(loss, layer.parameters()));
        return loss;
      });
      const x = randn([2, ...sample], { seed: 3 });
      const direction = randn(layer.forward(x).shape, { seed: 4 });
      const before = layer.effectiveWeight().dataSync();
      for (let i = 0; i < 6; i++) {
        tryNow(`${layer.constructor.name} after ${i} steps`, layer, matrixOf);
        await step(x, direction);
      }
      tryNow(layer.constructor.name, layer, matrixOf);
      expect(layer.effectiveWeight().dataSync()).not.toEqual(before);
    }
  });
});

/** A layer's function without its bias as a matrix, from what it computes of unit vectors. */
function matrixFrom(layer: Module, sample: readonly number[]): Matrix {
  const columns = sample.reduce((a, b) => a * b, 1);
  const units = Float32Array.from({ length: columns * columns }, (_, i) => (i % (columns + 1) === 0 ? 1 : 0));
  const of = (x: Tensor) => layer.predictSync(x).held();
  const images = of(tensor(units, [columns, ...sample]));
  const zero = of(tensor(new Float32Array(columns), [1, ...sample]));
  const data = Float64Array.from(images, (y, i) => y - (zero[i % zero.length] as number));
  return { data, rows: columns, columns: zero.length };
}

describe("what torchlip gets wrong:", () => {
  it("an estimate of the norm that is low, with eps 0 or without Björck", () => {
    // A start vector is nearly orthogonal to the first singular vector of one of these.
    for (let seed = 0; seed < 40; seed++) {
      for (const options of [
        { bjorckIterations: 0 },
        { epsSpectral: 0, epsBjorck: null },
        { epsSpectral: 0, epsBjorck: 0 },
      ]) {
        const layer = new SpectralLinear(12, 8, options);
        layer.weight.assign(randn([8, 12], { seed }));
        const norm = spectralNorm(layer.effectiveWeight().dataSync(), 8, 12);
        expect(norm).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
        expect(norm).toBeGreaterThan(1 - 1e-3);
      }
    }
  });

  it.each([3, 5, 7])("reflected and replicated pixels, by %d taps", (kernelSize) => {
    for (const paddingMode of ["reflect", "replicate"] as const) {
      for (const size of [kernelSize, kernelSize + 2]) {
        const padding = (kernelSize - 1) / 2;
        const layer = new SpectralConv2d(1, 1, { kernelSize, padding, paddingMode });
        layer.weight.assign(tensor(KERNELS["all ones"]?.(layer.weight.shape) ?? [], layer.weight.shape));
        const { data, rows, columns } = matrixFrom(layer, [1, size, size]);
        expect(spectralNorm(data, rows, columns)).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
        const line = new SpectralConv1d(1, 1, { kernelSize, padding, paddingMode });
        line.weight.assign(tensor(KERNELS["heavy at its border"]?.(line.weight.shape) ?? [], line.weight.shape));
        expect(normOf(matrixFrom(line, [1, size]))).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
      }
    }
  });

  it.each([
    [2, 2, 1],
    [2, 4, 1],
    [3, 3, 2],
    [4, 2, 2],
  ])("strides and dilations with a common divisor: %d and %d, in %d groups", (stride, dilation, groups) => {
    const size = 2 * dilation + 2 * stride + 1;
    const layer = new SpectralConv1d(2, 2, { kernelSize: 3, stride, dilation, groups, padding: dilation });
    const image = new SpectralConv2d(2, 2, {
      ...{ kernelSize: [1, 3], stride: [1, stride], dilation: [1, dilation], groups, padding: [0, dilation] },
    });
    for (const one of [layer, image]) {
      one.weight.assign(tensor(KERNELS["all ones"]?.(one.weight.shape) ?? [], one.weight.shape));
      const sample = one === layer ? [2, size] : [2, 1, size];
      const norm = normOf(matrixFrom(one, sample));
      expect(norm).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
      expect(norm).toBeGreaterThan(0.5);
    }
  });

  it("circular padding of an image that the stride does not divide", () => {
    for (const size of [4, 5, 7]) {
      const layer = new SpectralConv2d(1, 1, { kernelSize: 2, stride: 2, padding: 1, paddingMode: "circular" });
      layer.weight.assign(tensor([1, 1, 1, 1], [1, 1, 2, 2]));
      expect(normOf(matrixFrom(layer, [1, size, size]))).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
      const line = new SpectralConv1d(1, 1, { kernelSize: 2, stride: 2, padding: 1, paddingMode: "circular" });
      line.weight.assign(tensor([1, 1], [1, 1, 2]));
      expect(normOf(matrixFrom(line, [1, size]))).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
    }
  });

  it("a transposed convolution to many more channels, of which it makes NaN", () => {
    const layer = new SpectralConvTranspose2d(1, 64, { kernelSize: 8 });
    expect(layer.effectiveWeight().dataSync().every(Number.isFinite)).toBe(true);
    const norm = normOf(matrixFrom(layer, [1, 3, 2]));
    expect(norm).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
    expect(norm).toBeGreaterThan(0.1);
    expect(layer.lipschitzBound()).toBeLessThanOrEqual(1 + WEIGHT_ROUNDING);
  });

  it("the gradient of Björck past the fourth iteration", () => {
    // Singular values far apart: the later iterations matter most.
    const [rows, columns] = [3, 4];
    const values = Float64Array.from({ length: 12 }, (_, i) => Math.sin(1 + i * i) + (i % 5 === 0 ? 3 : 0.2));
    const cotangent = Float64Array.from({ length: 12 }, (_, i) => Math.cos(2 + 3 * i));
    for (const iterations of [4, 5, 8, 15]) {
      const layer = new SpectralLinear(columns, rows, { bjorckIterations: iterations });
      layer.weight.assign(tensor(values, [rows, columns]));
      const weighted = layer
        .effectiveWeight()
        .mul(tensor(cotangent, [rows, columns]))
        .sum();
      const [gradient] = grad(weighted, [layer.weight]);
      const computed = gradient.dataSync();
      const scale = Math.hypot(...computed);
      const STEP = 1e-5;
      values.forEach((value, i) => {
        const at = (x: number) => {
          const unit = bjorck(values.with(i, x), rows, columns, iterations);
          return unit.reduce((sum, y, k) => sum + y * (cotangent[k] as number), 0);
        };
        const slope = (at(value + STEP) - at(value - STEP)) / (2 * STEP);
        expect(Math.abs((computed[i] as number) - slope)).toBeLessThan(1e-4 * scale);
      });
    }
  });

  it("a weight of zeros, of which it makes NaN", async () => {
    const layers = [
      new SpectralLinear(3, 2),
      new FrobeniusLinear(3, 2),
      new FrobeniusLinear(3, 2, { disjointNeurons: false }),
      new SpectralConv1d(1, 2, { kernelSize: 3 }),
      new FrobeniusConv2d(1, 2, { kernelSize: 1 }),
      new SpectralConvTranspose2d(1, 2, { kernelSize: 2 }),
    ];
    for (const layer of layers) {
      layer.weight.assign(layer.weight.mul(0));
      const effective = layer.effectiveWeight();
      const [gradient] = grad(effective.square().add(effective).sum(), [layer.weight]);
      expect(Array.from(effective.dataSync()).every((w) => w === 0)).toBe(true);
      expect(Array.from(gradient.dataSync()).every((g) => g === 0)).toBe(true);
      expect(layer.lipschitzBound()).toBe(0);
    }
  });

  it("one row of zeros beside others", () => {
    const layer = new FrobeniusLinear(2, 2);
    layer.weight.assign(tensor([0, 0, 3, 4], [2, 2]));
    expect(Array.from(layer.effectiveWeight().dataSync())).toEqual([0, 0, Math.fround(0.6), Math.fround(0.8)]);
  });

  it("a frozen weight, which stays what it is while others are trained", async () => {
    const frozen = new SpectralLinear(3, 4);
    const model = new Sequential([frozen, new GroupSort2(), new SpectralLinear(4, 2)]);
    frozen.weight.trainable = false;
    const before = { frozen: frozen.weight.dataSync(), effective: frozen.effectiveWeight().dataSync() };
    const data = fromArrays(
      new Float32Array(24).map((_, i) => Math.sin(i)),
      [8, 3],
      [0, 1, 0, 1, 0, 1, 0, 1],
    );
    const loss = new HKRMulticlassLoss({ alpha: 10, minMargin: 0.5 });
    await fit(model, data, { epochs: 2, batchSize: 4, loss, optimizer: new Adam({ lr: 0.1 }), verbose: false });
    expect(frozen.weight.dataSync()).toEqual(before.frozen);
    expect(frozen.effectiveWeight().dataSync()).toEqual(before.effective);
    expect(await model.lipschitzBound()).toBeLessThanOrEqual(1 + 3 * WEIGHT_ROUNDING);
  });

  it("an export that changes the original, or shares its weights or its mode", async () => {
    const inner = new Sequential([new SpectralConv1d(2, 4, { kernelSize: 3, padding: 1 }), new GroupSort2()]);
    const model = new Sequential([
      new LipResidual(new SpectralConv1d(2, 2, { kernelSize: 3, padding: 1 })),
      inner,
      new Flatten(),
      new FrobeniusLinear(20, 3, { disjointNeurons: false }),
    ]);
    const x = randn([3, 2, 5], { seed: 5 });
    for (const training of [true, false]) {
      model.train(training);
      const [states, y] = [await model.stateDict(), model.predictSync(x).held()];
      const exported = vanillaModel(model);
      for (const [key, value] of Object.entries(await model.stateDict())) {
        expect(value.held(), key).toEqual(states[key]?.held());
      }
      expect(model.modules().map((one) => one.training)).toEqual(model.modules().map(() => training));
      expect(
        exported.modules().every((one) => !(one instanceof SpectralConv1d) && !(one instanceof FrobeniusLinear)),
      ).toBe(true);
      expect(exported.predictSync(x).held()).toEqual(y);
      // Neither follows the other afterwards.
      for (const parameter of exported.parameters()) parameter.assign(parameter.mul(2));
      expect(model.predictSync(x).held()).toEqual(y);
      const again = vanillaModel(model);
      for (const parameter of model.parameters()) parameter.assign(parameter.add(0.25));
      expect(again.predictSync(x).held()).toEqual(y);
      expect(model.predictSync(x).held()).not.toEqual(y);
    }
  });

  it("evaluation with the weights of the last training pass", async () => {
    const layer = new SpectralConv1d(1, 2, { kernelSize: 3 });
    const other = new SpectralConv1d(1, 2, { kernelSize: 3 });
    const x = randn([1, 1, 6], { seed: 2 });
    layer.eval();
    const before = layer.predictSync(x).held();
    layer.loadStateDict(await other.stateDict());
    const loaded = layer.predictSync(x).held();
    expect(loaded).not.toEqual(before);
    expect(loaded).toEqual(other.predictSync(x).held());
    layer.weight.assign(layer.weight.neg());
    expect(layer.predictSync(x).held()).toEqual(loaded.map((y) => -y));
    expect(layer.vanillaExport().predictSync(x).held()).toEqual(loaded.map((y) => -y));
  });

  it("rows of norm 1 that are taken for a matrix of norm 1", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    try {
      const layer = new FrobeniusLinear(6, 4);
      layer.weight.assign(tensor(new Float32Array(24).fill(0.3), [4, 6]));
      expect(layer.lipschitzByConstruction).toBe(false);
      expect(layer.lipschitzBound()).toBeGreaterThanOrEqual(2 * (1 - WEIGHT_ROUNDING));
      expect(layer.lipschitzBound()).toBeLessThanOrEqual(2 * (1 + WEIGHT_ROUNDING));
      const model = new Sequential([new SpectralLinear(6, 6), layer], { kCoefLip: 9 });
      expect(warn.mock.calls.join()).toMatch(/FrobeniusLinear.*not Lipschitz by construction/);
      // Each of its results keeps the share of the whole.
      expect(layer.kCoefLip).toBeCloseTo(3, 12);
      const rows = layer.effectiveWeight().square().sum([1]).sqrt().dataSync();
      for (const row of rows) expect(row).toBeCloseTo(3, 5);
      const [certificate] = await certify(model, tensor([1, 2, 0, 1, 0, 3], [1, 6]));
      expect(certificate?.lipschitz).toBeGreaterThan(17.9);
      const whole = new FrobeniusLinear(6, 4, { disjointNeurons: false });
      const single = new FrobeniusLinear(6, 1);
      expect([whole.lipschitzByConstruction, single.lipschitzByConstruction]).toEqual([true, true]);
    } finally {
      warn.mockRestore();
    }
  });
});

/** W / sigma, then Björck iterations, in float64 and plain loops. */
function bjorck(values: Float64Array, rows: number, columns: number, iterations: number): Float64Array {
  const sigma = spectralNorm(values, rows, columns);
  let w = values.map((x) => x / sigma);
  const at = (m: Float64Array, i: number, k: number): number => m[i * columns + k] as number;
  for (let n = 0; n < iterations; n++) {
    const gram = Float64Array.from({ length: rows * rows }, (_, ij) => {
      const [i, j] = [Math.floor(ij / rows), ij % rows];
      return Array.from({ length: columns }, (_, k) => at(w, i, k) * at(w, j, k)).reduce((a, b) => a + b, 0);
    });
    w = w.map((x, ik) => {
      const [i, k] = [Math.floor(ik / columns), ik % columns];
      const product = Array.from({ length: rows }, (_, j) => (gram[i * rows + j] as number) * at(w, j, k));
      return 1.5 * x - 0.5 * product.reduce((a, b) => a + b, 0);
    });
  }
  return w;
}

describe("a Sequential of kCoefLip 5", () => {
  it("has a slope of up to 5 and no more, and reaches 4 where data ask for it", async () => {
    manualSeed(0);
    const model = new Sequential(
      [
        new SpectralLinear(2, 16),
        new GroupSort2(),
        new Unflatten(1, [1, 16]),
        new SpectralConv1d(1, 4, { kernelSize: 1 }),
        new GroupSort2(),
        new Flatten(),
        new FrobeniusLinear(64, 1),
      ],
      { kCoefLip: 5 },
    );
    const optimizer = new Adam({ lr: 0.05 });
    const parameters = model.parameters();
    const step = compile((x: Tensor) => {
      const target = x.slice([0, 0], [64, 1]).abs().mul(20);
      const loss = model.forward(x).sub(target).square().mean();
      optimizer.update(parameters, grad(loss, parameters));
      return loss;
    });
    let steepest = 0;
    const slopes = compile((x: Tensor) => grad(model.forward(x).sum(), [x])[0].square().sum([1]).sqrt().max());
    for (let i = 0; i < 150; i++) {
      const x = randn([64, 2], { seed: i });
      await step(x);
      const slope = (await slopes(x)).item() as number;
      expect(slope).toBeLessThanOrEqual(5 * (1 + 1e-5));
      steepest = Math.max(steepest, slope);
    }
    expect(steepest).toBeGreaterThan(4);
    expect(await model.lipschitzBound()).toBeLessThanOrEqual(5 * (1 + 1e-5));
  });
});

describe("a convolution of sequences", () => {
  it("computes and differentiates what its matrix does, in every mode", () => {
    for (const mode of MODES) {
      for (const { kernel, stride, dilation, groups } of grid(mode)) {
        const padding = Math.floor((dilation * (kernel - 1)) / 2);
        const size = dilation * (kernel - 1) + stride + 1;
        const geometry = { kernelSize: kernel, stride, dilation, groups, padding, paddingMode: mode };
        const layer = new PadConv1d(4, 6, geometry);
        const axis: AxisGeometry = { size, kernel, stride, dilation, padding: [padding, padding], mode };
        const weight = layer.weight.dataSync();
        const bias = layer.bias?.dataSync() ?? [];
        const { data, rows, columns } = convolutionMatrix(weight, [6, 4 / groups], groups, [ONE_ROW, axis]);
        const x = randn([1, 4, size], { seed: 9 });
        const y = layer.forward(x);
        const cotangent = randn(y.shape, { seed: 10 });
        const [back] = grad(y.mul(cotangent).sum(), [x]);
        const [values, upper] = [x.dataSync(), cotangent.dataSync()];
        const length = rows / 6;
        y.dataSync().forEach((got, row) => {
          let want = bias[Math.floor(row / length)] as number;
          for (let k = 0; k < columns; k++) want += (data[row * columns + k] as number) * (values[k] as number);
          expect(got, show(geometry)).toBeCloseTo(want, 4);
        });
        back.dataSync().forEach((got, k) => {
          let want = 0;
          for (let row = 0; row < rows; row++) want += (data[row * columns + k] as number) * (upper[row] as number);
          expect(got, show(geometry)).toBeCloseTo(want, 4);
        });
      }
    }
  });

  it("pads to the same length, of even kernels after rather than before", () => {
    const layer = new Conv1d(1, 1, { kernelSize: 4, padding: "same", bias: false });
    layer.weight.assign(tensor([1, 10, 100, 1000], [1, 1, 4]));
    expect(Array.from(layer.forward(tensor([1, 2, 3], [1, 1, 3])).dataSync())).toEqual([3210, 321, 32]);
    expect(() => new Conv1d(1, 1, { kernelSize: 3, padding: "same", stride: 2 })).toThrow(/stride 1/);
  });

  it.each([
    ["channels last", () => new Conv1d(3, 2, { kernelSize: 1 }).forward(randn([2, 5, 3])), /permute\(\[0, 2, 1\]\)/],
    ["one sequence", () => new Conv1d(3, 2, { kernelSize: 1 }).forward(randn([3, 5])), /unsqueeze\(0\)/],
    [
      "a length it was not made for",
      () => new Conv1d(1, 2, { kernelSize: 1, inputSize: 4 }).forward(randn([1, 1, 5])),
      /sequences of 4/,
    ],
    ["a pair of kernel sizes", () => new Conv1d(1, 1, { kernelSize: [3, 3] as never }), /kernelSize/],
    ["an odd name of a padding", () => new Conv1d(1, 1, { kernelSize: 3, padding: "full" as never }), /padding/],
    ["groups that do not divide", () => new SpectralConv1d(3, 4, { kernelSize: 1, groups: 2 }), /groups 2 must divide/],
    ["no such initializer", () => new Linear(2, 2, { initializer: "glorot" as never }), /initializer must be/],
    ["an axis of samples", () => new Unflatten(0, [2, 2]), /dim must be/],
    ["extents that do not fit", () => new Unflatten(1, [2, 3]).forward(randn([1, 7])), /needs 6 numbers/],
    ["the samples, from behind", () => new Unflatten(-2, [2, 3]).forward(randn([6, 7])), /that of the samples/],
  ])("refuses %s", (_, run, message) => {
    expect(run).toThrow(TslipError);
    expect(run).toThrow(message);
  });
});

describe("condense", () => {
  it("puts effective weights in the place of parameters, of which they are the fixed points", async () => {
    const model = new Sequential(
      [
        new SpectralConv2d(1, 4, { kernelSize: 3, padding: 1 }),
        new LipResidual(new Sequential([new SpectralConv2d(4, 4, { kernelSize: 3, padding: 1 }), new GroupSort2()])),
        new Flatten(),
        new FrobeniusLinear(36, 3, { disjointNeurons: false }),
      ],
      { kCoefLip: 2 },
    );
    for (const parameter of model.parameters()) parameter.assign(parameter.mul(3));
    const x = randn([2, 1, 3, 3], { seed: 1 });
    const before = model.predictSync(x).held();
    model.condense();
    const [convolution, , , head] = model.layers as [SpectralConv2d, Module, Module, FrobeniusLinear];
    for (const layer of [convolution, head]) {
      const [raw, effective] = [layer.weight.dataSync(), layer.effectiveWeight().dataSync()];
      effective.forEach((w, i) => {
        expect(w).toBeCloseTo(raw[i] as number, 6);
      });
    }
    model
      .predictSync(x)
      .held()
      .forEach((y, i) => {
        expect(y).toBeCloseTo(before[i] as number, 5);
      });
    const twice = convolution.weight.dataSync();
    convolution.condense();
    convolution.weight.dataSync().forEach((w, i) => {
      expect(w).toBeCloseTo(twice[i] as number, 6);
    });
  });

  it.each([
    {},
    { bjorckIterations: 0 },
    { epsBjorck: null },
    { epsSpectral: 1e-3, bjorckIterations: 0 },
    { epsSpectral: 1, bjorckIterations: 2 },
  ])("keeps the function however often it is done, with %o", (options) => {
    const layer = new SpectralLinear(8, 8, { kCoefLip: 0.01, ...options });
    const before = layer.effectiveWeight().dataSync().slice();
    for (let times = 0; times < 3; times++) layer.condense();
    layer
      .effectiveWeight()
      .dataSync()
      .forEach((w, i) => {
        expect(Math.abs(w - (before[i] as number))).toBeLessThan(1e-7);
      });
  });

  it("leaves ordinary layers as they are", () => {
    const model = new Sequential([new Linear(2, 2)], { constrained: false });
    const before = model.predictSync(randn([1, 2], { seed: 1 })).held();
    model.condense();
    expect(model.predictSync(randn([1, 2], { seed: 1 })).held()).toEqual(before);
  });
});

/** Divides by a learnt number, which it registers. */
class Scaled extends Module {
  readonly scale: Parameter;
  constructor(scale: number, factory: SharedLipFactory) {
    super();
    this.scale = new Parameter(tensor([scale]));
    factory.register(this);
  }
  forward(x: Tensor): Tensor {
    return x.div(this.scale);
  }
  getScalingFactor(training: boolean): Tensor {
    return training ? this.scale : this.scale.mul(2);
  }
}

describe("a SharedLipFactory", () => {
  it("gives the product of the scales of its layers as they are now, differentiable", () => {
    const factory = new SharedLipFactory();
    expect(factory.getCurrentProductValue().dataSync()[0]).toBe(1);
    const [a, b] = [new Scaled(3, factory), new Scaled(0.5, factory)];
    expect(factory.modules).toEqual([a, b]);
    const product = factory.getCurrentProductValue(true);
    expect(product.shape).toEqual([]);
    expect(product.dataSync()[0]).toBe(1.5);
    expect(factory.getCurrentProductValue().dataSync()[0]).toBe(6);
    expect(Array.from(grad(product, [a.scale])[0].dataSync())).toEqual([0.5]);
    b.scale.assign(tensor([2]));
    expect(factory.getCurrentProductValue(true).dataSync()[0]).toBe(6);
    // The network times the product keeps norms that its other layers keep.
    const x = randn([1, 4], { seed: 1 });
    const y = b.forward(a.forward(x)).mul(factory.getCurrentProductValue(true)).dataSync();
    x.dataSync().forEach((value, i) => {
      expect(y[i]).toBeCloseTo(value, 6);
    });
  });

  it("refuses what has no scale, or one for each channel", () => {
    const factory = new SharedLipFactory();
    expect(() => factory.register(new Linear(2, 2) as never)).toThrow(/getScalingFactor/);
    factory.register({ getScalingFactor: () => randn([3]) });
    expect(() => factory.getCurrentProductValue()).toThrow(/one number; it gave \[3\]/);
  });
});

describe("keys in state dictionaries are torchlip's", () => {
  const original = "parametrizations.weight.original";
  const spectral = [
    "parametrizations.weight.0._u",
    "parametrizations.weight.0._v",
    "parametrizations.weight.1._w_bjorck",
  ];
  it.each<[string, Module, string[]]>([
    ["SpectralConv1d", new SpectralConv1d(1, 2, { kernelSize: 3 }), ["bias", original, ...spectral]],
    ["FrobeniusLinear", new FrobeniusLinear(2, 2), ["bias", original]],
    ["FrobeniusConv2d", new FrobeniusConv2d(1, 1, { kernelSize: 1, bias: false }), [original]],
    ["PadConv1d", new PadConv1d(1, 1, { kernelSize: 1 }), ["weight", "bias"]],
    ["PadConv2d", new PadConv2d(1, 1, { kernelSize: 1, bias: false }), ["weight"]],
  ])("%s", async (_, layer, keys) => {
    expect(Object.keys(await layer.stateDict())).toEqual(keys);
  });
});

describe("initial weights", () => {
  const deviation = (values: ArrayLike<number>): number =>
    Math.sqrt(Array.from(values).reduce((sum, x) => sum + x * x, 0) / values.length);
  const shape = [60, 20, 5];
  // Of [60, 20, 5] 100 numbers come in and 300 go out.
  it.each<[string, Tensor, number, number | undefined]>([
    ["kaimingNormal", init.kaimingNormal(shape, { seed: 1 }), Math.sqrt(2 / 100), undefined],
    [
      "kaimingNormal, fan out, tanh",
      init.kaimingNormal(shape, { mode: "fanOut", nonlinearity: "tanh", seed: 1 }),
      5 / 3 / Math.sqrt(300),
      undefined,
    ],
    [
      "kaimingUniform of slope sqrt(5)",
      init.kaimingUniform(shape, { a: Math.sqrt(5), seed: 1 }),
      0.1 / Math.sqrt(3),
      0.1,
    ],
    ["xavierNormal", init.xavierNormal(shape, { gain: 2, seed: 1 }), 2 * Math.sqrt(2 / 400), undefined],
    ["xavierUniform", init.xavierUniform(shape, { seed: 1 }), Math.sqrt(2 / 400), Math.sqrt(6 / 400)],
  ])("%s have the deviation of the formula", (_, weight, expected, bound) => {
    const values = weight.dataSync();
    expect(weight.shape).toEqual(shape);
    // Of 6,000 numbers the deviation is off by 1 % at most.
    expect(deviation(values) / expected).toBeGreaterThan(0.97);
    expect(deviation(values) / expected).toBeLessThan(1.03);
    if (bound === undefined) return;
    const largest = Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(largest).toBeLessThanOrEqual(Math.fround(bound) * (1 + 1e-6));
    expect(largest).toBeGreaterThan(0.99 * bound);
  });

  it("orthogonal and spectral ones have the norm that is asked for", () => {
    for (const make of [init.orthogonal, init.spectral]) {
      expect(spectralNorm(make([3, 2, 4], { gain: 0.5, seed: 2 }).dataSync(), 3, 8)).toBeCloseTo(0.5, 5);
    }
    const gram = init.orthogonal([3, 8], { seed: 1 });
    const product = gram.matmul(gram, { transposeB: true }).dataSync();
    product.forEach((x, i) => {
      expect(x).toBeCloseTo(i % 4 === 0 ? 1 : 0, 5);
    });
  });

  it("follow manualSeed, as an option of layers too", () => {
    const made = (initializer: "xavierUniform" | "spectral") => {
      manualSeed(4);
      return new SpectralConv2d(2, 3, { kernelSize: 3, initializer }).weight.dataSync();
    };
    expect(made("spectral")).toEqual(made("spectral"));
    expect(made("spectral")).not.toEqual(made("xavierUniform"));
    manualSeed(4);
    expect(made("xavierUniform")).toEqual(
      (() => {
        manualSeed(4);
        return init.xavierUniform([3, 2, 3, 3]).dataSync();
      })(),
    );
  });

  it("gains are PyTorch's", () => {
    expect(init.calculateGain("linear")).toBe(1);
    expect(init.calculateGain("relu")).toBe(Math.SQRT2);
    expect(init.calculateGain("leakyRelu")).toBeCloseTo(Math.sqrt(2 / (1 + 1e-4)), 12);
    expect(init.calculateGain("leakyRelu", 1)).toBeCloseTo(1, 12);
    expect(init.calculateGain("selu")).toBe(0.75);
    expect(() => init.calculateGain("gelu" as never)).toThrow(/nonlinearity must be/);
    expect(() => init.xavierNormal([3])).toThrow(/two axes or more/);
  });
});
