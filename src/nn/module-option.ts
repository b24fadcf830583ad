// Options that are modules.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Option } from "../options.js";
import { Module } from "./module.js";

/** A module. */
export const module: Option<Module> = {
  read(name, given) {
    if (given instanceof Module) return given;
    const hint = /^class\b/.test(String(given)) ? "make one with new" : "wrap functions in a class with forward()";
    throw new TslipError("INVALID_ARGUMENT", `${name} must be a Module; given ${describe(given)}; ${hint}`);
  },
};

/** A list of modules; a copy. */
export const modules: Option<readonly Module[]> = {
  read(name, given) {
    if (!Array.isArray(given)) {
      throw new TslipError("INVALID_ARGUMENT", `${name} must be an array of modules; given ${describe(given)}`);
    }
    return given.map((one, i) => module.read(`entry ${i} of ${name}`, one));
  },
};
