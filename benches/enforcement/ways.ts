// The reference network under each way of enforcing its Lipschitz constant.
import {
  Conv2d,
  type FitOptions,
  Flatten,
  GroupSort2,
  Linear,
  type Module,
  manualSeed,
  projections,
  regularizers,
  ScaledL2NormPool2d,
  Sequential,
} from "tslip";
import { reference } from "../networks.js";

/** A network with what `fit` enforces of it. */
export interface Way {
  readonly name: string;
  build(): Module;
  readonly enforced?: Pick<FitOptions<Record<never, never>>, "projection" | "regularizers">;
}

const pool = (): ScaledL2NormPool2d => new ScaledL2NormPool2d({ kernelSize: 2 });

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
