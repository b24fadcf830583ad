// The reference network under each way of enforcing its Lipschitz constant.
import {
  AOLConv2d,
  AOLLinear,
  Conv2d,
  type ConvolutionNorm,
  CPLConv2d,
  type FitOptions,
  Linear,
  type Module,
  OrthogonalConv2d,
  projections,
  regularizers,
  type Sequential,
  SLLConv2d,
  SpectralConv2d,
} from "tslip";
import { type ReferenceLayers, reference, referenceDense, referenceOf } from "../networks.js";

/** A network with what `fit` enforces of it. */
export interface Way {
  readonly name: string;
  build(): Module;
  readonly enforced?: Pick<FitOptions<Record<never, never>>, "projection" | "regularizers">;
}

const SAME = { kernelSize: 3, padding: "same" } as const;

/** The reference network with other convolutions. */
const withConvolutions = (convolutions: () => Pick<ReferenceLayers, "first" | "second">) => (): Sequential =>
  referenceOf(() => ({ ...convolutions(), ...referenceDense() }));

const normed =
  (norm: ConvolutionNorm): (() => Pick<ReferenceLayers, "first" | "second">) =>
  () => ({
    first: new SpectralConv2d(1, 16, { ...SAME, norm, inputSize: [28, 28] }),
    second: new SpectralConv2d(16, 32, { ...SAME, norm, inputSize: [14, 14] }),
  });

/** The reference network of ordinary layers, which keep no constant by themselves. */
const ordinary = (): Sequential =>
  referenceOf(
    () => ({
      first: new Conv2d(1, 16, SAME),
      second: new Conv2d(16, 32, SAME),
      hidden: new Linear(1568, 64),
      last: new Linear(64, 10, { bias: false }),
    }),
    { constrained: false },
  );

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

/** What a convolution with an orthogonal kernel matrix is scaled by beside the default, and convolutions that are orthogonal as operators. */
export const NORMS: readonly Way[] = [
  { name: "norm: overlap", build: withConvolutions(normed("overlap")) },
  { name: "norm: exact", build: withConvolutions(normed("exact")) },
  {
    name: "orthogonal",
    build: withConvolutions(() => ({
      first: new OrthogonalConv2d(1, 16, SAME),
      second: new OrthogonalConv2d(16, 32, SAME),
    })),
  },
];

/** The reference network with residual layers of one kind in the place of sorting. */
const potential = (between: (channels: number) => Module) => (): Sequential =>
  referenceOf(() => ({ ...normed("exact")(), ...referenceDense() }), undefined, between);

/** Networks of the layers of certified training, of about the size of the reference network. */
export const LAYERS: readonly Way[] = [
  {
    name: "AOL",
    build: () =>
      referenceOf(() => ({
        first: new AOLConv2d(1, 16, SAME),
        second: new AOLConv2d(16, 32, SAME),
        hidden: new AOLLinear(1568, 64),
        last: new AOLLinear(64, 10, { bias: false }),
      })),
  },
  { name: "CPL", build: potential((channels) => new CPLConv2d(channels, undefined, { kernelSize: 3 })) },
  { name: "SLL", build: potential((channels) => new SLLConv2d(channels, undefined, { kernelSize: 3 })) },
];
