// Every attack of the library, as `everyAttack` tries it; an attack without examples here does not compile.
import {
  type Attack,
  BinarizationRefinementAttack,
  BinarySearchContrastReductionAttack,
  BoundaryAttack,
  DatasetAttack,
  DDNAttack,
  EADAttack,
  GaussianBlurAttack,
  GenAttack,
  Generator,
  HopSkipJumpAttack,
  InversionAttack,
  L0,
  L0BrendelBethgeAttack,
  L0FMNAttack,
  L1,
  L1AdamBasicIterativeAttack,
  L1AdamProjectedGradientDescentAttack,
  L1ALMAAttack,
  L1APGDAttack,
  L1BasicIterativeAttack,
  L1BrendelBethgeAttack,
  L1FABAttack,
  L1FastGradientAttack,
  L1FMNAttack,
  L1MomentumIterativeFastGradientMethod,
  L1PDPGDAttack,
  L1ProjectedGradientDescentAttack,
  L2AdamBasicIterativeAttack,
  L2AdamProjectedGradientDescentAttack,
  L2AdditiveGaussianNoiseAttack,
  L2AdditiveUniformNoiseAttack,
  L2ALMAAttack,
  L2APGDAttack,
  L2BasicIterativeAttack,
  L2BrendelBethgeAttack,
  L2CarliniWagnerAttack,
  L2ClippingAwareAdditiveGaussianNoiseAttack,
  L2ClippingAwareAdditiveUniformNoiseAttack,
  L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack,
  L2ClippingAwareRepeatedAdditiveUniformNoiseAttack,
  L2ContrastReductionAttack,
  L2DeepFoolAttack,
  L2FABAttack,
  L2FastGradientAttack,
  L2FMNAttack,
  L2MomentumIterativeFastGradientMethod,
  L2PDGDAttack,
  L2PDPGDAttack,
  L2ProjectedGradientDescentAttack,
  L2RepeatedAdditiveGaussianNoiseAttack,
  L2RepeatedAdditiveUniformNoiseAttack,
  L2SquareAttack,
  LinearSearchBlendedUniformNoiseAttack,
  LinearSearchContrastReductionAttack,
  Linf,
  LinfAdamBasicIterativeAttack,
  LinfAdamProjectedGradientDescentAttack,
  LinfAdditiveUniformNoiseAttack,
  LinfAPGDAttack,
  LinfBasicIterativeAttack,
  LinfDeepFoolAttack,
  LinfFABAttack,
  LinfFastGradientAttack,
  LinfFMNAttack,
  LinfinityBrendelBethgeAttack,
  LinfMomentumIterativeFastGradientMethod,
  LinfPDPGDAttack,
  LinfProjectedGradientDescentAttack,
  LinfRepeatedAdditiveUniformNoiseAttack,
  LinfSquareAttack,
  NewtonFoolAttack,
  PointwiseAttack,
  SaltAndPepperNoiseAttack,
  SparseL1DescentAttack,
  SpatialAttack,
  SuperDeepFoolAttack,
  VirtualAdversarialAttack,
} from "tslip";
import * as attacks from "../../src/attacks/index.js";
import { FEATURES } from "./linear.js";

/** Names of the classes that can be made and are attacks. */
type AttackName = {
  [K in keyof typeof attacks]: (typeof attacks)[K] extends new (...options: never[]) => Attack ? K : never;
}[keyof typeof attacks];

interface Example {
  make: () => Attack;
  /** One that need not find what is near. */
  weak?: true;
  /** One whose steps run against bounds, and no further. */
  straight?: true;
  /** One that searches within each of the epsilons. */
  within?: true;
  /** Times the shortest distance to a hyperplane within which it finds what is near, by default 1.1. */
  near?: number;
}

