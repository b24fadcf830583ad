// The networks that are measured, each with the shape of its samples. peers/torch_bench.py has the same ones.
import {
  Flatten,
  FullSort,
  GroupSort,
  GroupSort2,
  HKRMulticlassLoss,
  Linear,
  LipResidual,
  type Module,
  manualSeed,
  OrthogonalLinear,
  PatchEmbedding,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  type SequentialOptions,
  SpectralConv1d,
  SpectralConv2d,
  SpectralLinear,
} from "tslip";
import type { OrthonormalMethod } from "#tslip/nn/parametrizations/orthonormal.js";

/** A network and what goes into it. */
export interface Network {
  build(): Sequential;
  /** Shape of one sample. */
  readonly sample: readonly number[];
}

const pool = (): ScaledL2NormPool2d => new ScaledL2NormPool2d({ kernelSize: 2 });

/** The layers with weights of the reference network. */
export interface ReferenceLayers {
  /** From 1 to 16 channels of 28x28 pixels. */
  readonly first: Module;
  /** From 16 to 32 channels of 14x14 pixels. */
  readonly second: Module;
  /** From 1,568 features to 64. */
  readonly hidden: Module;
  /** From 64 features to 10. */
  readonly last: Module;
}

/** The shape of the convolutional network of the reference run, with these layers; `between` is what follows each but the last. */
export function referenceOf(
  layers: () => ReferenceLayers,
  options?: SequentialOptions,
  between: (channels: number) => Module = () => new GroupSort2(),
): Sequential {
  manualSeed(0);
  const { first, second, hidden, last } = layers();
  const parts = [first, between(16), pool(), second, between(32), pool(), new Flatten(), hidden];
  return new Sequential([...parts, new GroupSort2(), last], options);
}

/** The dense layers of the reference run. */
export const referenceDense = (): Pick<ReferenceLayers, "hidden" | "last"> => ({
  hidden: new SpectralLinear(1568, 64),
  last: new SpectralLinear(64, 10, { bias: false }),
});

/** The convolutional network of the reference run, for images of 28x28 pixels. */
export const reference: Network = {
  sample: [1, 28, 28],
  build: () =>
    referenceOf(() => ({
      first: new SpectralConv2d(1, 16, { kernelSize: 3, padding: "same" }),
      second: new SpectralConv2d(16, 32, { kernelSize: 3, padding: "same" }),
      ...referenceDense(),
    })),
};

/** Dense layers only. */
export const mlp: Network = {
  sample: [784],
  build: () => {
    manualSeed(0);
    return new Sequential([
      new SpectralLinear(784, 512),
      new GroupSort2(),
      new SpectralLinear(512, 512),
      new GroupSort2(),
      new SpectralLinear(512, 10),
    ]);
  },
};

/** {@link mlp} of ordinary layers, whose constant a projection keeps. */
export const ordinaryMlp: Network = {
  sample: mlp.sample,
  build: () => {
    manualSeed(0);
    const layers = [
      new Linear(784, 512),
      new GroupSort2(),
      new Linear(512, 512),
      new GroupSort2(),
      new Linear(512, 10),
    ];
    return new Sequential(layers, { constrained: false });
  },
};

/**
 * A square weight that a method makes orthonormal, and one that takes little. It is a normal one, whose singular values go down to a
 * thousandth of the largest: how long iterations take depends on them.
 */
export const square = (method: OrthonormalMethod): Network => ({
  sample: [512],
  build: () => {
    manualSeed(0);
    const layer = new OrthogonalLinear(512, 512, { method });
    layer.weight.assign(randn(layer.weight.shape));
    return new Sequential([layer, new GroupSort2(), new OrthogonalLinear(512, 10)]);
  },
});

/** Orthogonal dense layers, which keep norms of gradients, for images of 28x28 pixels. */
export const orthogonal: Network = {
  sample: [1, 28, 28],
  build: () => {
    manualSeed(0);
    return new Sequential([
      new Flatten(),
      new OrthogonalLinear(784, 256),
      new GroupSort2(),
      new OrthogonalLinear(256, 256),
      new GroupSort2(),
      new OrthogonalLinear(256, 128),
      new GroupSort2(),
      new OrthogonalLinear(128, 10),
    ]);
  },
};

/** Odd channel counts, kernels of 5x5, a stride, groups of three. */
export const odd: Network = {
  sample: [3, 32, 32],
  build: () => {
    manualSeed(0);
    return new Sequential([
      new SpectralConv2d(3, 9, { kernelSize: 5, padding: 2 }),
      new GroupSort(3),
      new SpectralConv2d(9, 33, { kernelSize: 5, stride: 2, padding: 2 }),
      new GroupSort(3),
      pool(),
      new Flatten(),
      new SpectralLinear(33 * 8 * 8, 10),
    ]);
  },
};

/** Many channels. */
export const wide: Network = {
  sample: [3, 32, 32],
  build: () => {
    manualSeed(0);
    const channels = [3, 64, 128, 256];
    const blocks = channels
      .slice(1)
      .map((after, i) => [
        new SpectralConv2d(channels[i] ?? 0, after, { kernelSize: 3, padding: 1 }),
        new GroupSort2(),
        pool(),
      ]);
    return new Sequential([...blocks.flat(), new Flatten(), new SpectralLinear(256 * 4 * 4, 10)]);
  },
};

/** Residual blocks of 64 channels behind an embedding of patches. */
export const residual: Network = {
  sample: [3, 32, 32],
  build: () => {
    manualSeed(0);
    const block = () =>
      new LipResidual(new Sequential([new SpectralConv2d(64, 64, { kernelSize: 3, padding: 1 }), new GroupSort2()]));
    return new Sequential([
      new PatchEmbedding(3, 64, { patchSize: 4 }),
      ...Array.from({ length: 6 }, block),
      pool(),
      new Flatten(),
      new SpectralLinear(64 * 4 * 4, 10),
    ]);
  },
};

/** Convolutions of signals. */
export const signal: Network = {
  sample: [4, 256],
  build: () => {
    manualSeed(0);
    return new Sequential([
      new SpectralConv1d(4, 64, { kernelSize: 7, padding: 3 }),
      new GroupSort2(),
      new SpectralConv1d(64, 64, { kernelSize: 3, padding: 1 }),
      new GroupSort2(),
      new SpectralConv1d(64, 64, { kernelSize: 5, stride: 2, padding: 2 }),
      new GroupSort2(),
      new Flatten(),
      new SpectralLinear(64 * 128, 10),
    ]);
  },
};

/** Sorts of many features. */
export const sorted: Network = {
  sample: [256],
  build: () => {
    manualSeed(0);
    return new Sequential([
      new SpectralLinear(256, 1024),
      new FullSort(),
      new SpectralLinear(1024, 128),
      new FullSort(),
      new SpectralLinear(128, 10),
    ]);
  },
};

/** The loss of the reference run. */
export const hkr = (): HKRMulticlassLoss => new HKRMulticlassLoss({ alpha: 100, minMargin: 0.25 });
