// LossParameterSchedule: a field of the loss, such as alpha or minMargin, as a function of the epoch.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { Module } from "../../nn/index.js";
import { asGiven, callback, readOptions } from "../../options.js";
import { scalar } from "../../tensor/index.js";
import { assignInTurn, Parameter, State } from "../../tensor/state.js";
import type { Callback, TrainingControl } from "../callback.js";

export interface LossParameterScheduleOptions {
  /**
   * Name of a field of the loss that holds a number, or a 0-d f32 state; of a loss in a field of the loss by both names, such as
   * "loss.alpha" in a `WeightedLoss`.
   */
  parameter: string;
  /** Its value in an epoch, counted from 1. */
  value: (epoch: number) => number;
}

const OPTIONS = { parameter: asGiven<string>(), value: callback };

/**
 * Sets a field of the loss at the beginning of each epoch. A state is assigned; where a number has changed, a step is recorded again, and
 * the loss refuses one that it cannot be made with. It keeps the last one.
 */
export class LossParameterSchedule implements Callback {
  readonly parameter: string;
  readonly #value: LossParameterScheduleOptions["value"];

  constructor(options: LossParameterScheduleOptions) {
    const { parameter, value } = readOptions("LossParameterSchedule", OPTIONS, options);
    if (typeof parameter !== "string" || value === undefined) {
      throw invalid(
        `LossParameterSchedule needs the parameter, a name such as "alpha", and the value, a function of the epoch; given ${describe(options)}`,
      );
    }
    this.parameter = parameter;
    this.#value = value as LossParameterScheduleOptions["value"];
  }

  async onEpochStart(epoch: number, { loss }: TrainingControl): Promise<void> {
    const { parameter } = this;
    const places = placesOf(loss);
    const place = places.get(parameter);
    if (place === undefined) {
      const known = [...places.keys()].join(", ");
      throw invalid(
        `${loss.constructor.name} has no number "${parameter}", nor a 0-d f32 state, that a LossParameterSchedule could set; it has ` +
          `${known || "none"}`,
      );
    }
    const value: unknown = this.#value(epoch);
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw invalid(`the ${parameter} of epoch ${epoch} must be a number; the schedule gave ${describe(value)}`);
    }
    const { owner, name } = place;
    const held = owner[name];
    if (held instanceof State) await assignInTurn([[held, scalar(value)]]);
    else owner[name] = value;
  }
}

type Fields = Record<string, unknown>;

/** The numbers and 0-d states among the fields of a loss, and of losses in its fields, by their names. */
function placesOf(
  loss: object,
  prefix = "",
  within: readonly object[] = [],
): Map<string, { owner: Fields; name: string }> {
  const owner = loss as Fields;
  return new Map(
    Object.entries(owner).flatMap(([name, held]) => {
      if (isSettable(held)) return [[`${prefix}${name}`, { owner, name }] as const];
      return isLoss(held) && !within.includes(held) ? [...placesOf(held, `${prefix}${name}.`, [...within, loss])] : [];
    }),
  );
}

/** A parameter is what training changes. */
function isSettable(held: unknown): boolean {
  if (!(held instanceof State)) return typeof held === "number";
  return held.rank === 0 && held.dtype === "f32" && !(held instanceof Parameter);
}

/** A model, such as a teacher, is none. */
function isLoss(held: unknown): held is object {
  if (typeof held !== "object" || held === null || held instanceof Module) return false;
  return typeof (held as Fields)["forward"] === "function";
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
