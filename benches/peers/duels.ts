// Which attacks run beside foolbox's, and with which options: both sides take the same, under the same names.
import {
  type Attack,
  DDNAttack,
  L0FMNAttack,
  L1FMNAttack,
  L1MomentumIterativeFastGradientMethod,
  L1PGD,
  L2AdamPGD,
  L2BasicIterativeAttack,
  L2CarliniWagnerAttack,
  L2DeepFoolAttack,
  L2FastGradientAttack,
  L2FMNAttack,
  L2MomentumIterativeFastGradientMethod,
  L2PGD,
  LInfFMNAttack,
  LinfAdamPGD,
  LinfBasicIterativeAttack,
  LinfDeepFoolAttack,
  LinfFastGradientAttack,
  LinfPGD,
  MIFGSM,
} from "tslip";

/** An attack that both have. */
export interface Duel {
  attack(): Attack;
  /** In tslip's spelling; foolbox has the same names with underscores. */
  options: Readonly<Record<string, unknown>>;
  /** Steps of a run, each of them a forward and a backward pass; 1 where an attack ends by itself, whose runs are compared as a whole. */
  steps: number;
  /** Of attacks within a radius; the others search for the nearest adversarial. */
  epsilon: number | null;
}

function duel<O extends Readonly<Record<string, unknown>>>(
  attack: new (options: O) => Attack,
  options: O,
  steps: number,
  epsilon: number | null = null,
): Duel {
  return { attack: () => new attack(options), options, steps, epsilon };
}

// Radii within which about half of the images of a network of ten epochs are fooled.
const [L1, L2, LINF] = [6, 0.5, 0.04];

/** By foolbox's names of the classes. */
export const DUELS: Readonly<Record<string, Duel>> = {
  L2FastGradientAttack: duel(L2FastGradientAttack, {}, 1, L2),
  LinfFastGradientAttack: duel(LinfFastGradientAttack, {}, 1, LINF),
  L2BasicIterativeAttack: duel(L2BasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, L2),
  LinfBasicIterativeAttack: duel(LinfBasicIterativeAttack, { steps: 50, relStepsize: 0.1 }, 50, LINF),
  L1PGD: duel(L1PGD, { steps: 50, relStepsize: 0.1, randomStart: false }, 50, L1),
  L2PGD: duel(L2PGD, { steps: 50, relStepsize: 0.1, randomStart: false }, 50, L2),
  LinfPGD: duel(LinfPGD, { steps: 50, relStepsize: 0.1, randomStart: false }, 50, LINF),
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
  L2CarliniWagnerAttack: duel(L2CarliniWagnerAttack, { binarySearchSteps: 4, steps: 250, abortEarly: false }, 1000),
};
