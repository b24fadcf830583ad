// Convolutions whose norm is computed: a dense Jacobian has it, before, during and after training.
import {
  Adam,
  compile,
  Flatten,
  fromJSON,
  grad,
  manualSeed,
  onDevice,
  type PaddingMode,
  type Parameter,
  randn,
  Sequential,
  SpectralConv1d,
  SpectralConv2d,
  SpectralConvTranspose2d,
  SpectralLinear,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { describeGpu } from "../gpu/gpu.js";
import { operatorNorm, spectralNorm } from "../soundness/float64.js";

const MODES: readonly PaddingMode[] = ["zeros", "circular", "reflect", "replicate", "symmetric"];

/** How far the norm may be below the constant, and how far above it for the rounding of float32. */
const LOW = 1e-3;
const HIGH = 2e-6;

type Layer = SpectralConv1d | SpectralConv2d | SpectralConvTranspose2d;

/** The norm of a layer without bias: its images of all unit vectors, as a matrix. */
function normOf(layer: Layer, sample: readonly number[]): number {
  const inputs = sample.reduce((product, extent) => product * extent, 1);
  const units = new Float32Array(inputs * inputs);
  for (let i = 0; i < inputs; i++) units[i * (inputs + 1)] = 1;
  const matrix = layer.forward(tensor(units, [inputs, ...sample])).dataSync();
  return spectralNorm(matrix, inputs, matrix.length / inputs);
}

function expectExact(layer: Layer, sample: readonly number[], what = ""): void {
  const share = normOf(layer, sample) / layer.kCoefLip;
  expect(share, what).toBeGreaterThanOrEqual(1 - LOW);
  expect(share, what).toBeLessThanOrEqual(1 + HIGH);
  // The matrix itself was computed in float32.
  expect(layer.lipschitzBound(), what).toBeGreaterThanOrEqual(share * layer.kCoefLip * (1 - HIGH));
  expect(layer.lipschitzBound(), what).toBeLessThanOrEqual((1 + LOW) * layer.kCoefLip);
}

/** Kernels that are hard to tell norms of: one value, one tap, alternating, smooth, small, large, of rank one, at random. */
const KERNELS: Readonly<Record<string, (at: number, size: number) => number>> = {
  ones: () => 1,
  "one tap": (at) => (at === 0 ? 1 : 0),
  "the last tap": (at, size) => (at === size - 1 ? 1 : 0),
  alternating: (at) => (at % 2 === 0 ? 1 : -1),
  smooth: (at, size) => Math.sin((Math.PI * (at + 1)) / (size + 1)),
  tiny: (at) => 1e-20 * Math.cos(at * at),
  huge: (at) => 1e20 * Math.sin(1 + at * at),
  random: (at) => Math.sin(1 + 12.9898 * at * at) * Math.cos(78.233 * at),
};

const filled = ({ shape, size }: Parameter, value: (at: number, size: number) => number): Tensor =>
  tensor(
    Float32Array.from({ length: size }, (_, at) => value(at, size)),
    shape,
  );

describe('norm: "exact"', () => {
  for (const paddingMode of MODES) {
    it(`is the norm for every geometry, padding with ${paddingMode}`, () => {
      let checked = 0;
      for (const kernelSize of [1, 2, 3, 4, 5]) {
        for (const stride of [1, 2]) {
          for (const dilation of [1, 2]) {
            for (const groups of [1, 2]) {
              const size = [6, 5] as const;
              const padding = Math.min(4, Math.ceil((dilation * (kernelSize - 1)) / 2) + (stride - 1));
              manualSeed(checked);
              const options = { kernelSize, stride, dilation, groups, padding, paddingMode, inputSize: size };
              const layer = new SpectralConv2d(2, 4, { ...options, bias: false, norm: "exact", kCoefLip: 1.5 });
              expectExact(layer, [2, ...size], JSON.stringify(options));
              layer.weight.assign(randn(layer.weight.shape, { seed: checked }));
              expectExact(layer, [2, ...size], JSON.stringify(options));
              checked += 1;
            }
          }
        }
      }
      expect(checked).toBe(40);
    });
  }

  it.each(Object.keys(KERNELS))("is the norm of a kernel of %s", (kind) => {
    for (const [inChannels, outChannels, bjorckIterations] of [
      [1, 1, 15],
      [2, 3, 15],
      [3, 1, 0],
    ] as const) {
      for (const paddingMode of MODES) {
        const options = { kernelSize: 3, padding: 1, paddingMode, inputSize: [7, 7], bjorckIterations } as const;
        const layer = new SpectralConv2d(inChannels, outChannels, { ...options, bias: false, norm: "exact" });
        layer.weight.assign(filled(layer.weight, KERNELS[kind] ?? (() => Number.NaN)));
        expectExact(layer, [inChannels, 7, 7], `${paddingMode} ${inChannels} ${outChannels}`);
      }
    }
  });

  it("is the norm of an image of one row, and of one pixel", () => {
    for (const inputSize of [
      [1, 1],
      [1, 9],
      [8, 1],
    ] as const) {
      const layer = new SpectralConv2d(3, 2, { kernelSize: 3, padding: 1, inputSize, bias: false, norm: "exact" });
      expectExact(layer, [3, ...inputSize]);
    }
  });

  it("is the norm on larger images, where singular values are close", () => {
    const size = [24, 24] as const;
    const layer = new SpectralConv2d(1, 4, { kernelSize: 3, padding: 1, inputSize: size, bias: false, norm: "exact" });
    for (const kernel of [KERNELS["random"], KERNELS["ones"]]) {
      layer.weight.assign(filled(layer.weight, kernel ?? (() => Number.NaN)));
      const norm = operatorNorm(layer.vanillaExport(), [1, ...size], 1000);
      expect(norm).toBeGreaterThanOrEqual(1 - LOW);
      expect(norm).toBeLessThanOrEqual(1 + HIGH);
    }
  });

  // Of 800 and 4,000 numbers: Lanczos' method has no vector of the largest by the time that it ends, but its value.
  const along = (seed: number, length: number): SpectralConv2d => {
    manualSeed(seed);
    const geometry = { kernelSize: [1, 3], padding: [0, 1], inputSize: [1, length] } as const;
    return new SpectralConv2d(4, 4, { ...geometry, bias: false, norm: "exact" });
  };

  it.each([
    [200, [105, 0, 171]],
    [1000, [1, 2]],
  ] as const)("is the norm along an axis of %d pixels, where singular values lie closest", (length, seeds) => {
    for (const seed of seeds) {
      const layer = along(seed, length);
      expect(layer.lipschitzBound(), `${seed}`).toBeGreaterThanOrEqual(1 - LOW);
      expect(layer.lipschitzBound(), `${seed}`).toBeLessThanOrEqual(1 + LOW);
      expect(operatorNorm(layer.vanillaExport(), [4, 1, length], 500), `${seed}`).toBeLessThanOrEqual(1 + HIGH);
    }
  });

  describeGpu("on a GPU", () => {
    it("is the norm on long axes as well, within the same limits", async () => {
      const images = (stride: number, paddingMode: PaddingMode): SpectralConv2d => {
        manualSeed(stride);
        const geometry = { kernelSize: 3, padding: 1, stride, paddingMode, inputSize: [33, 24] } as const;
        return new SpectralConv2d(2, 3, { ...geometry, bias: false, norm: "exact" });
      };
      for (const layer of [along(105, 200), images(1, "replicate")]) {
        const weight = await onDevice("gpu", () => layer.effectiveWeight().data());
        const plain = layer.vanillaExport();
        plain.weight.assign(tensor(weight, plain.weight.shape));
        expect(plain.lipschitzBound()).toBeGreaterThanOrEqual(1 - LOW);
        expect(plain.lipschitzBound()).toBeLessThanOrEqual(1 + LOW);
      }
    });
  });

  it("leaves a zero kernel zero, with finite gradients", () => {
    const layer = new SpectralConv2d(1, 2, { kernelSize: 3, padding: 1, inputSize: [4, 4], norm: "exact" });
    layer.weight.assign(filled(layer.weight, () => 0));
    const x = randn([2, 1, 4, 4], { seed: 1 });
    const [gradient] = grad(layer.forward(x).square().sum(), [layer.weight]);
    expect(
      layer
        .effectiveWeight()
        .dataSync()
        .every((value) => value === 0),
    ).toBe(true);
    expect(gradient.dataSync().every(Number.isFinite)).toBe(true);
  });

  it("is the norm of transposed convolutions, with strides and padding of their results", () => {
    for (const options of [
      { kernelSize: 2, stride: 2 },
      { kernelSize: 3, stride: 1, padding: 1 },
      { kernelSize: 4, stride: 2, padding: 1, outputPadding: 1 },
      { kernelSize: 3, stride: 2, dilation: 2, groups: 2 },
    ]) {
      const all = { ...options, inputSize: [3, 4] as const, bias: false, norm: "exact" as const };
      const layer = new SpectralConvTranspose2d(4, 2, all);
      expectExact(layer, [4, 3, 4], JSON.stringify(options));
      layer.weight.assign(randn(layer.weight.shape, { seed: 3 }));
      expectExact(layer, [4, 3, 4], JSON.stringify(options));
    }
  });

  it("stays the norm while the layer is trained, and the loss falls", async () => {
    manualSeed(3);
    const first = new SpectralConv2d(1, 6, {
      kernelSize: 3,
      padding: 1,
      inputSize: [8, 8],
      bias: false,
      norm: "exact",
    });
    const model = new Sequential([first, new Flatten(), new SpectralLinear(6 * 64, 3)]);
    const optimizer = new Adam({ lr: 0.02 });
    const step = compile((x: Tensor, y: Tensor) => {
      const loss = model.forward(x).sub(y).square().mean();
      optimizer.update(model.parameters(), grad(loss, model.parameters()));
      return loss;
    });
    const [x, y] = [randn([16, 1, 8, 8], { seed: 1 }), randn([16, 3], { seed: 2 })];
    const losses: number[] = [];
    for (let i = 0; i < 20; i++) {
      losses.push((await step(x, y)).item());
      if (i % 5 === 0) expectExact(first, [1, 8, 8], `step ${i}`);
    }
    expectExact(first, [1, 8, 8]);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) * 0.99);
  });

  it("needs a size of images", () => {
    expect(() => new SpectralConv2d(1, 2, { kernelSize: 3, norm: "exact" })).toThrow(/give inputSize/);
    expect(() => new SpectralConvTranspose2d(1, 2, { kernelSize: 3, norm: "exact" })).toThrow(/give inputSize/);
  });
});

