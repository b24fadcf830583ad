// The layers of the library: one file a class, one line here. Users import them from here, files of models know them by it.

export { BatchCentering } from "./batch-centering.js";
export { BatchLipNorm, type BatchLipNormOptions, type BatchOptions } from "./batch-lip-norm.js";
export { ConvTranspose2d, type ConvTranspose2dOptions } from "./conv-transpose2d.js";
export { Conv2d, type Conv2dOptions } from "./conv2d.js";
export { Flatten } from "./flatten.js";
export { FullSort } from "./full-sort.js";
export { GroupSort } from "./group-sort.js";
export { GroupSort2 } from "./group-sort2.js";
export { HouseHolder, type HouseHolderOptions } from "./house-holder.js";
export { Identity } from "./identity.js";
export { LayerCentering, type LayerCenteringOptions } from "./layer-centering.js";
export { Linear } from "./linear.js";
export { LipResidual } from "./lip-residual.js";
export { LPReLU, type LPReLUOptions } from "./lp-relu.js";
export { MaxMin, type MaxMinOptions } from "./max-min.js";
export { Normalize } from "./normalize.js";
export { ReLU } from "./relu.js";
export { ScaleBiasLayer } from "./scale-bias-layer.js";
export { type L2NormPoolOptions, ScaledL2NormPool2d } from "./scaled-l2-norm-pool2d.js";
export { Sequential, type SequentialOptions } from "./sequential.js";
export { Sigmoid } from "./sigmoid.js";
export { Softmax } from "./softmax.js";
export { SpectralConvTranspose2d, type SpectralConvTranspose2dOptions } from "./spectral-conv-transpose2d.js";
export { SpectralConv2d, type SpectralConv2dOptions } from "./spectral-conv2d.js";
export { SpectralLinear } from "./spectral-linear.js";
export { Tanh } from "./tanh.js";
