// Layers, activations, pooling and the containers that hold them.
export type { AdaptiveOptions } from "./adaptive.js";
export type { PaddingMode } from "./affine/convolution.js";
export { Container } from "./container.js";
export type { Architecture } from "./definition.js";
export type { Flow } from "./flow.js";
export * as init from "./init.js";
export type { Initializer } from "./initializer.js";
export * from "./layers/index.js";
/** The name that torchlip 1.0.5 spells so. */
export { ScaledAdaptiveL2NormPool2d as ScaledAdaptativeL2NormPool2d } from "./layers/index.js";
export { LipschitzModule } from "./lipschitz.js";
export { type ModelInput, Module } from "./module.js";
export type { FrobeniusOptions } from "./parametrizations/frobenius.js";
export type { SpectralOptions } from "./parametrizations/spectral.js";
export type { Rounding } from "./rounding.js";
export type { ActivationOptions } from "./scaled.js";
export { type ScaledLipschitzModule, SharedLipFactory } from "./shared-lip-factory.js";
export type { StateRecord } from "./state-dict.js";
export type { WindowOptions } from "./windows.js";