/** Short names of foolbox's. */
export const aliases = {
  AdamPGD: attacks.LinfAdamProjectedGradientDescentAttack,
  FGM: attacks.L2FastGradientAttack,
  FGSM: attacks.LinfFastGradientAttack,
  LInfFMNAttack: attacks.LinfFMNAttack,
  L1AdamPGD: attacks.L1AdamProjectedGradientDescentAttack,
  L1PGD: attacks.L1ProjectedGradientDescentAttack,
  L2AdamPGD: attacks.L2AdamProjectedGradientDescentAttack,
  L2PGD: attacks.L2ProjectedGradientDescentAttack,
  LinfAdamPGD: attacks.LinfAdamProjectedGradientDescentAttack,
  LinfPGD: attacks.LinfProjectedGradientDescentAttack,
  MIFGSM: attacks.LinfMomentumIterativeFastGradientMethod,
  PGD: attacks.LinfProjectedGradientDescentAttack,
} satisfies Partial<Record<AttackName, unknown>>;

const descent = { within: true, straight: true } as const;
/** Gradients divided by their L1 norms do not go the shortest way to a hyperplane. */
const wide = { ...descent, near: 1.5 } as const;

const noise = { within: true, weak: true } as const;
/** Images of each of the widths that are attacked here. */
const pool = (): DatasetAttack =>
  [2, FEATURES, 6].reduce(
    (attack, width) => attack.feed(new Generator({ seed: width }).uniform([40, width])),
    new DatasetAttack({ seed: 1 }),
  );

