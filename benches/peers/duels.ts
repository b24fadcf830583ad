// Which attacks run beside foolbox's, and with which options: both sides take the same, under the same names.
import {
  type Attack,
  BinarySearchContrastReductionAttack,
  BoundaryAttack,
  DatasetAttack,
  DDNAttack,
  EADAttack,
  GaussianBlurAttack,
  HopSkipJumpAttack,
  InversionAttack,
  L0BrendelBethgeAttack,
  L0FMNAttack,
  L1AdamBasicIterativeAttack,
  L1AdamPGD,
  L1BasicIterativeAttack,
  L1BrendelBethgeAttack,
  L1FastGradientAttack,
  L1FMNAttack,
  L1MomentumIterativeFastGradientMethod,
  L1PGD,
  L2AdamBasicIterativeAttack,
  L2AdamPGD,
  L2AdditiveGaussianNoiseAttack,
  L2AdditiveUniformNoiseAttack,
  L2BasicIterativeAttack,
  L2BrendelBethgeAttack,
  L2CarliniWagnerAttack,
  L2ClippingAwareAdditiveGaussianNoiseAttack,
  L2ClippingAwareAdditiveUniformNoiseAttack,
  L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack,
  L2ClippingAwareRepeatedAdditiveUniformNoiseAttack,
  L2ContrastReductionAttack,
  L2DeepFoolAttack,
  L2FastGradientAttack,
  L2FMNAttack,
  L2MomentumIterativeFastGradientMethod,
  L2PGD,
  L2RepeatedAdditiveGaussianNoiseAttack,
  L2RepeatedAdditiveUniformNoiseAttack,
  LInfFMNAttack,
  LinearSearchBlendedUniformNoiseAttack,
  LinearSearchContrastReductionAttack,
  LinfAdamBasicIterativeAttack,
  LinfAdamPGD,
  LinfAdditiveUniformNoiseAttack,
  LinfBasicIterativeAttack,
  LinfDeepFoolAttack,
  LinfFastGradientAttack,
  LinfinityBrendelBethgeAttack,
  LinfPGD,
  LinfRepeatedAdditiveUniformNoiseAttack,
  MIFGSM,
  NewtonFoolAttack,
  PointwiseAttack,
  SaltAndPepperNoiseAttack,
  SparseL1DescentAttack,
  SpatialAttack,
  type Tensor,
  VirtualAdversarialAttack,
} from "tslip";

/** An attack that both have. */
export interface Duel {
  /** Made for these images, which an attack that draws others of them is fed. */
  attack(images?: Tensor): Pick<Attack, "run" | "norm">;
  /** In tslip's spelling; foolbox has the same names with underscores. */
  options: Readonly<Record<string, unknown>>;
  /** Steps of a run, each of them a forward and a backward pass; 1 where an attack ends by itself, whose runs are compared as a whole. */
  steps: number;
  /** Of attacks within a radius; the others search for the nearest adversarial. */
  epsilon: number | null;
}

/** The duel of an attack with options of both sides. */
export function duel<O extends Readonly<Record<string, unknown>>>(
  attack: new (options: O) => Pick<Attack, "run" | "norm">,
  options: O,
  steps: number,
  epsilon: number | null = null,
): Duel {
  return { attack: () => new attack(options), options, steps, epsilon };
}

// Radii within which about half of the images of a network of ten epochs are fooled.
const [L1, L2, LINF] = [6, 0.5, 0.04];
// Of noise, which needs far larger ones.
const [NOISE, LINF_NOISE] = [6, 0.3];

/**
 * By foolbox's names of the classes: each attack that both have, once, though it may have other names too. Left out are GenAttack, which is for targets
 * alone, and BinarizationRefinementAttack, which refines points that are given.
 */
