// Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019), PyTorch's update rules.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { flag, notNegative, number, type Option, readOptions, type Schema } from "../options.js";
import { assign, type Operand, observed, type Parameter, type Shape, type State, Tensor } from "../tensor/index.js";
import { type ParameterGroup, parameterGroups } from "./groups.js";
import { Optimizer, refuseOptions } from "./optimizer.js";

export interface AdamOptions {
  /** Learning rate, by default 1e-3. */
  lr?: number;
  /** Decay of the running means of gradients and of their squares, by default 0.9 and 0.999. */
  betas?: readonly [number, number];
  /** Added to the root of the second moment, by default 1e-8. */
  eps?: number;
  /** L2 penalty in the gradient (Adam), or decoupled decay of the weights (AdamW, by default 0.01). */
  weightDecay?: number;
  /** Follow the gradient upwards. */
  maximize?: boolean;
  /** Divide by the largest second moment so far (Reddi et al. 2018). */
  amsgrad?: boolean;
  /** Parameters with a rate or weight decay of their own. */
  groups?: readonly ParameterGroup[];
}

/** What an update of a parameter has come to know when it chooses where to go. */
export interface Moment {
  readonly gradient: Tensor;
  /** The new first moment. */
  readonly first: Tensor;
  readonly beta1: Operand;
  /** Updates of the parameter, this one included, 0-d. */
  readonly steps: Tensor;
}

const decay = number("at least 0 and below 1", (value) => value >= 0 && value < 1);

const betas: Option<readonly [number, number]> = {
  read(name, given = [0.9, 0.999]) {
    if (!Array.isArray(given) || given.length !== 2) {
      throw new TslipError("INVALID_ARGUMENT", `${name} must be two numbers; given ${describe(given)}`);
    }
    return [decay.read(`${name}[0]`, given[0]), decay.read(`${name}[1]`, given[1])];
  },
};

/** Schema of {@link AdamOptions}. */
export const ADAM = {
  lr: notNegative(1e-3),
  betas,
  eps: notNegative(1e-8),
  weightDecay: notNegative(0),
  maximize: flag(false),
  amsgrad: flag(false),
  groups: parameterGroups,
} satisfies Schema<keyof AdamOptions>;

/** Updates of a parameter so far, 0-d. */
const STEPS = "steps";
const FIRST = "first moment";
const SECOND = "second moment";
const LARGEST = "largest second moment";

/**
 * p <- p - lr m' / (sqrt(v') + eps) with moments m' and v', bias-corrected by the number of updates of that parameter: one that
 * joins later begins as the first ones did.
 */
export class Adam extends Optimizer {
  readonly #betas: readonly [number, number];
  readonly #eps: number;
  readonly #amsgrad: boolean;
  #beta1: Operand;

  constructor(options: AdamOptions = {}) {
    const { lr, betas, eps, amsgrad, ...common } = readOptions("Adam", ADAM, options);
    super(lr, common);
    this.#betas = betas;
    this.#beta1 = betas[0];
    this.#eps = eps;
    this.#amsgrad = amsgrad;
  }

  /** Whether weight decay acts on the weights instead of the gradient. */
  protected get decoupled(): boolean {
    return false;
  }

  /** The decay of the first moment, which PyTorch's schedules cycle for Adam. */
  override get momentumState(): State {
    return this.momentumOr(this.#betas[0], "decay of the first moment");
  }

  protected override slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { [STEPS]: [], [FIRST]: shape, [SECOND]: shape, ...(this.#amsgrad ? { [LARGEST]: shape } : {}) };
  }

  protected override begin(): void {
    this.#beta1 = observed(() => this.momentumSoFar) ?? this.#betas[0];
  }

  protected override updateOne(parameter: Parameter, gradient: Tensor): void {
    const beta1 = this.#beta1;
    const beta2 = this.#betas[1];
    const counted = this.slot(parameter, STEPS);
    const steps = counted.add(1);
    assign(counted, steps);
    const decay = this.weightDecayOf(parameter);
    const rate = this.rateOf(parameter);
    const g = decay > 0 && !this.decoupled ? gradient.add(parameter.mul(decay)) : gradient;
    const m = this.#running(parameter, FIRST, g, beta1);
    const v = this.#running(parameter, SECOND, g.square(), beta2);
    const largest = this.#amsgrad ? this.#largest(parameter, v) : v;
    const scale = largest.div(corrected(beta2, steps)).sqrt().add(this.#eps);
    const kept = decay > 0 && this.decoupled ? parameter.sub(parameter.mul(rate.mul(decay))) : parameter;
    const direction = this.direction(parameter, { gradient: g, first: m, beta1, steps });
    assign(parameter, kept.sub(direction.div(scale).mul(rate)));
  }

  /** What is divided by the root of the second moment: the bias-corrected first moment. */
  protected direction(_parameter: Parameter, { first, beta1, steps }: Moment): Tensor {
    return first.div(corrected(beta1, steps));
  }

  #running(parameter: Parameter, name: string, value: Tensor, beta: Operand): Tensor {
    const slot = this.slot(parameter, name);
    const taken = typeof beta === "number" ? 1 - beta : beta.neg().add(1);
    const next = slot.mul(beta).add(value.mul(taken));
    assign(slot, next);
    return next;
  }

  #largest(parameter: Parameter, v: Tensor): Tensor {
    const slot: State = this.slot(parameter, LARGEST);
    const next = slot.maximum(v);
    assign(slot, next);
    return next;
  }
}

refuseOptions(Adam, ["betas", "eps", "weightDecay", "maximize", "amsgrad", "groups"]);

/** 1 - beta^steps, which a moment of so many steps is divided by. */
export function corrected(beta: Operand, steps: Tensor): Tensor {
  return typeof beta === "number" ? Tensor.make("bias_correction", { beta }, [steps]) : beta.pow(steps).neg().add(1);
}

/** Adam with decoupled weight decay: p <- p - lr weightDecay p before the step. */
export class AdamW extends Adam {
  constructor(options: AdamOptions = {}) {
    super(readOptions("AdamW", { ...ADAM, weightDecay: notNegative(0.01) }, options));
  }

  protected override get decoupled(): boolean {
    return true;
  }
}
