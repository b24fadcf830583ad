// What optimizers share: the learning rate as a state, groups of parameters, slots per parameter, checks.
import { describe } from "../describe.js";
import { refuseFields, TslipError } from "../errors.js";
import { notNegative } from "../options.js";
import {
  assign,
  type Parameter,
  type Shape,
  type State,
  type Stateful,
  state,
  type Tensor,
  tensor,
  zeros,
} from "../tensor/index.js";
import { wholeNumber } from "../tensor/shape.js";
import { type GroupSettings, type ParameterGroup, settingsOf } from "./groups.js";

/** What an optimizer is made with, beside its rate. */
export interface CommonOptions {
  /** Follow the gradients upwards. */
  readonly maximize?: boolean;
  /** Weight decay of parameters whose group has none of its own. */
  readonly weightDecay?: number;
  readonly groups?: readonly ParameterGroup[];
  /** The optimizer that this one hands gradients on to: both have one rate and one count of epochs. */
  readonly inner?: Optimizer;
}

const MOMENTUM = "momentum";

/** Makes parameters follow their gradients. */
export abstract class Optimizer implements Stateful {
  /** Learning rate as a 0-d state: changing it makes no new plan. */
  readonly rate: State;
  /** Epochs that `fit` has begun with it, 0-d: the orders of the samples go on from there. */
  readonly epochs: State;
  readonly #slots = new Map<Parameter, Record<string, State>>();
  #momentum: State | undefined;
  readonly #maximize: boolean;
  readonly #weightDecay: number;
  readonly #settings: ReadonlyMap<Parameter, GroupSettings>;
  #lr: number;

  constructor(lr: number, { maximize = false, weightDecay = 0, groups = [], inner }: CommonOptions = {}) {
    this.#maximize = maximize;
    this.#weightDecay = weightDecay;
    this.#lr = notNegative().read("lr", lr);
    this.#settings = settingsOf(groups, { lr, weightDecay });
    this.rate = inner?.rate ?? state(tensor(Float32Array.of(lr), []), { name: "learning rate" });
    this.epochs = inner?.epochs ?? state(zeros([]), { name: "epochs" });
  }

  /** Learning rate: what was set, or the last step's where a schedule set it. May be set between steps. */
  get lr(): number {
    const now = this.rate.item();
    return now === Math.fround(this.#lr) ? this.#lr : now;
  }

  set lr(value: number) {
    this.#lr = notNegative().read("lr", value);
    assign(this.rate, tensor(Float32Array.of(value), []));
  }

  /**
   * Inside a compiled function: assigns every parameter that is `trainable` its next value, given the gradients in the same order.
   * Throws `INVALID_ARGUMENT` when there are not as many gradients as parameters.
   */
  update(parameters: readonly Parameter[], gradients: readonly Tensor[]): void {
    if (!Array.isArray(parameters) || !Array.isArray(gradients)) {
      const given = Array.isArray(parameters) ? gradients : parameters;
      throw new TslipError(
        "INVALID_ARGUMENT",
        `update() takes an array of parameters, as model.parameters(), and one of gradients; given ${describe(given)}`,
      );
    }
    if (parameters.length !== gradients.length) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `update() was given ${parameters.length} parameters and ${gradients.length} gradients; give one gradient each`,
      );
    }
    this.begin(parameters, gradients);
    parameters.forEach((parameter, i) => {
      const gradient = gradients[i];
      if (gradient === undefined || !parameter.trainable) return;
      this.updateOne(parameter, this.#maximize ? gradient.neg() : gradient);
    });
  }

  /**
   * The momentum as a 0-d state that a schedule can set before every step; undefined if the optimizer has none. Steps
   * recorded before it is first asked for keep the momentum they were recorded with.
   */
  get momentumState(): State | undefined {
    return undefined;
  }

  /** The momentum where there is one: {@link momentumState} may make it first. */
  protected get momentumSoFar(): State | undefined {
    return this.#momentum;
  }

  /** The momentum; where there was none, one of this value from now on. */
  protected momentumOr(value: number, name: string = MOMENTUM): State {
    this.#momentum ??= state(tensor(Float32Array.of(value), []), { name });
    return this.#momentum;
  }