describe("norms of convolutions", () => {
  const layer = (norm: "default" | "overlap" | "exact"): SpectralConv2d => {
    manualSeed(5);
    return new SpectralConv2d(2, 3, { kernelSize: 3, stride: 3, padding: 1, dilation: 2, inputSize: [4, 4], norm });
  };

  it("differ in nothing but the scale of the effective weight, and come back from JSON", () => {
    const lengths = (["default", "overlap", "exact"] as const).map((norm) => {
      const made = layer(norm);
      const again = fromJSON(JSON.parse(JSON.stringify(made))) as SpectralConv2d;
      expect(again.options.norm).toBe(norm);
      expect(made.vanillaExport().weight.dataSync()).toEqual(made.effectiveWeight().dataSync());
      return Math.hypot(...made.effectiveWeight().dataSync());
    });
    const [byDefault = 0, overlap = 0, exact = 0] = lengths;
    expect(byDefault).toBeLessThanOrEqual(overlap * (1 + 1e-6));
    expect(overlap).toBeLessThanOrEqual(exact * (1 + 1e-6));
  });

  it.each(["default", "overlap", "exact"] as const)("leave weights finite where windows show no pixel: %s", (norm) => {
    const geometry = { kernelSize: [1, 2], padding: [0, 1], dilation: [1, 3], inputSize: [1, 2] } as const;
    const conv = new SpectralConv2d(1, 1, { ...geometry, norm });
    conv.bias?.assign(tensor([2]));
    expect(Array.from(conv.effectiveWeight().dataSync()).every(Number.isFinite)).toBe(true);
    expect([...conv.forward(randn([1, 1, 1, 2])).dataSync()]).toEqual([2]);
    expect(conv.lipschitzBound()).toBe(0);
    const sequence = new SpectralConv1d(1, 1, {
      kernelSize: 2,
      padding: 1,
      dilation: 3,
      inputSize: 2,
      norm,
      bias: false,
    });
    expect([...sequence.forward(randn([1, 1, 2])).dataSync()]).toEqual([0]);
  });

  it("are refused where they have another name", () => {
    expect(() => layer("torchlip" as "exact")).toThrow(/norm must be "default", "overlap" or "exact"/);
  });
});

