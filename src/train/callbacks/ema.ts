// EMA: running means of the weights, with which a model is often better than with the last ones (Polyak and Juditsky 1992).
import { TslipError } from "../../errors.js";
import type { Module } from "../../nn/index.js";
import { number, type Options, readOptions } from "../../options.js";
import { assign, type State, type Stateful, scalar, state } from "../../tensor/index.js";
import { assignInTurn } from "../../tensor/state.js";
import type { Callback } from "../callback.js";
import { Copies, OwnModel } from "./copies.js";

export interface EMAOptions {
  /** What of a mean each step keeps, at least 0 and below 1; by default 0.999. */
  decay?: number;
}

const OPTIONS = { decay: number("at least 0 and below 1", (value) => value >= 0 && value < 1, 0.999) };

/** Parameters that have means for values. */
const averaged = new WeakSet<State>();

const hasMeans = (model: Module): boolean => model.parameters().some((parameter) => averaged.has(parameter));

/** Refuses to train parameters that have means for values, which would be lost where their own come back. */
export function checkNotAveraged(model: Module): void {
  if (!hasMeans(model)) return;
  throw invalid(
    "the model has the means of an EMA for weights, which cannot be trained; restore() its own weights first",
  );
}

/**
 * Exponential moving averages of a model's parameters: the parameters after the first step, then mean <- mean + (1 - decay)(p - mean) with
 * each step, as PyTorch's `AveragedModel` with `get_ema_multi_avg_fn`. Among the callbacks of `fit`, or by {@link update} in steps of one's own.
 * Its states belong to a training (`TrainingState`), of one model: for another take another.
 */
export class EMA implements Callback, Stateful {
  readonly options: Options<typeof OPTIONS>;
  readonly #model = new OwnModel("EMA");
  readonly #means = new Copies("mean", (model) => model.namedParameters());
  readonly #held = new Copies("held value", (model) => model.namedParameters());
  /** Whether there are means, 0-d: 0 before the first step, then 1. */
  readonly #started: State = state(scalar(0), { name: "averaging has begun" });
  #applied: Module | undefined;

  constructor(options: EMAOptions = {}) {
    this.options = readOptions("EMA", OPTIONS, options);
  }

  /** Makes the means that it needs for a model. Throws `INVALID_ARGUMENT` where it averages another one. */
  track(model: Module): void {
    this.#model.hold(model);
    this.#means.track(model);
  }

  /** Inside a compiled function, behind the optimizer's update: assigns the means of the model's parameters. */
  update(model: Module): void {
    this.#model.hold(model);
    const started = this.#started.greater(0);
    for (const [parameter, mean] of this.#means.pairs(model)) {
      const next = mean.add(parameter.sub(mean).mul(1 - this.options.decay));
      assign(mean, started.broadcastTo(mean.shape).where(next, parameter));
    }
    assign(this.#started, this.#started.maximum(1));
  }

  onStep(model: Module): void {
    this.update(model);
  }

  /**
   * Gives the model the means for weights, to evaluate or export it, until {@link restore}; it must not be trained meanwhile, which `fit`
   * refuses. Rejects with `INVALID_ARGUMENT` where it has them already, where no step was averaged, or where those were of another model.
   */
  async apply(model: Module): Promise<void> {
    const [started] = await this.#started.data();
    if (this.#applied !== undefined || hasMeans(model))
      throw invalid("means are applied already; restore() the model's own weights first");
    if (started === 0) throw invalid("there are no means yet: train with this EMA among the callbacks of fit first");
    this.#model.hold(model);
    this.#applied = model;
    for (const parameter of model.parameters()) averaged.add(parameter);
    const held = this.#held.pairs(model).map(([parameter, copy]) => [copy, parameter] as const);
    const means = this.#means.pairs(model).map(([parameter, mean]) => [parameter, mean] as const);
    await assignInTurn([...held, ...means]);
  }

  /** Gives the model its own weights back. Rejects with `INVALID_ARGUMENT` where the means are not applied to it. */
  async restore(model: Module): Promise<void> {
    if (this.#applied !== model)
      throw invalid("restore() follows apply() of the same model; its means are not applied");
    await this.#held.put(model);
    this.#applied = undefined;
    for (const parameter of model.parameters()) averaged.delete(parameter);
  }

  /** What `use` gives while the model has the means for weights, such as `() => model.vanillaExport()`. */
  async with<T>(model: Module, use: () => T | Promise<T>): Promise<T> {
    await this.apply(model);
    try {
      return await use();
    } finally {
      await this.restore(model);
    }
  }

  namedStates(prefix = ""): [string, State][] {
    return [[`${prefix}started`, this.#started], ...this.#means.namedStates(`${prefix}mean.`)];
  }
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
