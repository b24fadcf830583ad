// ReduceLROnPlateau: a lower learning rate once a figure has not become better for some epochs.
import { TslipError } from "../../errors.js";
import type { Module } from "../../nn/index.js";
import { print } from "../../node/index.js";
import { choice, flag, notNegative, number, type Options, readOptions, type Schema, whole } from "../../options.js";
import { type State, type Stateful, scalar, state } from "../../tensor/index.js";
import type { Callback, TrainingControl } from "../callback.js";
import type { EpochRecord, Metrics } from "../history.js";
import { OwnModel } from "./copies.js";
import { checkFigure, figureName, figureOf, type MonitorMode, modeFor, modeOption, Patience } from "./monitor.js";

export interface ReduceLROnPlateauOptions {
  /** A figure of the record of an epoch, by default "val_loss". */
  monitor?: string;
  /** Whether smaller or larger is better: "auto", the default, knows it of losses alone. */
  mode?: MonitorMode | "auto";
  /** By which the rate is multiplied, below 1; by default 0.1. */
  factor?: number;
  /** Epochs without a better figure that are let pass: the rate falls in the next one. By default 10. */
  patience?: number;
  /** By how much a figure has to be better to count, by default 1e-4: a share of the best's magnitude, or with "abs" an amount. */
  threshold?: number;
  thresholdMode?: "rel" | "abs";
  /** Epochs after the rate has fallen that do not count; by default 0. */
  cooldown?: number;
  /** The rate falls no further; by default 0. */
  minLr?: number;
  /** A rate that would change by no more stays as it is; by default 1e-8. */
  eps?: number;
  /** Say on stdout when the rate falls; by default false. */
  verbose?: boolean;
}

const OPTIONS = {
  monitor: figureName,
  mode: modeOption,
  factor: number("at least 0 and below 1", (value) => value >= 0 && value < 1, 0.1),
  patience: whole(0, 10),
  threshold: notNegative(1e-4),
  thresholdMode: choice(["rel", "abs"], "rel"),
  cooldown: whole(0, 0),
  minLr: notNegative(0),
  eps: notNegative(1e-8),
  verbose: flag(false),
} satisfies Schema<keyof ReduceLROnPlateauOptions>;

/**
 * Multiplies the learning rate of the optimizer, and with it those of its groups, by `factor` once more than `patience` epochs in a row
 * were no better than the best, as PyTorch's does, but for negative figures: there the relative `threshold` of PyTorch takes the same
 * loss again for a better one, and here it is a share of the best's magnitude. Not beside a schedule, which sets the rate of each step.
 * Its states belong to a training (`TrainingState`), of one model: for another take another.
 */
export class ReduceLROnPlateau implements Callback, Stateful {
  readonly options: Options<typeof OPTIONS>;
  readonly #model = new OwnModel("ReduceLROnPlateau");
  readonly #patience: Patience;
  /** Epochs that are left of the cooldown, 0-d. */
  readonly #cooling: State = state(scalar(0, "i32"), { name: "epochs of cooldown" });

  constructor(options: ReduceLROnPlateauOptions = {}) {
    this.options = readOptions("ReduceLROnPlateau", OPTIONS, options);
    const { monitor, mode } = this.options;
    this.#patience = new Patience(modeFor("ReduceLROnPlateau", monitor, mode));
  }

  /** Throws `INVALID_ARGUMENT` for another model than that of its first training. */
  track(model: Module): void {
    this.#model.hold(model);
  }

  onEpochStart(_epoch: number, { model, schedule, figures }: TrainingControl): void {
    this.track(model);
    checkFigure("ReduceLROnPlateau", this.options.monitor, figures);
    if (schedule === undefined) return;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `ReduceLROnPlateau and a schedule, ${schedule.constructor.name}, both set the learning rate; give fit one of them`,
    );
  }

  async onEpochEnd(record: EpochRecord<Metrics>, { optimizer }: TrainingControl): Promise<void> {
    const { monitor, patience, cooldown, factor, minLr, eps, verbose } = this.options;
    const figure = figureOf("ReduceLROnPlateau", monitor, record);
    const waited = await this.#patience.observe(figure, (now, best) => this.#isBetter(now, best));
    const [cooling = 0] = await this.#cooling.data();
    if (cooling > 0) {
      this.#cooling.assign(scalar(cooling - 1, "i32"));
      await this.#patience.restart();
      return;
    }
    if (waited <= patience) return;
    this.#cooling.assign(scalar(cooldown, "i32"));
    await this.#patience.restart();
    // As the state keeps it, so that a training that goes on comes to the same rates.
    const now = Math.fround(optimizer.lr);
    const rate = Math.max(now * factor, minLr);
    if (now - rate <= eps) return;
    optimizer.lr = rate;
    if (verbose) print(`Epoch ${record.epoch}: the learning rate falls to ${rate}`);
  }

  #isBetter(now: number, best: number): boolean {
    const { threshold, thresholdMode } = this.options;
    // Of no best yet, which is infinite, there is no share.
    const by = thresholdMode === "abs" || !Number.isFinite(best) ? threshold : threshold * Math.abs(best);
    return this.#patience.beats(now, best, by);
  }

  namedStates(prefix = ""): [string, State][] {
    return [[`${prefix}cooldown`, this.#cooling], ...this.#patience.namedStates(prefix)];
  }
}
