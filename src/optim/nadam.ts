// NAdam: Adam with Nesterov's momentum (Dozat 2016), PyTorch's update rule.
import { flag, notNegative, readOptions, type Schema } from "../options.js";
import { assign, type Parameter, type Shape, type Tensor } from "../tensor/index.js";
import { ADAM, Adam, type AdamOptions, type Moment } from "./adam.js";
import { refuseOptions } from "./optimizer.js";

export interface NAdamOptions extends Omit<AdamOptions, "amsgrad"> {
  /** Learning rate, by default 2e-3. */
  lr?: number;
  /** How fast the momentum grows to `betas[0]`, by default 4e-3. */
  momentumDecay?: number;
  /** Weight decay acts on the weights, as that of AdamW, instead of the gradient; by default false. */
  decoupledWeightDecay?: boolean;
}

const { amsgrad: _, ...SHARED } = ADAM;
const OPTIONS = {
  ...SHARED,
  lr: notNegative(2e-3),
  momentumDecay: notNegative(4e-3),
  decoupledWeightDecay: flag(false),
} satisfies Schema<keyof NAdamOptions>;

/** 1 - the product of the momenta of all steps so far, 0-d: 0 before the first. */
const CORRECTION = "correction of the momentum";
/** By which the momentum of step t falls short of beta1: it is beta1 (1 - 0.96^(t momentumDecay) / 2). */
const BASE = 0.96;

/**
 * p <- p - lr (g (1 - mu) / (1 - M) + m mu' / (1 - M mu')) / (sqrt(v') + eps), with Adam's moments, the momentum mu of this step, mu' of
 * the next one and the product M of those so far.
 */
export class NAdam extends Adam {
  readonly #momentumDecay: number;
  readonly #decoupled: boolean;

  constructor(options: NAdamOptions = {}) {
    const { momentumDecay, decoupledWeightDecay, ...adam } = readOptions("NAdam", OPTIONS, options);
    super(adam);
    this.#momentumDecay = momentumDecay;
    this.#decoupled = decoupledWeightDecay;
  }

  protected override get decoupled(): boolean {
    return this.#decoupled;
  }

  protected override slotShapes(parameter: Parameter): Readonly<Record<string, Shape>> {
    return { ...super.slotShapes(parameter), [CORRECTION]: [] };
  }

  protected override direction(parameter: Parameter, { gradient, first, beta1, steps }: Moment): Tensor {
    const momentumAt = (step: Tensor): Tensor =>
      step
        .mul(this.#momentumDecay * Math.log(BASE))
        .exp()
        .mul(-0.5)
        .add(1)
        .mul(beta1);
    const [now, next] = [momentumAt(steps), momentumAt(steps.add(1))];
    const slot = this.slot(parameter, CORRECTION);
    // 1 - M mu = (1 - M) mu + (1 - mu): nothing is lost where M is close to 1.
    const behind = (correction: Tensor, momentum: Tensor): Tensor =>
      correction.mul(momentum).add(momentum.neg().add(1));
    const correction = behind(slot, now);
    assign(slot, correction);
    const ofGradient = gradient.mul(now.neg().add(1).div(correction));
    return ofGradient.add(first.mul(next.div(behind(correction, next))));
  }
}

refuseOptions(NAdam, ["momentumDecay", "decoupledWeightDecay"]);