describe("norms of convolutions of sequences", () => {
  for (const paddingMode of MODES) {
    it(`"exact" is the norm, padding with ${paddingMode}`, () => {
      for (const [kernelSize, stride, dilation] of [
        [1, 1, 1],
        [3, 1, 1],
        [4, 2, 1],
        [5, 1, 2],
        [3, 2, 2],
      ] as const) {
        const padding = Math.ceil((dilation * (kernelSize - 1)) / 2);
        const options = { kernelSize, stride, dilation, padding, paddingMode, inputSize: 9, bias: false };
        manualSeed(kernelSize);
        const layer = new SpectralConv1d(2, 4, { ...options, norm: "exact", groups: 2, kCoefLip: 0.7 });
        expectExact(layer, [2, 9], JSON.stringify(options));
        layer.weight.assign(randn(layer.weight.shape, { seed: stride }));
        expectExact(layer, [2, 9], JSON.stringify(options));
        expectExact(fromJSON(layer.toJSON()) as SpectralConv1d, [2, 9]);
      }
    });
  }

  it('"overlap" is sound, and the root of what "default" loses', () => {
    const options = { kernelSize: 4, padding: 2, bias: false, initializer: "orthogonal" } as const;
    const [byDefault, overlap] = (["default", "overlap"] as const).map((norm) => {
      manualSeed(2);
      return normOf(new SpectralConv1d(2, 3, { ...options, norm }), [2, 12]);
    });
    expect(overlap).toBeLessThanOrEqual(1 + HIGH);
    expect(overlap).toBeCloseTo(2 * (byDefault ?? Number.NaN), 4);
  });
});
