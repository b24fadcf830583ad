// Layers, activations, pooling and the containers that hold them.
export { type ActivationOptions, GroupSort, GroupSort2, ReLU } from "./activations.js";
export { Conv2d, type Conv2dOptions, Linear, type PaddingMode } from "./linear.js";
export { LipschitzModule } from "./lipschitz.js";
export { type Architecture, type ModelInput, Module } from "./module.js";
export { type L2NormPoolOptions, ScaledL2NormPool2d } from "./pooling.js";
export type { Rounding } from "./rounding.js";
export { Sequential, type SequentialOptions } from "./sequential.js";
export { SpectralConv2d, type SpectralConv2dOptions, SpectralLinear, type SpectralOptions } from "./spectral.js";
export type { StateRecord } from "./state-dict.js";
export { Flatten, Identity } from "./structure.js";
