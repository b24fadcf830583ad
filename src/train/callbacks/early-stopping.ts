// EarlyStopping: ends a training once a figure has not become better for some epochs, as Keras' callback of this name.
import type { Module } from "../../nn/index.js";
import { print } from "../../node/index.js";
import { flag, notNegative, type Options, readOptions, type Schema, whole } from "../../options.js";
import { type State, type Stateful, scalar, state } from "../../tensor/index.js";
import type { Callback, TrainingControl } from "../callback.js";
import type { EpochRecord, History, Metrics } from "../history.js";
import { Copies, OwnModel } from "./copies.js";
import { checkFigure, figureName, figureOf, type MonitorMode, modeFor, modeOption, Patience } from "./monitor.js";

export interface EarlyStoppingOptions {
  /** A figure of the record of an epoch, by default "val_loss". */
  monitor?: string;
  /** Epochs without a better figure after which training ends; by default 0, which is as 1. */
  patience?: number;
  /** By how much a figure has to be better to count; by default 0. */
  minDelta?: number;
  /** Whether smaller or larger is better: "auto", the default, knows it of losses alone. */
  mode?: MonitorMode | "auto";
  /** Give the model the weights, and other states, of its best epoch when training is over; by default false. */
  restoreBestWeights?: boolean;
  /** Say on stdout when training is ended; by default false. */
  verbose?: boolean;
}

const OPTIONS = {
  monitor: figureName,
  patience: whole(0, 0),
  minDelta: notNegative(0),
  mode: modeOption,
  restoreBestWeights: flag(false),
  verbose: flag(false),
} satisfies Schema<keyof EarlyStoppingOptions>;

/**
 * Ends a training after `patience` epochs in a row whose figure is not better, by more than `minDelta`, than the best one. The best
 * weights are put back where training is over: stopped by this or another callback, or after the last of all `epochs`. Where `maxSteps`
 * or an error ends a `fit`, the model keeps its last weights, so that it goes on bit for bit. Of fits in a row by `initialEpoch` each is
 * over after its own `epochs`, and the next goes on from the best weights with the optimizer as it is: to divide a training in which
 * they are put back, give all `epochs`, a `position` and `maxSteps`. Its states belong to a training (`TrainingState`), of one model: fits
 * in a row of that are one training, for another take another. A training that it has ended is over: a `fit` that goes on with it, or with
 * its states in one of no more `patience`, makes no step and has no records; `minDelta` is what figures to come are held against.
 */
export class EarlyStopping implements Callback, Stateful {
  readonly options: Options<typeof OPTIONS>;
  readonly #model = new OwnModel("EarlyStopping");
  readonly #patience: Patience;
  readonly #best: Copies | undefined;
  /** The number of the best epoch, 0 before the first, 0-d. */
  readonly #epoch: State = state(scalar(0, "i32"), { name: "best epoch" });

  constructor(options: EarlyStoppingOptions = {}) {
    this.options = readOptions("EarlyStopping", OPTIONS, options);
    const { monitor, mode, restoreBestWeights } = this.options;
    this.#patience = new Patience(modeFor("EarlyStopping", monitor, mode));
    if (restoreBestWeights) this.#best = new Copies("best value", (model) => model.namedStates());
  }

  /** The epoch with the best figure; 0 before the first. */
  get bestEpoch(): number {
    return this.#epoch.item();
  }

  /** Makes the states that it needs for a model. Throws `INVALID_ARGUMENT` where it belongs to another one. */
  track(model: Module): void {
    this.#model.hold(model);
    this.#best?.track(model);
  }

  async onEpochStart(_epoch: number, { model, figures, stop }: TrainingControl): Promise<void> {
    this.#model.hold(model);
    const { monitor, verbose } = this.options;
    checkFigure("EarlyStopping", monitor, figures);
    const waited = await this.#patience.waited();
    if (!this.#isOver(waited)) return;
    stop();
    if (verbose) print(`${monitor} has not become better for ${waited} epochs; training has ended already`);
  }

  async onEpochEnd(record: EpochRecord<Metrics>, control: TrainingControl): Promise<void> {
    const { monitor, minDelta, verbose } = this.options;
    const figure = figureOf("EarlyStopping", monitor, record);
    const waited = await this.#patience.observe(figure, (now, best) => this.#patience.beats(now, best, minDelta));
    if (waited === 0) {
      await this.#best?.take(control.model);
      this.#epoch.assign(scalar(record.epoch, "i32"));
    }
    if (!this.#isOver(waited)) return;
    control.stop();
    if (verbose) print(`Epoch ${record.epoch}: ${monitor} has not become better for ${waited} epochs; training ends`);
  }

  #isOver(waited: number): boolean {
    return waited >= Math.max(this.options.patience, 1);
  }

  async onTrainingEnd(_history: History<Metrics>, { model, over }: TrainingControl): Promise<void> {
    if (over && this.bestEpoch > 0) await this.#best?.put(model);
  }

  namedStates(prefix = ""): [string, State][] {
    return [
      [`${prefix}epoch`, this.#epoch],
      ...this.#patience.namedStates(prefix),
      ...(this.#best?.namedStates(`${prefix}best.`) ?? []),
    ];
  }
}
