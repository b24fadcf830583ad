// Proved bounds of convolutions at the size in use: near the norm, never below it, and certificates that count what cancels.
import {
  Conv2d,
  ConvTranspose2d,
  certify,
  Flatten,
  GroupSort2,
  L2CarliniWagnerAttack,
  Linear,
  type Module,
  manualSeed,
  OrthogonalConvTranspose2d,
  type PaddingMode,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { proofOf } from "../../src/nn/proof.js";
import { spectralNorm } from "./float64.js";

/** What a bound may be above the norm. */
const TIGHT = 1.005;
/** The oracle's norm is of float32 sums of few bits, exact, and rounds itself. */
const ORACLE = 1e-9;

const MODES: readonly PaddingMode[] = ["zeros", "circular", "reflect", "replicate", "symmetric"];

/** Whole numbers in [-8, 8) without a pattern. */
function wholes(count: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 28) - 8;
  });
}

/** The norm of a layer without bias on images of a size, from its results on each unit image. */
function normOn(layer: Module, channels: number, [height, width]: readonly [number, number]): number {
  const size = channels * height * width;
  const units = Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  const rows = layer.forward(tensor(units, [size, channels, height, width])).dataSync();
  return spectralNorm(rows, size, rows.length / size);
}

/** What a certificate takes for the layer's constant on images of a size. */
function boundOn(layer: Conv2d | ConvTranspose2d, channels: number, size: readonly [number, number]): number {
  const proof = proofOf(layer, "lipschitzBound", { sample: [channels, ...size], results: 0 });
  return proof?.follows(...proof.from.map((premise) => premise.dataSync())).now() ?? Number.NaN;
}

describe("the bound of a convolution at the size that enters it", () => {
  it("is within half a percent of the norm and never below it, for all paddings, strides, dilations and groups", () => {
    let checked = 0;
    for (const paddingMode of MODES) {
      for (const [kernelSize, stride, dilation, padding] of [
        [3, 1, 1, 1],
        [[1, 5], 2, 1, [0, 2]],
        [5, 1, 1, 2],
        [[2, 3], [1, 2], 2, 1],
        [2, 2, 1, 0],
      ] as const) {
        for (const size of [
          [5, 6],
          [7, 6],
        ] as const) {
          const groups = 1 + (checked % 2);
          const options = { kernelSize, stride, dilation, padding, paddingMode, groups, bias: false };
          const { size: count, shape } = new Conv2d(2, 4, options).weight;
          const own = new Conv2d(2, 4, options, { weight: tensor(wholes(count, checked + 1), shape), bias: undefined });
          const norm = normOn(own, 2, size);
          const bound = boundOn(own, 2, size);
          const what = `${paddingMode} ${kernelSize} ${stride} ${dilation} ${padding} on ${size}: ${bound} of ${norm}`;
          expect(bound, what).toBeGreaterThanOrEqual(norm * (1 - ORACLE));
          expect(bound, what).toBeLessThanOrEqual(norm * TIGHT);
          // Without a size it is one for every size.
          expect(own.lipschitzBound(), what).toBeGreaterThanOrEqual(norm * (1 - ORACLE));
          checked += 1;
        }
      }
    }
    expect(checked).toBe(50);
  });

  it("and so of transposed convolutions", () => {
    let checked = 0;
    for (const [kernelSize, stride, dilation, padding, outputPadding] of [
      [3, 1, 1, 1, 0],
      [[2, 4], 2, 1, [0, 1], 1],
      [3, [1, 3], 2, 2, [0, 2]],
    ] as const) {
      for (const groups of [1, 2]) {
        const options = { kernelSize, stride, dilation, padding, outputPadding, groups, bias: false };
        const { size: count, shape } = new ConvTranspose2d(4, 2, options).weight;
        const weight = tensor(wholes(count, checked + 77), shape);
        const own = new ConvTranspose2d(4, 2, options, { weight, bias: undefined });
        const norm = normOn(own, 4, [4, 3]);
        const bound = boundOn(own, 4, [4, 3]);
        expect(bound, `${checked}`).toBeGreaterThanOrEqual(norm * (1 - ORACLE));
        expect(bound, `${checked}`).toBeLessThanOrEqual(norm * TIGHT);
        checked += 1;
      }
    }
  });

  it("and so of those that keep norms, where little is left of the results within the padding", () => {
    let shrunk = 0;
    for (const [kernelSize, stride, padding, outputPadding] of [
      [3, 1, 1, 0],
      [5, 1, 2, 0],
      [4, 3, 1, 2],
      [5, 2, 2, 1],
    ] as const) {
      for (const size of [
        [1, 1],
        [2, 3],
      ] as const) {
        manualSeed(kernelSize);
        const options = { kernelSize, stride, padding, outputPadding, bias: false };
        const exported = new OrthogonalConvTranspose2d(4, 2, options).vanillaExport();
        const norm = normOn(exported, 4, size);
        const bound = boundOn(exported, 4, size);
        expect(bound, `${kernelSize} ${stride} on ${size}`).toBeGreaterThanOrEqual(norm * (1 - ORACLE));
        expect(bound, `${kernelSize} ${stride} on ${size}`).toBeLessThanOrEqual(norm * TIGHT);
        // Of every size it is 1, which is far above the norm on the smallest.
        shrunk += exported.lipschitzBound() > 1.2 * bound ? 1 : 0;
      }
    }
    expect(shrunk).toBeGreaterThan(0);
  });

  it("is proved for the size of each image, also after one of another size", async () => {
    // On one pixel with copies around it the taps add up to 1; on two pixels they do not.
    const options = { kernelSize: [1, 2], padding: [0, 1], paddingMode: "replicate", bias: false } as const;
    const layer = new Conv2d(1, 1, options, { weight: tensor([5, -4], [1, 1, 1, 2]), bias: undefined });
    const model = new Sequential([layer, new Flatten()], { constrained: false });
    const of = async (pixels: number[]) =>
      (await certify(model, tensor(pixels, [1, 1, 1, pixels.length])))[0]?.lipschitz;
    const one = await of([0.5]);
    expect(one).toBeGreaterThanOrEqual(Math.SQRT2);
    expect(one).toBeLessThan(Math.SQRT2 * TIGHT);
    const two = await of([0.5, 0.25]);
    expect(two).toBeGreaterThan(6);
    expect(await of([0.5])).toBe(one);
    expect(await of([0.5, 0.25])).toBe(two);
  });
});

