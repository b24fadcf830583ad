// The layers of the library: one file a class, one line here. Users import them from here, files of models know them by it.

export { ConvTranspose2d, type ConvTranspose2dOptions } from "./conv-transpose2d.js";
export { Conv1d, type Conv1dOptions } from "./conv1d.js";
export { Conv2d, type Conv2dOptions } from "./conv2d.js";
export { Flatten } from "./flatten.js";
export { FrobeniusConv2d, type FrobeniusConv2dOptions } from "./frobenius-conv2d.js";
export { FrobeniusLinear, type FrobeniusLinearOptions } from "./frobenius-linear.js";
export { type ActivationOptions, GroupSort } from "./group-sort.js";
export { GroupSort2 } from "./group-sort2.js";
export { Identity } from "./identity.js";
export { Linear } from "./linear.js";
export { LipResidual } from "./lip-residual.js";
export { PadConv1d } from "./pad-conv1d.js";
export { PadConv2d } from "./pad-conv2d.js";
export { ReLU } from "./relu.js";
export { type L2NormPoolOptions, ScaledL2NormPool2d } from "./scaled-l2-norm-pool2d.js";
export { Sequential, type SequentialOptions } from "./sequential.js";
export { SpectralConvTranspose2d, type SpectralConvTranspose2dOptions } from "./spectral-conv-transpose2d.js";
export { SpectralConv1d, type SpectralConv1dOptions } from "./spectral-conv1d.js";
export { SpectralConv2d, type SpectralConv2dOptions } from "./spectral-conv2d.js";
export { SpectralLinear } from "./spectral-linear.js";
export { Unflatten } from "./unflatten.js";
