// The reference network under each way of enforcing its Lipschitz constant.
import {
  AOLConv2d,
  AOLLinear,
  Conv2d,
  type ConvolutionNorm,
  CPLConv2d,
  CPLLinear,
  type FitOptions,
  Flatten,
  GroupSort2,
  Linear,
  type Module,
  manualSeed,
  OrthogonalConv2d,
  projections,
  regularizers,
  ScaledL2NormPool2d,
  Sequential,
  SLLConv2d,
  SLLLinear,
  SpectralConv2d,
  SpectralLinear,
} from "tslip";
import { reference } from "../networks.js";

/** A network with what `fit` enforces of it. */
export interface Way {
  readonly name: string;
  build(): Module;
  readonly enforced?: Pick<FitOptions<Record<never, never>>, "projection" | "regularizers">;
}

const pool = (): ScaledL2NormPool2d => new ScaledL2NormPool2d({ kernelSize: 2 });

/** The reference network with other convolutions, of which those of images of 28x28 and of 14x14 pixels are given. */
const withConvolutions = (first: () => Module, second: () => Module) => (): Sequential => {
  manualSeed(0);
  return new Sequential([
    first(),
    new GroupSort2(),
    pool(),
    second(),
    new GroupSort2(),
    pool(),
    new Flatten(),
    new SpectralLinear(1568, 64),
    new GroupSort2(),
    new SpectralLinear(64, 10, { bias: false }),
  ]);
};

const SAME = { kernelSize: 3, padding: "same" } as const;

const normed = (norm: ConvolutionNorm) =>
  withConvolutions(
    () => new SpectralConv2d(1, 16, { ...SAME, norm, inputSize: [28, 28] }),
    () => new SpectralConv2d(16, 32, { ...SAME, norm, inputSize: [14, 14] }),
  );

/** The reference network of ordinary layers, which keep no constant by themselves. */
function ordinary(): Sequential {
  manualSeed(0);
  return new Sequential(
    [
      new Conv2d(1, 16, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      pool(),
      new Conv2d(16, 32, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      pool(),
      new Flatten(),
      new Linear(1568, 64),
      new GroupSort2(),
      new Linear(64, 10, { bias: false }),
    ],
    { constrained: false },
  );
}

/** Reparametrization, regularizers and projections. */
export const ENFORCEMENTS: readonly Way[] = [
  { name: "reparametrization", build: reference.build },
  { name: "projection: spectral", build: ordinary, enforced: { projection: projections.spectral() } },
  {
    name: "projection: spectral, tangent",
    build: ordinary,
    enforced: { projection: projections.spectral({ tangent: true }) },
  },
  { name: "projection: Frobenius", build: ordinary, enforced: { projection: projections.frobenius() } },
  { name: "projection: clip", build: ordinary, enforced: { projection: projections.clip() } },
  {
    name: "regularizer: orthogonal",
    build: ordinary,
    enforced: { regularizers: [regularizers.orthogonal({ strength: 10 })] },
  },
  { name: "regularizer: L-orth", build: ordinary, enforced: { regularizers: [regularizers.lorth({ strength: 10 })] } },
  {
    name: "regularizer: spectral",
    build: ordinary,
    enforced: { regularizers: [regularizers.spectral({ strength: 10 })] },
  },
];

/** What a convolution with an orthogonal kernel matrix is scaled by, and convolutions that are orthogonal as operators. */
export const NORMS: readonly Way[] = [
  { name: "norm: default", build: normed("default") },
  { name: "norm: overlap", build: normed("overlap") },
  { name: "norm: exact", build: normed("exact") },
  {
    name: "orthogonal",
    build: withConvolutions(
      () => new OrthogonalConv2d(1, 16, SAME),
      () => new OrthogonalConv2d(16, 32, SAME),
    ),
  },
];

const potential = (layer: (channels: number) => Module, dense: (features: number) => Module) => (): Sequential => {
  manualSeed(0);
  return new Sequential([
    new SpectralConv2d(1, 16, { ...SAME, norm: "exact", inputSize: [28, 28] }),
    layer(16),
    pool(),
    new SpectralConv2d(16, 32, { ...SAME, norm: "exact", inputSize: [14, 14] }),
    layer(32),
    pool(),
    new Flatten(),
    new SpectralLinear(1568, 64),
    dense(64),
    new SpectralLinear(64, 10, { bias: false }),
  ]);
};

/** Networks of the layers of certified training, of about the size of the reference network. */
export const LAYERS: readonly Way[] = [
  {
    name: "AOL",
    build: () => {
      manualSeed(0);
      return new Sequential([
        new AOLConv2d(1, 16, SAME),
        new GroupSort2(),
        pool(),
        new AOLConv2d(16, 32, SAME),
        new GroupSort2(),
        pool(),
        new Flatten(),
        new AOLLinear(1568, 64),
        new GroupSort2(),
        new AOLLinear(64, 10, { bias: false }),
      ]);
    },
  },
  {
    name: "CPL",
    build: potential(
      (channels) => new CPLConv2d(channels, undefined, { kernelSize: 3 }),
      (features) => new CPLLinear(features),
    ),
  },
  {
    name: "SLL",
    build: potential(
      (channels) => new SLLConv2d(channels, undefined, { kernelSize: 3 }),
      (features) => new SLLLinear(features),
    ),
  },
];
