// Kinds of options that attacks share; numbers are held against float32, in which searches compute.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { number, type Option } from "../options.js";
import { Attack, isAboveZero } from "./attack.js";
import { isFloat32 } from "./space.js";

export const aboveZero = (byDefault?: number): Option<number> =>
  number("finite and above 0 in float32", isAboveZero, byDefault);

export const atLeastZero = (byDefault: number): Option<number> =>
  number("finite in float32 and at least 0", (value) => isFloat32(value) && value >= 0, byDefault);

/** Of what is left of a number from step to step. */
export const decay = (byDefault: number): Option<number> =>
  number("at least 0 and below 1 in float32", (value) => value >= 0 && Math.fround(value) < 1, byDefault);

/** Neither nothing nor more than all. */
export const share = (byDefault: number): Option<number> =>
  number("above 0 in float32 and at most 1", (value) => isAboveZero(value) && value <= 1, byDefault);

export const anyAttack: Option<Attack> = {
  read(name, given) {
    if (given instanceof Attack) return given;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be an attack, such as new LinfDeepFoolAttack(); given ${describe(given)}`,
    );
  },
};
