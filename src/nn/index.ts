// Layers, activations, pooling and the containers that hold them.
export type { AdaptiveOptions } from "./adaptive.js";
export type { ConvolutionNorm, PaddingMode } from "./affine/convolution.js";
export { Container } from "./container.js";
export type { Architecture } from "./definition.js";
export type { Flow } from "./flow.js";
export * as init from "./init.js";
export type { Initializer } from "./initializer.js";
export * from "./layers/index.js";
// Names of torchlip 1.0.5 for what has another name here: its padding layers take what all convolutions take here, the last is spelt so.
export {
  Conv1d as PadConv1d,
  Conv2d as PadConv2d,
  ScaledAdaptiveL2NormPool2d as ScaledAdaptativeL2NormPool2d,
} from "./layers/index.js";
export { LipschitzModule } from "./lipschitz.js";
export { type ModelInput, Module } from "./module.js";
export type { FrobeniusOptions } from "./parametrizations/frobenius.js";
export type { SpectralOptions } from "./parametrizations/spectral.js";
export type { Rounding } from "./rounding.js";
export type { ActivationOptions } from "./scaled.js";
export { type ScaledLipschitzModule, SharedLipFactory } from "./shared-lip-factory.js";
export type { StateRecord } from "./state-dict.js";
export type { WindowOptions } from "./windows.js";
