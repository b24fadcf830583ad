// Attacks: searches for small perturbations that change a prediction, under foolbox's names.
export {
  type AdditiveNoiseOptions,
  L2AdditiveGaussianNoiseAttack,
  L2AdditiveUniformNoiseAttack,
  L2ClippingAwareAdditiveGaussianNoiseAttack,
  L2ClippingAwareAdditiveUniformNoiseAttack,
  L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack,
  L2ClippingAwareRepeatedAdditiveUniformNoiseAttack,
  L2RepeatedAdditiveGaussianNoiseAttack,
  L2RepeatedAdditiveUniformNoiseAttack,
  LinfAdditiveUniformNoiseAttack,
  LinfRepeatedAdditiveUniformNoiseAttack,
  type RepeatedAdditiveNoiseOptions,
} from "./additive-noise.js";
export { Attack, type Best, type Search } from "./attack.js";
export { type ALMAOptions, L1ALMAAttack, L2ALMAAttack } from "./augmented-lagrangian.js";
export { type APGDOptions, L1APGDAttack, type L1APGDOptions, L2APGDAttack, LinfAPGDAttack } from "./auto-pgd.js";
export {
  type AdamBasicIterativeOptions,
  type BasicIterativeOptions,
  L1AdamBasicIterativeAttack,
  L1BasicIterativeAttack,
  L1MomentumIterativeFastGradientMethod,
  L2AdamBasicIterativeAttack,
  L2BasicIterativeAttack,
  L2MomentumIterativeFastGradientMethod,
  LinfAdamBasicIterativeAttack,
  LinfBasicIterativeAttack,
  LinfMomentumIterativeFastGradientMethod,
  LinfMomentumIterativeFastGradientMethod as MIFGSM,
  type MomentumIterativeOptions,
} from "./basic-iterative.js";
export { BinarizationRefinementAttack, type BinarizationRefinementOptions } from "./binarization.js";
export { type Answers, BlackBox, type BlackBoxOptions, type Predict } from "./black-box.js";
export {
  LinearSearchBlendedUniformNoiseAttack,
  type LinearSearchBlendedUniformNoiseOptions,
} from "./blended-noise.js";
export { GaussianBlurAttack, type GaussianBlurOptions } from "./blur.js";
export type { DeepFoolOptions } from "./borders.js";
export { BoundaryAttack, type BoundaryOptions } from "./boundary.js";
export {
  type BrendelBethgeOptions,
  L0BrendelBethgeAttack,
  L1BrendelBethgeAttack,
  L2BrendelBethgeAttack,
  LinfinityBrendelBethgeAttack,
} from "./brendel-bethge.js";
export { L2CarliniWagnerAttack, type L2CarliniWagnerOptions } from "./carlini-wagner.js";
export {
  BinarySearchContrastReductionAttack,
  type BinarySearchContrastReductionOptions,
  L2ContrastReductionAttack,
  type L2ContrastReductionOptions,
  LinearSearchContrastReductionAttack,
  type LinearSearchContrastReductionOptions,
} from "./contrast.js";
export type { Criterion } from "./criterion.js";
export { DatasetAttack, type DatasetAttackOptions } from "./dataset.js";
export { DDNAttack, type DDNOptions } from "./ddn.js";
export { L2DeepFoolAttack, LinfDeepFoolAttack } from "./deepfool.js";
export { EADAttack, type EADOptions } from "./elastic-net.js";
export { type FABOptions, L1FABAttack, L2FABAttack, LinfFABAttack } from "./fast-adaptive-boundary.js";
export {
  type FastGradientOptions,
  L1FastGradientAttack,
  L2FastGradientAttack,
  L2FastGradientAttack as FGM,
  LinfFastGradientAttack,
  LinfFastGradientAttack as FGSM,
} from "./fast-gradient.js";
export {
  type FMNOptions,
  L0FMNAttack,
  L1FMNAttack,
  L2FMNAttack,
  LinfFMNAttack,
  LinfFMNAttack as LInfFMNAttack,
} from "./fast-minimum-norm.js";
export { GenAttack, type GenAttackOptions } from "./gen-attack.js";
export { HopSkipJumpAttack, type HopSkipJumpOptions } from "./hop-skip-jump.js";
export { InversionAttack, type InversionOptions } from "./inversion.js";
export { NewtonFoolAttack, type NewtonFoolOptions } from "./newton-fool.js";
export { L0, L1, L2, Linf, type Norm } from "./norm.js";
export { PointwiseAttack, type PointwiseOptions } from "./pointwise.js";
export {
  L1PDPGDAttack,
  L2PDGDAttack,
  L2PDPGDAttack,
  LinfPDPGDAttack,
  type PDGDOptions,
  type PDPGDOptions,
} from "./primal-dual.js";
export {
  type AdamProjectedGradientDescentOptions,
  L1AdamProjectedGradientDescentAttack,
  L1AdamProjectedGradientDescentAttack as L1AdamPGD,
  L1ProjectedGradientDescentAttack,
  L1ProjectedGradientDescentAttack as L1PGD,
  L2AdamProjectedGradientDescentAttack,
  L2AdamProjectedGradientDescentAttack as L2AdamPGD,
  L2ProjectedGradientDescentAttack,
  L2ProjectedGradientDescentAttack as L2PGD,
  LinfAdamProjectedGradientDescentAttack,
  LinfAdamProjectedGradientDescentAttack as AdamPGD,
  LinfAdamProjectedGradientDescentAttack as LinfAdamPGD,
  LinfProjectedGradientDescentAttack,
  LinfProjectedGradientDescentAttack as LinfPGD,
  LinfProjectedGradientDescentAttack as PGD,
  type ProjectedGradientDescentOptions,
} from "./projected-gradient-descent.js";
export {
  type Queries,
  QueryAttack,
  type QueryOptions,
  type Question,
  type Reply,
  type Rounds,
  type Runs,
  type Share,
} from "./queries.js";
export { SaltAndPepperNoiseAttack, type SaltAndPepperNoiseOptions } from "./salt-and-pepper.js";
export type { Answering, AttackOptions, AttackResult, Bounds } from "./space.js";
export { SparseL1DescentAttack, type SparseL1DescentOptions } from "./sparse-l1-descent.js";
export { SpatialAttack, type SpatialOptions } from "./spatial.js";
export { L2SquareAttack, LinfSquareAttack, type SquareOptions } from "./square.js";
export { SuperDeepFoolAttack, type SuperDeepFoolOptions } from "./super-deepfool.js";
export { VirtualAdversarialAttack, type VirtualAdversarialOptions } from "./virtual-adversarial.js";