const examples: Record<Exclude<AttackName, keyof typeof aliases>, Example[]> = {
  DDNAttack: [
    { make: () => new DDNAttack({ steps: 300 }) },
    { make: () => new DDNAttack({ steps: 300, initEpsilon: 0.1, gamma: 0.1 }) },
  ],
  L1FastGradientAttack: [
    { make: () => new L1FastGradientAttack(), ...wide },
    { make: () => new L1FastGradientAttack({ randomStart: true, repeat: 3, seed: 1 }), ...wide, weak: true },
  ],
  L2FastGradientAttack: [
    { make: () => new L2FastGradientAttack(), ...descent },
    { make: () => new L2FastGradientAttack({ randomStart: true, repeat: 3, seed: 1 }), ...descent, weak: true },
  ],
  LinfFastGradientAttack: [
    { make: () => new LinfFastGradientAttack(), within: true },
    { make: () => new LinfFastGradientAttack({ randomStart: true, repeat: 3, seed: 1 }), within: true, weak: true },
  ],
  L1ProjectedGradientDescentAttack: [
    { make: () => new L1ProjectedGradientDescentAttack({ steps: 40, relStepsize: 0.1, seed: 1 }), ...wide },
    {
      make: () => new L1ProjectedGradientDescentAttack({ seed: 2, repeat: 2, absStepsize: 0.05, steps: 100 }),
      ...wide,
    },
  ],
  L2ProjectedGradientDescentAttack: [
    { make: () => new L2ProjectedGradientDescentAttack({ steps: 40, relStepsize: 0.1, seed: 1 }), ...descent },
    {
      make: () => new L2ProjectedGradientDescentAttack({ seed: 2, repeat: 2, absStepsize: 0.05, steps: 100 }),
      ...descent,
    },
  ],
  LinfProjectedGradientDescentAttack: [
    { make: () => new LinfProjectedGradientDescentAttack({ steps: 40, relStepsize: 0.1, seed: 1 }), within: true },
    {
      make: () => new LinfProjectedGradientDescentAttack({ seed: 2, repeat: 2, absStepsize: 0.05, steps: 100 }),
      ...descent,
    },
  ],
  L1AdamProjectedGradientDescentAttack: [
    { make: () => new L1AdamProjectedGradientDescentAttack({ steps: 40, relStepsize: 0.1, seed: 1 }), ...wide },
  ],
  L2AdamProjectedGradientDescentAttack: [
    { make: () => new L2AdamProjectedGradientDescentAttack({ steps: 40, relStepsize: 0.1, seed: 1 }), ...descent },
  ],
  LinfAdamProjectedGradientDescentAttack: [
    { make: () => new LinfAdamProjectedGradientDescentAttack({ steps: 40, relStepsize: 0.1, seed: 1 }), within: true },
  ],
  L1BasicIterativeAttack: [{ make: () => new L1BasicIterativeAttack({ steps: 40, relStepsize: 0.1 }), ...wide }],
  L2BasicIterativeAttack: [{ make: () => new L2BasicIterativeAttack({ steps: 40, relStepsize: 0.1 }), ...descent }],
  LinfBasicIterativeAttack: [
    { make: () => new LinfBasicIterativeAttack({ steps: 40, relStepsize: 0.1 }), within: true },
  ],
  L1AdamBasicIterativeAttack: [
    { make: () => new L1AdamBasicIterativeAttack({ steps: 40, relStepsize: 0.1 }), ...wide },
  ],
  L2AdamBasicIterativeAttack: [
    { make: () => new L2AdamBasicIterativeAttack({ steps: 40, relStepsize: 0.1 }), ...descent },
  ],
  LinfAdamBasicIterativeAttack: [
    { make: () => new LinfAdamBasicIterativeAttack({ steps: 40, relStepsize: 0.1 }), within: true },
  ],
  L1MomentumIterativeFastGradientMethod: [
    { make: () => new L1MomentumIterativeFastGradientMethod({ steps: 40, relStepsize: 0.1 }), ...wide },
  ],
  L2MomentumIterativeFastGradientMethod: [
    { make: () => new L2MomentumIterativeFastGradientMethod({ steps: 40, relStepsize: 0.1 }), ...descent },
  ],
  LinfMomentumIterativeFastGradientMethod: [
    { make: () => new LinfMomentumIterativeFastGradientMethod({ steps: 40, relStepsize: 0.1 }), within: true },
  ],
  L0FMNAttack: [{ make: () => new L0FMNAttack() }, { make: () => new L0FMNAttack({ steps: 50, gamma: 0.3 }) }],
  L1FMNAttack: [{ make: () => new L1FMNAttack({ steps: 300 }) }],
  L2FMNAttack: [
    { make: () => new L2FMNAttack() },
    { make: () => new L2FMNAttack({ steps: 300, maxStepsize: 0.1, gamma: 0.1 }) },
    { make: () => new L2FMNAttack({ initAttack: new LinfDeepFoolAttack() }) },
  ],
  LinfFMNAttack: [{ make: () => new LinfFMNAttack({ steps: 300 }) }],
  L2DeepFoolAttack: [
    { make: () => new L2DeepFoolAttack(), straight: true },
    { make: () => new L2DeepFoolAttack({ candidates: null, overshoot: 0 }), straight: true },
    { make: () => new L2DeepFoolAttack({ loss: "crossentropy" }), straight: true },
  ],
  LinfDeepFoolAttack: [{ make: () => new LinfDeepFoolAttack(), straight: true }],
  SuperDeepFoolAttack: [{ make: () => new SuperDeepFoolAttack(), straight: true }],
  SparseL1DescentAttack: [
    { make: () => new SparseL1DescentAttack({ steps: 40, relStepsize: 0.1 }), within: true },
    {
      make: () => new SparseL1DescentAttack({ steps: 40, randomStart: true, seed: 1, quantile: 0.5 }),
      ...wide,
      weak: true,
    },
  ],
  BoundaryAttack: [
    { make: () => new BoundaryAttack({ steps: 2500, seed: 1 }), near: 1.2 },
    { make: () => new BoundaryAttack({ steps: 50, updateStatsEveryK: 1, initAttack: pool(), seed: 2 }), weak: true },
  ],
  HopSkipJumpAttack: [
    { make: () => new HopSkipJumpAttack({ steps: 12, seed: 1 }) },
    { make: () => new HopSkipJumpAttack({ steps: 12, constraint: "linf", seed: 1 }), near: 1.3 },
    { make: () => new HopSkipJumpAttack({ steps: 5, stepsizeSearch: "grid_search", seed: 1 }) },
  ],
  L2SquareAttack: [{ make: () => new L2SquareAttack({ steps: 60, seed: 1 }), within: true, weak: true }],
  LinfSquareAttack: [{ make: () => new LinfSquareAttack({ steps: 60, seed: 1 }), within: true, near: 1.3 }],
  GenAttack: [
    { make: () => new GenAttack({ steps: 30, seed: 1 }), within: true, near: 1.2 },
    { make: () => new GenAttack({ steps: 5, population: 4, binarySearchSteps: 8, seed: 1 }), within: true, weak: true },
  ],
  PointwiseAttack: [
    { make: () => new PointwiseAttack({ seed: 1 }), weak: true },
    {
      make: () => new PointwiseAttack({ distance: L0, l2BinarySearch: false, initAttack: pool(), seed: 1 }),
      weak: true,
    },
  ],
  BinarizationRefinementAttack: [
    { make: () => new BinarizationRefinementAttack({ seed: 1 }), weak: true },
    {
      make: () =>
        new BinarizationRefinementAttack({ distance: Linf, includedIn: "lower", initAttack: pool(), seed: 1 }),
      weak: true,
    },
  ],
  DatasetAttack: [{ make: () => pool(), weak: true }],
  SaltAndPepperNoiseAttack: [{ make: () => new SaltAndPepperNoiseAttack({ seed: 1 }), weak: true }],
  LinearSearchBlendedUniformNoiseAttack: [
    { make: () => new LinearSearchBlendedUniformNoiseAttack({ seed: 1 }), weak: true },
    { make: () => new LinearSearchBlendedUniformNoiseAttack({ distance: Linf, steps: 1, seed: 1 }), weak: true },
  ],
  GaussianBlurAttack: [{ make: () => new GaussianBlurAttack({ steps: 50 }), weak: true }],
  SpatialAttack: [
    { make: () => new SpatialAttack(), weak: true },
    { make: () => new SpatialAttack({ gridSearch: false, randomSteps: 20, seed: 1 }), weak: true },
  ],
  InversionAttack: [{ make: () => new InversionAttack({ distance: L1 }), weak: true }],
  L2ContrastReductionAttack: [{ make: () => new L2ContrastReductionAttack({ target: 0 }), within: true, weak: true }],
  BinarySearchContrastReductionAttack: [
    { make: () => new BinarySearchContrastReductionAttack({ target: 1 }), weak: true },
  ],
  LinearSearchContrastReductionAttack: [{ make: () => new LinearSearchContrastReductionAttack(), weak: true }],
  L2AdditiveGaussianNoiseAttack: [{ make: () => new L2AdditiveGaussianNoiseAttack({ seed: 1 }), ...noise }],
  L2AdditiveUniformNoiseAttack: [{ make: () => new L2AdditiveUniformNoiseAttack({ seed: 1 }), ...noise }],
  L2ClippingAwareAdditiveGaussianNoiseAttack: [
    { make: () => new L2ClippingAwareAdditiveGaussianNoiseAttack({ seed: 1 }), ...noise },
  ],
  L2ClippingAwareAdditiveUniformNoiseAttack: [
    { make: () => new L2ClippingAwareAdditiveUniformNoiseAttack({ seed: 1 }), ...noise },
  ],
  LinfAdditiveUniformNoiseAttack: [{ make: () => new LinfAdditiveUniformNoiseAttack({ seed: 1 }), ...noise }],
  L2RepeatedAdditiveGaussianNoiseAttack: [
    { make: () => new L2RepeatedAdditiveGaussianNoiseAttack({ seed: 1, repeats: 10 }), ...noise },
  ],
  L2RepeatedAdditiveUniformNoiseAttack: [
    { make: () => new L2RepeatedAdditiveUniformNoiseAttack({ seed: 1, repeats: 10 }), ...noise },
  ],
  L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack: [
    { make: () => new L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack({ seed: 1, repeats: 10 }), ...noise },
  ],
  L2ClippingAwareRepeatedAdditiveUniformNoiseAttack: [
    { make: () => new L2ClippingAwareRepeatedAdditiveUniformNoiseAttack({ seed: 1, repeats: 10 }), ...noise },
  ],
  LinfRepeatedAdditiveUniformNoiseAttack: [
    { make: () => new LinfRepeatedAdditiveUniformNoiseAttack({ seed: 1, repeats: 10 }), ...noise },
  ],
  L2APGDAttack: [
    { make: () => new L2APGDAttack({ steps: 50, seed: 1 }), within: true },
    { make: () => new L2APGDAttack({ steps: 30, loss: "dlr", targetClasses: 9, seed: 1, repeat: 2 }), within: true },
  ],
  LinfAPGDAttack: [
    { make: () => new LinfAPGDAttack({ loss: "dlr", randomStart: false }), within: true },
    { make: () => new LinfAPGDAttack({ steps: 30, targetClasses: 1, seed: 1 }), within: true },
  ],
  L1APGDAttack: [
    // Within larger radii it may climb towards a class that is farther.
    { make: () => new L1APGDAttack({ steps: 50, seed: 1 }), within: true, near: 1.3 },
    { make: () => new L1APGDAttack({ steps: 50, seed: 1, largerRadii: false }), within: true },
    { make: () => new L1APGDAttack({ steps: 30, loss: "dlr", targetClasses: 2, seed: 1 }), within: true },
  ],
  L2FABAttack: [
    { make: () => new L2FABAttack() },
    { make: () => new L2FABAttack({ steps: 30, targetClasses: 1, repeat: 3, seed: 1 }) },
  ],
  LinfFABAttack: [
    { make: () => new LinfFABAttack() },
    { make: () => new LinfFABAttack({ steps: 30, repeat: 2, seed: 1 }) },
  ],
  L1FABAttack: [{ make: () => new L1FABAttack() }, { make: () => new L1FABAttack({ steps: 30, repeat: 2, seed: 1 }) }],
  L2ALMAAttack: [{ make: () => new L2ALMAAttack({ steps: 300, alpha: 0.8 }) }],
  L1ALMAAttack: [{ make: () => new L1ALMAAttack(), near: 1.3 }],
  L2PDGDAttack: [{ make: () => new L2PDGDAttack() }],
  L1PDPGDAttack: [{ make: () => new L1PDPGDAttack() }],
  L2PDPGDAttack: [{ make: () => new L2PDPGDAttack() }, { make: () => new L2PDPGDAttack({ proximalSteps: 1 }) }],
  LinfPDPGDAttack: [{ make: () => new LinfPDPGDAttack({ steps: 200 }) }],
  L2BrendelBethgeAttack: [
    { make: () => new L2BrendelBethgeAttack({ steps: 300, lr: 0.02, seed: 1 }) },
    { make: () => new L2BrendelBethgeAttack({ steps: 300, lr: 0.02, initAttack: new LinfDeepFoolAttack() }) },
  ],
  LinfinityBrendelBethgeAttack: [
    // It follows the border that it comes to first.
    { make: () => new LinfinityBrendelBethgeAttack({ steps: 300, lr: 0.02, seed: 1 }), near: 1.3 },
  ],
  L0BrendelBethgeAttack: [{ make: () => new L0BrendelBethgeAttack({ steps: 300, lr: 0.02, seed: 1 }) }],
  L1BrendelBethgeAttack: [{ make: () => new L1BrendelBethgeAttack({ steps: 300, lr: 0.02, seed: 1 }) }],
  NewtonFoolAttack: [{ make: () => new NewtonFoolAttack({ steps: 2000, stepsize: 0.002 }), straight: true }],
  VirtualAdversarialAttack: [
    { make: () => new VirtualAdversarialAttack({ seed: 1 }), within: true, straight: true, weak: true },
  ],
  L2CarliniWagnerAttack: [
    { make: () => new L2CarliniWagnerAttack({ binarySearchSteps: 6, steps: 200 }) },
    { make: () => new L2CarliniWagnerAttack({ binarySearchSteps: 6, steps: 200, abortEarly: false }) },
    { make: () => new L2CarliniWagnerAttack({ binarySearchSteps: 10, steps: 100, initialConst: 1 }) },
    // The largest weight, which is found to be too large at first.
    { make: () => new L2CarliniWagnerAttack({ binarySearchSteps: 40, steps: 100, initialConst: 1e10 }) },
    // A lead that is little beside the distances.
    { make: () => new L2CarliniWagnerAttack({ binarySearchSteps: 6, steps: 200, confidence: 2 ** -10 }) },
  ],
  EADAttack: [
    { make: () => new EADAttack({ binarySearchSteps: 9, steps: 200, regularization: 0.1, decisionRule: "L1" }) },
    { make: () => new EADAttack({ binarySearchSteps: 9, steps: 200 }), near: 2 },
    { make: () => new EADAttack({ binarySearchSteps: 9, steps: 200, abortEarly: false }), near: 2 },
  ],
};

/** Every example, with what it says of itself and its place among all. */
export const cases = Object.entries(examples)
  .flatMap(([type, list]) =>
    list.map((example, i) => ({
      weak: false,
      straight: false,
      within: false,
      near: 1.1,
      ...example,
      type,
      which: i + 1,
    })),
  )
  .map((example, place) => ({ ...example, place }));
