// LossParameterSchedule: a field of the loss, such as alpha or minMargin, as a function of the epoch.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { asGiven, callback, readOptions } from "../../options.js";
import type { Callback, TrainingControl } from "../callback.js";

export interface LossParameterScheduleOptions {
  /** Name of a field of the loss that holds a number. */
  parameter: string;
  /** Its value in an epoch, counted from 1. */
  value: (epoch: number) => number;
}

const OPTIONS = { parameter: asGiven<string>(), value: callback };

/**
 * Sets a field of the loss at the beginning of each epoch; a step is recorded again where it has changed. The loss refuses values that it
 * cannot be made with. It keeps the last one.
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

  onEpochStart(epoch: number, { loss }: TrainingControl): void {
    const { parameter } = this;
    const fields = loss as unknown as Record<string, unknown>;
    if (!Object.hasOwn(loss, parameter) || typeof fields[parameter] !== "number") {
      const numbers = Object.keys(fields).filter((name) => typeof fields[name] === "number");
      throw invalid(
        `${loss.constructor.name} has no number "${parameter}" that a LossParameterSchedule could set; it has ${numbers.join(", ") || "none"}`,
      );
    }
    const value: unknown = this.#value(epoch);
    if (typeof value !== "number" || Number.isNaN(value)) {
      throw invalid(`the ${parameter} of epoch ${epoch} must be a number; the schedule gave ${describe(value)}`);
    }
    fields[parameter] = value;
  }
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