describe("taps that cancel", () => {
  it("round as the taps do, which a certificate counts: float32 changes the class where exact arithmetic would not", async () => {
    // The first logit is 10000 x - 9999 x, the second .5: 1-Lipschitz, and off by some units of 10000 x.
    const options = { kernelSize: [1, 2], padding: [0, 1], paddingMode: "replicate", bias: false } as const;
    const difference = new Conv2d(1, 1, options, { weight: tensor([1e4, -9999], [1, 1, 1, 2]), bias: undefined });
    const read = new Linear(2, 2, {}, { weight: tensor([1, 0, 0, 0], [2, 2]), bias: tensor([0, 0.5]) });
    const model = new Sequential([difference, new Flatten(), read], { constrained: false });
    const radii: number[] = [];
    let changed = 0;
    for (let step = 1; step <= 40; step++) {
      const x = Math.fround(0.5 + step * 2 ** -15);
      const [certificate] = await certify(model, tensor([x], [1, 1, 1, 1]));
      const { radius = Number.NaN, margin = 0, predicted, lipschitz = 0 } = certificate ?? {};
      expect(lipschitz).toBeLessThan(1.5);
      radii.push(radius);
      // All floats around; the class that exact arithmetic keeps is another for some of them.
      const near = Float32Array.from({ length: 4001 }, (_, i) => x + (i - 2000) * 2 ** -24);
      const logits = (await model.predict(tensor(near, [near.length, 1, 1, 1]))).held();
      near.forEach((other, i) => {
        if ((logits[2 * i] as number) >= (logits[2 * i + 1] as number) === (predicted === 0)) return;
        const distance = Math.abs(other - x);
        if (distance < margin / (Math.SQRT2 * lipschitz)) changed += 1;
        expect(distance).toBeGreaterThanOrEqual(radius);
      });
    }
    expect(changed, "no class changes within what the norm of the whole alone would claim").toBeGreaterThan(100);
    expect(Math.max(...radii.filter((radius) => radius > 0).concat(0))).toBeLessThan(0.01);
  });
});

describe("certificates by tight bounds", () => {
  it("are larger, and no attack finds an image within them", async () => {
    manualSeed(3);
    const model = new Sequential([
      new SpectralConv2d(1, 8, { kernelSize: 5, padding: 2, paddingMode: "reflect" }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new SpectralConv2d(8, 8, { kernelSize: 3, padding: "same", paddingMode: "circular" }),
      new GroupSort2(),
      new SpectralConv2d(8, 8, { kernelSize: 3, stride: 2, padding: 1 }),
      new Flatten(),
      new SpectralLinear(72, 4),
    ]).eval();
    const images = tensor(
      wholes(6 * 144, 5).map((x) => (x + 8) / 16),
      [6, 1, 12, 12],
    );
    const certificates = await certify(model, images);
    const lipschitz = certificates[0]?.lipschitz ?? Number.NaN;
    expect(lipschitz).toBeLessThan(0.8);
    const labels = certificates.map(({ predicted }) => predicted);
    const attack = new L2CarliniWagnerAttack({ binarySearchSteps: 5, steps: 200, stepsize: 0.03, initialConst: 1 });
    const { distances, success } = await attack.run(model, images, labels);
    expect(success.some(Boolean)).toBe(true);
    certificates.forEach(({ radius, margin }, i) => {
      expect(radius).toBeLessThanOrEqual(margin / (Math.SQRT2 * lipschitz));
      expect(radius).toBeGreaterThan(0.9 * (margin / (Math.SQRT2 * lipschitz)));
      expect(distances[i]).toBeGreaterThan(radius);
    });
  });
});
