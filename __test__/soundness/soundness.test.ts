// The claims of a trained network, checked in float64 by an oracle that shares no code with the library.

import {
  Conv2d,
  certify,
  type Dataset,
  Flatten,
  fit,
  functional,
  GroupSort2,
  L2CarliniWagnerAttack,
  Linear,
  manualSeed,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
} from "tslip";
import { beforeAll, describe, expect, it } from "vitest";
import { Convolution } from "../../src/nn/affine/convolution.js";
import { referenceNetwork, referenceOptions, subset } from "../train/subset.js";
import { differentiate, float64Layers, operatorNorm, type Size, spectralNorm } from "./float64.js";

/** What the engine promises of the singular values of an effective weight, float32 rounding included. */
const EFFECTIVE_WEIGHT = 2e-6;
/** The product over four layers of that, and float32 rounding of the scales. */
const NETWORK = 1e-5;
/** Logits in float32 against float64: sums of up to 1,568 terms of order 1 with random rounding. */
const LOGITS = 2e-5;
/** Exported weights are the effective weights: only the order of summation may differ. */
const EXPORT = 1e-5;

const IMAGE: Size = [1, 28, 28];
const CLASSES = 10;

interface Variant {
  claim: string;
  kCoefLip: number;
  images: number;
  build(): Sequential;
  /** Sizes of the images that the spectral convolutions see. */
  sizes: Size[];
}

const variants: Variant[] = [
  {
    claim: "the reference network",
    kCoefLip: 1,
    images: 1000,
    build: () => referenceNetwork(),
    sizes: [
      [1, 28, 28],
      [16, 14, 14],
    ],
  },
  {
    claim: "a network of kCoefLip 3 with strided, 5x5 and circular convolutions",
    kCoefLip: 3,
    images: 200,
    build: () => {
      manualSeed(5);
      return new Sequential(
        [
          new SpectralConv2d(1, 8, { kernelSize: 5, padding: 2, paddingMode: "circular" }),
          new GroupSort2(),
          new SpectralConv2d(8, 16, { kernelSize: 3, stride: 2, padding: 1 }),
          new GroupSort2(),
          new ScaledL2NormPool2d({ kernelSize: 2 }),
          new SpectralConv2d(16, 16, { kernelSize: 3, stride: 2 }),
          new Flatten(),
          new SpectralLinear(144, 32, { kCoefLip: 0.5 }),
          new GroupSort2(),
          new SpectralLinear(32, 10),
        ],
        { kCoefLip: 3 },
      );
    },
    sizes: [
      [1, 28, 28],
      [8, 28, 28],
      [16, 7, 7],
    ],
  },
];

