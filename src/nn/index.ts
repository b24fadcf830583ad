// Layers, activations, pooling and the containers that hold them.
export type { PaddingMode } from "./affine/convolution.js";
export { Container } from "./container.js";
export type { Architecture } from "./definition.js";
export type { Flow } from "./flow.js";
export { ConvTranspose2d, type ConvTranspose2dOptions } from "./layers/conv-transpose2d.js";
export { Conv2d, type Conv2dOptions } from "./layers/conv2d.js";
export { Flatten } from "./layers/flatten.js";
export { type ActivationOptions, GroupSort } from "./layers/group-sort.js";
export { GroupSort2 } from "./layers/group-sort2.js";
export { Identity } from "./layers/identity.js";
export { Linear } from "./layers/linear.js";
export { LipResidual } from "./layers/lip-residual.js";
export { ReLU } from "./layers/relu.js";
export { type L2NormPoolOptions, ScaledL2NormPool2d } from "./layers/scaled-l2-norm-pool2d.js";
export { Sequential, type SequentialOptions } from "./layers/sequential.js";
export {
  SpectralConvTranspose2d,
  type SpectralConvTranspose2dOptions,
} from "./layers/spectral-conv-transpose2d.js";
export { SpectralConv2d, type SpectralConv2dOptions } from "./layers/spectral-conv2d.js";
export { SpectralLinear } from "./layers/spectral-linear.js";
export { LipschitzModule } from "./lipschitz.js";
export { type ModelInput, Module } from "./module.js";
export type { SpectralOptions } from "./parametrizations/spectral.js";
export type { Rounding } from "./rounding.js";
export type { StateRecord } from "./state-dict.js";
