// The layers of the library: one file a class, one line here. Users import them from here, files of models know them by it.

export { AvgPool2d, type AvgPoolOptions } from "./avg-pool2d.js";
export { Concat, type ConcatOptions } from "./concat.js";
export { ConvTranspose2d, type ConvTranspose2dOptions } from "./conv-transpose2d.js";
export { Conv2d, type Conv2dOptions } from "./conv2d.js";
export { Flatten } from "./flatten.js";
export { type ActivationOptions, GroupSort } from "./group-sort.js";
export { GroupSort2 } from "./group-sort2.js";
export { Identity } from "./identity.js";
export { InvertibleDownSampling, type SamplingOptions } from "./invertible-down-sampling.js";
export { InvertibleUpSampling } from "./invertible-up-sampling.js";
export { Linear } from "./linear.js";
export { LipResidual } from "./lip-residual.js";
export { MaxPool2d } from "./max-pool2d.js";
export { ReLU } from "./relu.js";
export { ScaledAdaptiveAvgPool2d } from "./scaled-adaptive-avg-pool2d.js";
export { ScaledAdaptiveL2NormPool2d } from "./scaled-adaptive-l2-norm-pool2d.js";
export { ScaledAvgPool2d, type ScaledAvgPoolOptions } from "./scaled-avg-pool2d.js";
export { type L2NormPoolOptions, ScaledL2NormPool2d } from "./scaled-l2-norm-pool2d.js";
export { Sequential, type SequentialOptions } from "./sequential.js";
export { SpectralConvTranspose2d, type SpectralConvTranspose2dOptions } from "./spectral-conv-transpose2d.js";
export { SpectralConv2d, type SpectralConv2dOptions } from "./spectral-conv2d.js";
export { SpectralLinear } from "./spectral-linear.js";