describe.each(variants)("$claim, after forty steps of training,", ({ kCoefLip, images, build, sizes }) => {
  let model: Sequential;
  let vanilla: Sequential;
  let test: Dataset;

  beforeAll(async () => {
    const data = await subset();
    test = data.test;
    model = build();
    // 6,000 images are eleven batches of 512 and a rest: four epochs are forty-eight steps.
    const { epochs } = await fit(model, data.train, { ...referenceOptions(), epochs: 4, batchSize: 512 });
    expect(epochs[3]?.loss).toBeLessThan(epochs[0]?.loss ?? 0);
    vanilla = model.vanillaExport();
  });

  it("has effective weights whose exact Lipschitz constant is at most their share of kCoefLip", () => {
    let convolutions = 0;
    let product = 1;
    model.layers.forEach((layer, index) => {
      const exported = vanilla.layers[index];
      if (layer instanceof SpectralLinear && exported instanceof Linear) {
        const { inFeatures, outFeatures, kCoefLip: share } = layer;
        const norm = spectralNorm(exported.weight.dataSync(), outFeatures, inFeatures);
        expect(norm).toBeLessThanOrEqual(share * (1 + EFFECTIVE_WEIGHT));
        // A bound that were far below would be sound, and useless.
        expect(norm).toBeGreaterThan(share * 0.999);
        expect(layer.lipschitzBound()).toBeGreaterThanOrEqual(norm);
        product *= share;
      } else if (layer instanceof SpectralConv2d && exported instanceof Conv2d) {
        if (!(layer.map instanceof Convolution)) throw new Error("a SpectralConv2d is a convolution");
        const { kernelSize, stride, padding, paddingMode } = layer.map;
        const factor = functional.convolutionFactor({ kernelSize, stride, padding, paddingMode });
        const share = layer.kCoefLip;
        const [out = 1, ...rest] = exported.weight.shape;
        const matrix = spectralNorm(
          exported.weight.dataSync(),
          out,
          rest.reduce((a, b) => a * b),
        );
        expect(matrix).toBeLessThanOrEqual(share * factor * (1 + EFFECTIVE_WEIGHT));
        const norm = operatorNorm(exported, sizes[convolutions] ?? IMAGE, 30);
        expect(norm).toBeLessThanOrEqual(share * (1 + EFFECTIVE_WEIGHT));
        expect(layer.lipschitzBound()).toBeGreaterThanOrEqual(norm);
        convolutions += 1;
        product *= share;
      } else if ("kCoefLip" in layer && typeof layer.kCoefLip === "number") product *= layer.kCoefLip;
    });
    expect(convolutions).toBe(sizes.length);
    expect(product).toBeLessThanOrEqual(kCoefLip * (1 + Number.EPSILON * 10));
  });

  it("has a Jacobian of norm at most kCoefLip at every test image", async () => {
    const layers = float64Layers(vanilla);
    const { images: pixels } = test.batch(0, images);
    const values = pixels.dataSync();
    const logits = model.predictSync(pixels).held();
    let largest = 0;
    let [furthest, beyond] = [0, 0];
    for (let n = 0; n < images; n++) {
      const image = Float64Array.from(values.subarray(n * 784, (n + 1) * 784));
      const at = differentiate(layers, image, IMAGE, CLASSES);
      const norm = spectralNorm(at.jacobian, 784, CLASSES);
      if (norm > largest) [largest, beyond] = [norm, n];
      for (let c = 0; c < CLASSES; c++) {
        furthest = Math.max(furthest, Math.abs((at.values[c] ?? 0) - (logits[n * CLASSES + c] ?? 0)));
      }
    }
    expect(largest, `largest at image ${beyond}`).toBeLessThanOrEqual(kCoefLip * (1 + NETWORK));
    expect(largest).toBeGreaterThan(kCoefLip * 0.05);
    expect(largest).toBeLessThanOrEqual(await vanilla.lipschitzBound());
    expect(furthest).toBeLessThan(kCoefLip * LOGITS);
  });

  it("has a proved bound of at most kCoefLip beyond rounding, the same for the export", async () => {
    expect(model.lipschitzBound()).toBeLessThanOrEqual(kCoefLip * (1 + NETWORK));
    expect(vanilla.lipschitzBound()).toBeCloseTo(await model.lipschitzBound(), 12);
  });

  it("is exported with the same logits", async () => {
    const { images: x } = test.batch(0, 1000);
    const [a, b] = [(await model.predict(x)).held(), (await vanilla.predict(x)).held()];
    expect(a).toHaveLength(10_000);
    expect(Math.max(...a.map((value, i) => Math.abs(value - (b[i] ?? Number.NaN))))).toBeLessThan(kCoefLip * EXPORT);
  });

  it("has no adversarial nearer than the certified radius", async () => {
    const { images: x, labels } = await test.onePerClass(vanilla, { skipMissing: true });
    const certificates = await certify(vanilla, x);
    const attack = new L2CarliniWagnerAttack({ binarySearchSteps: 5, steps: 100 });
    const { distances, success } = await attack.run(vanilla, x, labels);
    expect(success.some(Boolean)).toBe(true);
    certificates.forEach(({ radius, margin, lipschitz }, i) => {
      expect(distances[i]).toBeGreaterThanOrEqual(radius);
      expect(radius).toBeLessThanOrEqual(margin / (Math.SQRT2 * lipschitz));
    });
  });

  it("changes no prediction for steps of the certified radius, up the gradient or at random", async () => {
    const { images: x } = test.batch(0, 64);
    const certificates = await certify(vanilla, x);
    const values = x.dataSync();
    const layers = float64Layers(vanilla);
    for (const [n, { predicted, runnerUp, radius }] of certificates.entries()) {
      const image = Float64Array.from(values.subarray(n * 784, (n + 1) * 784));
      const { jacobian } = differentiate(layers, image, IMAGE, CLASSES);
      const steepest = image.map(
        (_, p) => (jacobian[p * CLASSES + runnerUp] ?? 0) - (jacobian[p * CLASSES + predicted] ?? 0),
      );
      const arbitrary = image.map((_, p) => Math.sin((p + 1) * (n + 1)));
      for (const direction of [steepest, arbitrary]) {
        const length = Math.hypot(...direction);
        const moved = image.map((pixel, p) => pixel + ((radius * (1 - 1e-9)) / length) * (direction[p] ?? 0));
        const { values: logits } = differentiate(layers, moved, IMAGE, CLASSES);
        expect(logits.indexOf(Math.max(...logits))).toBe(predicted);
      }
    }
  });
});

describe("the oracle itself", () => {
  it("finds singular values that are known", () => {
    expect(spectralNorm([3, 0, 0, 4], 2, 2)).toBeCloseTo(4, 14);
    expect(spectralNorm([1, 1, 1, 1, 1, 1], 2, 3)).toBeCloseTo(Math.sqrt(6), 14);
    expect(spectralNorm([1, 1, 1, 1, 1, 1], 3, 2)).toBeCloseTo(Math.sqrt(6), 14);
  });

  it("has the Jacobian of central differences", () => {
    const model = variants[1]?.build().vanillaExport();
    if (model === undefined) throw new Error("no model");
    const layers = float64Layers(model);
    const image = Float64Array.from({ length: 784 }, (_, p) => (Math.sin(p * p) + 1) / 2);
    const { jacobian } = differentiate(layers, image, IMAGE, CLASSES);
    // float64 differences over 2e-6 are good to 1e-9 where no order of a pair changes.
    for (const p of [0, 27, 400, 783]) {
      const at = (by: number): Float64Array =>
        differentiate(layers, image.with(p, (image[p] ?? 0) + by) as Float64Array, IMAGE, CLASSES).values;
      const [up, down] = [at(1e-6), at(-1e-6)];
      for (let c = 0; c < CLASSES; c++) {
        const slope = ((up[c] ?? 0) - (down[c] ?? 0)) / 2e-6;
        expect(Math.abs(slope - (jacobian[p * CLASSES + c] ?? 0))).toBeLessThan(1e-7);
      }
    }
  });
});