export const DUELS: Readonly<Record<string, Duel>> = {
  L1FastGradientAttack: duel(L1FastGradientAttack, {}, 1, L1),
  L2FastGradientAttack: duel(L2FastGradientAttack, {}, 1, L2),
  LinfFastGradientAttack: duel(LinfFastGradientAttack, {}, 1, LINF),
  L1BasicIterativeAttack: duel(L1BasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, L1),
  L2BasicIterativeAttack: duel(L2BasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, L2),
  LinfBasicIterativeAttack: duel(LinfBasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, LINF),
  L1AdamBasicIterativeAttack: duel(L1AdamBasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, L1),
  L2AdamBasicIterativeAttack: duel(L2AdamBasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, L2),
  LinfAdamBasicIterativeAttack: duel(LinfAdamBasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, LINF),
  L1PGD: duel(L1PGD, { steps: 50, relStepsize: 0.1, randomStart: false }, 50, L1),
  L2PGD: duel(L2PGD, { steps: 50, relStepsize: 0.1, randomStart: false }, 50, L2),
  LinfPGD: duel(LinfPGD, { steps: 50, relStepsize: 0.1, randomStart: false }, 50, LINF),
  L1AdamPGD: duel(L1AdamPGD, { steps: 50, randomStart: false }, 50, L1),
  L2AdamPGD: duel(L2AdamPGD, { steps: 50, randomStart: false }, 50, L2),
  LinfAdamPGD: duel(LinfAdamPGD, { steps: 50, randomStart: false }, 50, LINF),
  L1MomentumIterativeFastGradientMethod: duel(L1MomentumIterativeFastGradientMethod, { steps: 50 }, 50, L1),
  L2MomentumIterativeFastGradientMethod: duel(L2MomentumIterativeFastGradientMethod, { steps: 50 }, 50, L2),
  MIFGSM: duel(MIFGSM, { steps: 50 }, 50, LINF),
  DDNAttack: duel(DDNAttack, { steps: 100 }, 100),
  L0FMNAttack: duel(L0FMNAttack, { steps: 100 }, 100),
  L1FMNAttack: duel(L1FMNAttack, { steps: 100 }, 100),
  L2FMNAttack: duel(L2FMNAttack, { steps: 100 }, 100),
  LInfFMNAttack: duel(LInfFMNAttack, { steps: 100 }, 100),
  L2DeepFoolAttack: duel(L2DeepFoolAttack, { steps: 50 }, 1),
  LinfDeepFoolAttack: duel(LinfDeepFoolAttack, { steps: 50 }, 1),
  NewtonFoolAttack: duel(NewtonFoolAttack, { steps: 100 }, 100),
  VirtualAdversarialAttack: duel(VirtualAdversarialAttack, { steps: 20 }, 20, L2),
  SparseL1DescentAttack: duel(SparseL1DescentAttack, { steps: 50, quantile: 0.9 }, 50, L1),
  L0BrendelBethgeAttack: duel(L0BrendelBethgeAttack, { steps: 100 }, 100),
  L1BrendelBethgeAttack: duel(L1BrendelBethgeAttack, { steps: 100 }, 100),
  L2BrendelBethgeAttack: duel(L2BrendelBethgeAttack, { steps: 100 }, 100),
  LinfinityBrendelBethgeAttack: duel(LinfinityBrendelBethgeAttack, { steps: 100 }, 100),
  HopSkipJumpAttack: duel(HopSkipJumpAttack, { steps: 5 }, 1),
  BoundaryAttack: duel(BoundaryAttack, { steps: 500 }, 500),
  SaltAndPepperNoiseAttack: duel(SaltAndPepperNoiseAttack, { steps: 100 }, 100),
  LinearSearchBlendedUniformNoiseAttack: duel(LinearSearchBlendedUniformNoiseAttack, { directions: 10, steps: 100 }, 1),
  GaussianBlurAttack: duel(GaussianBlurAttack, { steps: 100 }, 100),
  InversionAttack: duel(InversionAttack, {}, 1),
  BinarySearchContrastReductionAttack: duel(BinarySearchContrastReductionAttack, { binarySearchSteps: 15 }, 15),
  LinearSearchContrastReductionAttack: duel(LinearSearchContrastReductionAttack, { steps: 100 }, 100),
  L2AdditiveGaussianNoiseAttack: duel(L2AdditiveGaussianNoiseAttack, {}, 1, NOISE),
  L2AdditiveUniformNoiseAttack: duel(L2AdditiveUniformNoiseAttack, {}, 1, NOISE),
  L2RepeatedAdditiveGaussianNoiseAttack: duel(L2RepeatedAdditiveGaussianNoiseAttack, { repeats: 20 }, 20, NOISE),
  L2ClippingAwareAdditiveGaussianNoiseAttack: duel(L2ClippingAwareAdditiveGaussianNoiseAttack, {}, 1, NOISE),
  L2RepeatedAdditiveUniformNoiseAttack: duel(L2RepeatedAdditiveUniformNoiseAttack, { repeats: 20 }, 20, NOISE),
  L2ClippingAwareAdditiveUniformNoiseAttack: duel(L2ClippingAwareAdditiveUniformNoiseAttack, {}, 1, NOISE),
  L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack: duel(
    L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack,
    { repeats: 20 },
    20,
    NOISE,
  ),
  L2ClippingAwareRepeatedAdditiveUniformNoiseAttack: duel(
    L2ClippingAwareRepeatedAdditiveUniformNoiseAttack,
    { repeats: 20 },
    20,
    NOISE,
  ),
  LinfAdditiveUniformNoiseAttack: duel(LinfAdditiveUniformNoiseAttack, {}, 1, LINF_NOISE),
  LinfRepeatedAdditiveUniformNoiseAttack: duel(LinfRepeatedAdditiveUniformNoiseAttack, { repeats: 20 }, 20, LINF_NOISE),
  L2ContrastReductionAttack: duel(L2ContrastReductionAttack, {}, 1, NOISE),
  PointwiseAttack: duel(PointwiseAttack, {}, 1),
  SpatialAttack: duel(SpatialAttack, {}, 1),
  DatasetAttack: {
    ...duel(DatasetAttack, {}, 1),
    attack: (images) => (images === undefined ? new DatasetAttack() : new DatasetAttack().feed(images)),
  },
  L2CarliniWagnerAttack: duel(
    L2CarliniWagnerAttack,
    { binarySearchSteps: 4, steps: 250, abortEarly: false, initialConst: 10 },
    1000,
  ),
  EADAttack: duel(EADAttack, { binarySearchSteps: 4, steps: 250, initialConst: 10, abortEarly: false }, 1000),
};
