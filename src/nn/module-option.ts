// Options that are modules.
import { TslipError } from "../errors.js";
import type { Option } from "../options.js";
import { Module } from "./module.js";

/** A module. */
export const module: Option<Module> = {
  read(name, given) {
    if (given instanceof Module) return given;
    throw new TslipError("INVALID_ARGUMENT", `${name} is no Module; wrap functions in a class with forward()`);
  },
};

/** A list of modules; a copy. */
export const modules: Option<readonly Module[]> = {
  read(name, given) {
    if (!Array.isArray(given)) {
      throw new TslipError("INVALID_ARGUMENT", `${name} must be an array of modules; given ${String(given)}`);
    }
    return given.map((one, i) => module.read(`entry ${i} of ${name}`, one));
  },
};
