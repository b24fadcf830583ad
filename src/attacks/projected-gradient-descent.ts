// Projected gradient descent (Madry et al. 2018): small steps from a random start, kept within the radius; plain or by Adam's rule.
import { readDescent } from "./ascent.js";
import {
  ADAM_OPTIONS,
  type AdamDescentOptions,
  adam,
  type DescentOptions,
  descentOptions,
  GradientDescentAttack,
} from "./gradient-descent.js";
import { L1, L2, Linf } from "./norm.js";

/**
 * Options of projected gradient descent. By default `randomStart` is true, `relStepsize` 0.025 and `steps` 50; in L∞ norm 0.01 / 0.3
 * and 40.
 */
export type ProjectedGradientDescentOptions = DescentOptions;

/** {@link ProjectedGradientDescentOptions}, and those of Adam. */
export type AdamProjectedGradientDescentOptions = AdamDescentOptions;

const OPTIONS = descentOptions(0.025, 50, true);
const LINF_OPTIONS = descentOptions(0.01 / 0.3, 40, true);

/** Projected gradient descent (Madry et al. 2018): steps of gradients divided by their L1 norms, within an L1 ball. */
export class L1ProjectedGradientDescentAttack extends GradientDescentAttack {
  constructor(options: ProjectedGradientDescentOptions = {}) {
    super(L1, readDescent("L1ProjectedGradientDescentAttack", OPTIONS, options));
  }
}

/** Projected gradient descent (Madry et al. 2018): steps of gradients divided by their L2 norms, within an L2 ball. */
export class L2ProjectedGradientDescentAttack extends GradientDescentAttack {
  constructor(options: ProjectedGradientDescentOptions = {}) {
    super(L2, readDescent("L2ProjectedGradientDescentAttack", OPTIONS, options));
  }
}

/** Projected gradient descent (Madry et al. 2018): steps of signs of gradients, within an L∞ ball. */
export class LinfProjectedGradientDescentAttack extends GradientDescentAttack {
  constructor(options: ProjectedGradientDescentOptions = {}) {
    super(Linf, readDescent("LinfProjectedGradientDescentAttack", LINF_OPTIONS, options));
  }
}

/**
 * Projected gradient descent (Madry et al. 2018): steps by Adam's rule for gradients divided by their L1 norms,
 * within an L1 ball.
 */
export class L1AdamProjectedGradientDescentAttack extends GradientDescentAttack {
  constructor(options: AdamProjectedGradientDescentOptions = {}) {
    const read = readDescent("L1AdamProjectedGradientDescentAttack", { ...OPTIONS, ...ADAM_OPTIONS }, options);
    super(L1, read, adam(read));
  }
}

/**
 * Projected gradient descent (Madry et al. 2018): steps by Adam's rule for gradients divided by their L2 norms,
 * within an L2 ball.
 */
export class L2AdamProjectedGradientDescentAttack extends GradientDescentAttack {
  constructor(options: AdamProjectedGradientDescentOptions = {}) {
    const read = readDescent("L2AdamProjectedGradientDescentAttack", { ...OPTIONS, ...ADAM_OPTIONS }, options);
    super(L2, read, adam(read));
  }
}

/** Projected gradient descent (Madry et al. 2018): steps by Adam's rule for signs of gradients, within an L∞ ball. */
export class LinfAdamProjectedGradientDescentAttack extends GradientDescentAttack {
  constructor(options: AdamProjectedGradientDescentOptions = {}) {
    const read = readDescent("LinfAdamProjectedGradientDescentAttack", { ...LINF_OPTIONS, ...ADAM_OPTIONS }, options);
    super(Linf, read, adam(read));
  }
}