  /** The parameters that stand in its groups. */
  get grouped(): readonly Parameter[] {
    return [...this.#settings.keys()];
  }

  /** The value of {@link epochs}. Rejects with `INVALID_ARGUMENT` where something was put there that is no count. */
  async epochsBegun(): Promise<number> {
    const [count = 0] = await this.epochs.data();
    return wholeNumber("the optimizer's epochs", count, 0);
  }

  /**
   * Makes the slots of parameters, which otherwise come with the first step: `namedStates` then lists them. Those of frozen ones too: what
   * a snapshot has must not hang on what is frozen when it is taken.
   */
  track(parameters: readonly Parameter[]): void {
    if (!Array.isArray(parameters)) {
      throw new TslipError("INVALID_ARGUMENT", `track() takes an array of parameters; given ${describe(parameters)}`);
    }
    for (const parameter of parameters as readonly Parameter[]) {
      for (const name of Object.keys(this.slotShapes(parameter))) this.slot(parameter, name);
    }
  }

  /**
   * Calls `restore` once there are the states that a snapshot with such keys has of the optimizer and these parameters: a momentum among them is
   * made as a schedule would have it made. Where `restore` throws, there are those that there were.
   */
  restoring(keys: readonly string[], parameters: readonly Parameter[], restore: () => void): void {
    const made = this.#momentum;
    const before = Array.from(this.#slots, ([parameter, named]) => [parameter, { ...named }] as const);
    try {
      const momentum = keys.includes(MOMENTUM) ? this.momentumState : made;
      // One that is new may come with slots of its own.
      if (momentum !== made) this.track(parameters);
      restore();
    } catch (error) {
      this.#momentum = made;
      this.#slots.clear();
      for (const [parameter, named] of before) this.#slots.set(parameter, named);
      throw error;
    }
  }

  /**
   * The learning rate, the epochs begun, a momentum, and the slots of each parameter. Those are filed under the
   * parameter's key among `parameters` (its first one), which are the named parameters of a model; parameters that are not
   * among them are `#0`, `#1` and so on, in the order in which the optimizer met them. Names of states play no part in it:
   * they change as models are looked at.
   */
  namedStates(prefix = "", parameters: readonly (readonly [string, Parameter])[] = []): [string, State][] {
    const keys = new Map<Parameter, string>();
    for (const [key, parameter] of parameters) if (!keys.has(parameter)) keys.set(parameter, key);
    let others = 0;
    const momentum = this.#momentum === undefined ? {} : { [MOMENTUM]: this.#momentum };
    const own = Object.entries({ rate: this.rate, epochs: this.epochs, ...momentum });
    const slots = Array.from(this.#slots).flatMap(([parameter, named]) => {
      const key = keys.get(parameter) ?? `#${others++}`;
      return Object.entries(named).map(([name, slot]): [string, State] => [`${key}.${name}`, slot]);
    });
    return [...own, ...slots].map(([key, value]) => [prefix + key, value]);
  }

  /** The slots that a parameter has, by name, with their shapes: all that the optimizer knows of it, counts included. */
  protected slotShapes(_parameter: Parameter): Readonly<Record<string, Shape>> {
    return {};
  }

  /** Called once for each {@link update}, before the parameters. */
  protected begin(_parameters: readonly Parameter[], _gradients: readonly Tensor[]): void {}

  /** The rate at which a parameter is trained: the optimizer's, or that of its group. */
  protected rateOf(parameter: Parameter): Tensor {
    const multiple = this.#settings.get(parameter)?.multiple ?? 1;
    return multiple === 1 ? this.rate : this.rate.mul(multiple);
  }

  /** The weight decay of a parameter: the optimizer's, or that of its group. */
  protected weightDecayOf(parameter: Parameter): number {
    return this.#settings.get(parameter)?.weightDecay ?? this.#weightDecay;
  }

  /** Assigns one parameter and its slots. */
  protected abstract updateOne(parameter: Parameter, gradient: Tensor): void;

  /** A slot of a parameter: a state, zero at first, of the shape that {@link slotShapes} gives, else of the parameter's. */
  protected slot(parameter: Parameter, name: string): State {
    const slots = this.#slots.get(parameter) ?? {};
    this.#slots.set(parameter, slots);
    slots[name] ??= state(zeros(this.slotShapes(parameter)[name] ?? parameter.shape), {
      name: `${name} of ${parameter.name}`,
      batched: parameter.batched,
    });
    return slots[name];
  }
}

/** Has what users may try to set of an optimizer refused, such as these options, which are its own. */
export function refuseOptions(optimizer: { readonly prototype: Optimizer }, names: readonly string[]): void {
  const fixed = names.map((name) => [name, "it is fixed; make another optimizer"]);
  refuseFields(optimizer.prototype, {
    learningRate: "set lr",
    learning_rate: "set lr",
    ...Object.fromEntries(fixed),
  });
}
