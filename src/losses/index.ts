// The losses of the library: each a line, or one with its kin; users import them from here. Their functions are in functional.ts.

export {
  CategoricalHingeLoss,
  type CategoricalHingeOptions,
  LseHKRMulticlassLoss,
  type LseHkrMulticlassOptions,
  LseKRMulticlassLoss,
  type LseKrMulticlassOptions,
  SoftHKRMulticlassLoss,
  type SoftHKRMulticlassLossOptions,
  type SoftHkrMulticlassOptions,
} from "./against-others.js";
export {
  CertificateRegularization,
  type CertificateRegularizationLossOptions,
  type CertificateRegularizationOptions,
  EMMALoss,
  type EmmaOptions,
  LogitAnnealingLoss,
  type LogitAnnealingOptions,
  type MarginOptions,
  OffsetCrossEntropyLoss,
  type OffsetCrossEntropyOptions,
} from "./certified.js";
export { CrossEntropyLoss, MSELoss } from "./cross-entropy.js";
export {
  HingeMarginLoss,
  HingeMulticlassLoss,
  HKRLoss,
  HKRMulticlassLoss,
  KRLoss,
  KRMulticlassLoss,
  NegKRLoss,
} from "./hkr.js";
export type { Loss } from "./loss.js";
export type {
  Adjustable,
  ClassOptions,
  ClassWeights,
  CrossEntropyOptions,
  GivenReduction,
  HingeForm,
  HingeMulticlassOptions,
  HingeOptions,
  HkrMulticlassOptions,
  HkrOptions,
  KrMulticlassOptions,
  KrOptions,
  Reduction,
  ReductionOptions,
  WeightedClassOptions,
} from "./options.js";
export {
  TauBCEWithLogitsLoss,
  type TauBceWithLogitsOptions,
  TauCrossEntropyLoss,
  type TauCrossEntropyOptions,
} from "./temperature.js";
export { WeightedLoss, type WeightedLossOptions } from "./weighted.js";
