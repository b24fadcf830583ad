// Axes as options: whole numbers, negative ones counted from the last; axis 0, that of the samples, is none.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Option } from "../options.js";

/** An axis behind that of the samples; to be given where there is no default. */
export function axis(byDefault?: number): Option<number> {
  return {
    read(name, given = byDefault) {
      if (Number.isSafeInteger(given) && given !== 0) return given as number;
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} must be an axis behind that of the samples: a whole number other than 0; given ${describe(given)}`,
      );
    },
  };
}

/** A list of whole numbers, each an axis; frozen. */
export function axes(byDefault?: readonly number[]): Option<readonly number[]> {
  return {
    read(name, given = byDefault) {
      if (Array.isArray(given) && given.length > 0 && given.every(Number.isSafeInteger)) {
        return Object.freeze([...(given as number[])]);
      }
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} must be a list of axes, whole numbers; given ${describe(given)}`,
      );
    },
  };
}
