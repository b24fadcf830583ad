// Stochastic gradient descent with momentum, PyTorch's update rule.
import { TslipError } from "../errors.js";
import { flag, notNegative, number, readOptions, type Schema } from "../options.js";
import { assign, observed, type Parameter, type Shape, type State, type Tensor } from "../tensor/index.js";
import { type ParameterGroup, parameterGroups } from "./groups.js";
import { Optimizer, refuseOptions } from "./optimizer.js";

export interface SGDOptions {
  lr: number;
  momentum?: number;
  /** How much of a new gradient the momentum buffer leaves out. */
  dampening?: number;
  nesterov?: boolean;
  weightDecay?: number;
  /** Follow the gradient upwards. */
  maximize?: boolean;
  /** Parameters with a rate or weight decay of their own. */
  groups?: readonly ParameterGroup[];
}

const OPTIONS = {
  lr: notNegative(),
  momentum: notNegative(0),
  dampening: number("finite", Number.isFinite, 0),
  nesterov: flag(false),
  weightDecay: notNegative(0),
  maximize: flag(false),
  groups: parameterGroups,
} satisfies Schema<keyof SGDOptions>;

const MOMENTUM = "momentum";
/** Whether a gradient of the parameter is in its buffer: 0-d, 0 before the first, then 1. */
const STARTED = "started";

/** b <- momentum b + (1 - dampening) g; p <- p - lr b. The first gradient of a parameter enters its buffer whole. */
export class SGD extends Optimizer {
  readonly #dampening: number;
  readonly #nesterov: boolean;
  #keep: Tensor | undefined;

  constructor(options: SGDOptions) {
    const { lr, momentum, dampening, nesterov, ...common } = readOptions("SGD", OPTIONS, options);
    super(lr, common);
    this.#dampening = dampening;
    this.#nesterov = nesterov;
    if (nesterov && (momentum <= 0 || dampening !== 0)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `Nesterov momentum needs a momentum above 0 and no dampening; given momentum ${momentum}, dampening ${dampening}`,
      );
    }
    if (momentum > 0) this.momentumOr(momentum);
  }

  /** As in PyTorch, also where the momentum was 0 so far. */
  override get momentumState(): State {
    return this.momentumOr(0);
  }

  protected override slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    if (this.momentumSoFar === undefined) return {};
    return { [MOMENTUM]: shape, ...(this.#dampening === 0 ? {} : { [STARTED]: [] }) };
  }

  protected override begin(): void {
    this.#keep = observed(() => this.momentumSoFar);
  }

  protected override updateOne(parameter: Parameter, gradient: Tensor): void {
    const decay = this.weightDecayOf(parameter);
    let direction = decay === 0 ? gradient : gradient.add(parameter.mul(decay));
    if (this.#keep !== undefined) {
      const buffer = this.slot(parameter, MOMENTUM);
      const next = buffer.mul(this.#keep).add(this.#taken(parameter, direction));
      assign(buffer, next);
      direction = this.#nesterov ? direction.add(next.mul(this.#keep)) : next;
    }
    assign(parameter, parameter.sub(direction.mul(this.rateOf(parameter))));
  }

  /** What enters the buffer of a parameter: all of its first gradient, a share of all others. */
  #taken(parameter: Parameter, direction: Tensor): Tensor {
    if (this.#dampening === 0) return direction;
    const started = this.slot(parameter, STARTED);
    const share = started.mul(-this.#dampening).add(1);
    assign(started, started.maximum(1));
    return direction.mul(share);
  }
}

refuseOptions(SGD, ["momentum", "dampening", "nesterov", "weightDecay", "maximize", "groups"]);
