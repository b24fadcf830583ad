// Layers, normalizations and losses as functions of tensors: what `functional` holds.
export { type CertificateRadiusOptions, certificateRadius } from "./certify/index.js";
export * from "./losses/functional.js";
export { convolutionFactor } from "./nn/factor.js";
export { groupSort } from "./nn/layers/group-sort.js";
export {
  bjorckNormalization,
  frobeniusNormalization,
  safeSpectralNormalization,
  spectralNormalization,
} from "./nn/normalization.js";
export { concat, stack, where } from "./tensor/composite.js";
