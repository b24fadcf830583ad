// The basic iterative method (Kurakin, Goodfellow and Bengio 2017): steps from the image, kept within the radius; plain, by Adam's rule,
// or with momentum (MI-FGSM, Dong et al. 2018).
import { readDescent } from "./ascent.js";
import {
  ADAM_OPTIONS,
  type AdamDescentOptions,
  adam,
  type DescentOptions,
  descentOptions,
  GradientDescentAttack,
  MOMENTUM_OPTIONS,
  type MomentumDescentOptions,
  momentum,
} from "./gradient-descent.js";
import { L1, L2, Linf } from "./norm.js";

/** Options of basic iterative attacks. By default `randomStart` is false, `relStepsize` 0.2 and `steps` 10. */
export type BasicIterativeOptions = DescentOptions;

/** {@link BasicIterativeOptions}, and those of Adam. */
export type AdamBasicIterativeOptions = AdamDescentOptions;

/** {@link BasicIterativeOptions}, and the momentum. */
export type MomentumIterativeOptions = MomentumDescentOptions;

const OPTIONS = descentOptions(0.2, 10, false);

/**
 * The basic iterative method (Kurakin, Goodfellow and Bengio 2017): steps of gradients divided by their L1 norms,
 * within an L1 ball.
 */
export class L1BasicIterativeAttack extends GradientDescentAttack {
  constructor(options: BasicIterativeOptions = {}) {
    super(L1, readDescent("L1BasicIterativeAttack", OPTIONS, options));
  }
}

/**
 * The basic iterative method (Kurakin, Goodfellow and Bengio 2017): steps of gradients divided by their L2 norms,
 * within an L2 ball.
 */
export class L2BasicIterativeAttack extends GradientDescentAttack {
  constructor(options: BasicIterativeOptions = {}) {
    super(L2, readDescent("L2BasicIterativeAttack", OPTIONS, options));
  }
}

/** The basic iterative method (Kurakin, Goodfellow and Bengio 2017): steps of signs of gradients, within an L∞ ball. */
export class LinfBasicIterativeAttack extends GradientDescentAttack {
  constructor(options: BasicIterativeOptions = {}) {
    super(Linf, readDescent("LinfBasicIterativeAttack", OPTIONS, options));
  }
}

/**
 * The basic iterative method (Kurakin, Goodfellow and Bengio 2017): steps by Adam's rule for gradients divided by
 * their L1 norms, within an L1 ball; that of foolbox 3.3.4 has the options of Adam, and steps without it.
 */
export class L1AdamBasicIterativeAttack extends GradientDescentAttack {
  constructor(options: AdamBasicIterativeOptions = {}) {
    const read = readDescent("L1AdamBasicIterativeAttack", { ...OPTIONS, ...ADAM_OPTIONS }, options);
    super(L1, read, adam(read));
  }
}

/**
 * The basic iterative method (Kurakin, Goodfellow and Bengio 2017): steps by Adam's rule for gradients divided by
 * their L2 norms, within an L2 ball; that of foolbox 3.3.4 has the options of Adam, and steps without it.
 */
export class L2AdamBasicIterativeAttack extends GradientDescentAttack {
  constructor(options: AdamBasicIterativeOptions = {}) {
    const read = readDescent("L2AdamBasicIterativeAttack", { ...OPTIONS, ...ADAM_OPTIONS }, options);
    super(L2, read, adam(read));
  }
}

/**
 * The basic iterative method (Kurakin, Goodfellow and Bengio 2017): steps by Adam's rule for signs of gradients,
 * within an L∞ ball.
 */
export class LinfAdamBasicIterativeAttack extends GradientDescentAttack {
  constructor(options: AdamBasicIterativeOptions = {}) {
    const read = readDescent("LinfAdamBasicIterativeAttack", { ...OPTIONS, ...ADAM_OPTIONS }, options);
    super(Linf, read, adam(read));
  }
}

/**
 * MI-FGSM (Dong et al. 2018): steps of sums of gradients divided by their L1 norms, divided by their own, within an
 * L1 ball.
 */
export class L1MomentumIterativeFastGradientMethod extends GradientDescentAttack {
  constructor(options: MomentumIterativeOptions = {}) {
    const read = readDescent("L1MomentumIterativeFastGradientMethod", { ...OPTIONS, ...MOMENTUM_OPTIONS }, options);
    super(L1, read, momentum(read.momentum));
  }
}

/**
 * MI-FGSM (Dong et al. 2018): steps of sums of gradients divided by their L2 norms, divided by their own, within an
 * L2 ball.
 */
export class L2MomentumIterativeFastGradientMethod extends GradientDescentAttack {
  constructor(options: MomentumIterativeOptions = {}) {
    const read = readDescent("L2MomentumIterativeFastGradientMethod", { ...OPTIONS, ...MOMENTUM_OPTIONS }, options);
    super(L2, read, momentum(read.momentum));
  }
}

/** MI-FGSM (Dong et al. 2018): steps of signs of sums of signs of gradients, within an L∞ ball. */
export class LinfMomentumIterativeFastGradientMethod extends GradientDescentAttack {
  constructor(options: MomentumIterativeOptions = {}) {
    const read = readDescent("LinfMomentumIterativeFastGradientMethod", { ...OPTIONS, ...MOMENTUM_OPTIONS }, options);
    super(Linf, read, momentum(read.momentum));
  }
}
