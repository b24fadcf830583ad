// The layers of the library: one file a class, one line here, by which files of models know it.
import type { LayerClass } from "../definition.js";
import { ConvTranspose2d } from "./conv-transpose2d.js";
import { Conv2d } from "./conv2d.js";
import { Flatten } from "./flatten.js";
import { GroupSort } from "./group-sort.js";
import { GroupSort2 } from "./group-sort2.js";
import { Identity } from "./identity.js";
import { Linear } from "./linear.js";
import { LipResidual } from "./lip-residual.js";
import { ReLU } from "./relu.js";
import { ScaledL2NormPool2d } from "./scaled-l2-norm-pool2d.js";
import { Sequential } from "./sequential.js";
import { SpectralConvTranspose2d } from "./spectral-conv-transpose2d.js";
import { SpectralConv2d } from "./spectral-conv2d.js";
import { SpectralLinear } from "./spectral-linear.js";

/** Every class by its name. */
export const layers = {
  Conv2d,
  ConvTranspose2d,
  Flatten,
  GroupSort,
  GroupSort2,
  Identity,
  Linear,
  LipResidual,
  ReLU,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralConvTranspose2d,
  SpectralLinear,
} as const satisfies Readonly<Record<string, LayerClass>>;
