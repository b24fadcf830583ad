// The fast gradient method (Goodfellow, Shlens and Szegedy 2015): one step as long as the radius.
import type { Options } from "../options.js";
import { readDescent, type StartOptions, startOptions } from "./ascent.js";
import { GradientDescentAttack } from "./gradient-descent.js";
import { L1, L2, Linf } from "./norm.js";

/** Options of fast gradient attacks; `randomStart` is false by default. */
export type FastGradientOptions = StartOptions;

const OPTIONS = startOptions(false);

/**
 * The fast gradient method (Goodfellow, Shlens and Szegedy 2015): one step of the gradient divided by its L1 norm,
 * times the radius; within an L1 ball.
 */
export class L1FastGradientAttack extends GradientDescentAttack<Options<typeof OPTIONS>> {
  constructor(options: FastGradientOptions = {}) {
    super(L1, readDescent("L1FastGradientAttack", OPTIONS, options));
  }
}

/**
 * The fast gradient method (Goodfellow, Shlens and Szegedy 2015): one step of the gradient divided by its L2 norm,
 * times the radius; within an L2 ball.
 */
export class L2FastGradientAttack extends GradientDescentAttack<Options<typeof OPTIONS>> {
  constructor(options: FastGradientOptions = {}) {
    super(L2, readDescent("L2FastGradientAttack", OPTIONS, options));
  }
}

/**
 * The fast gradient method (Goodfellow, Shlens and Szegedy 2015): one step of the signs of the gradient, times the
 * radius (FGSM); within an L∞ ball.
 */
export class LinfFastGradientAttack extends GradientDescentAttack<Options<typeof OPTIONS>> {
  constructor(options: FastGradientOptions = {}) {
    super(Linf, readDescent("LinfFastGradientAttack", OPTIONS, options));
  }
}
