// Export to an ordinary network.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { Module, type Sequential } from "../nn/index.js";

/** The model as ordinary layers with the weights it has now; see `Sequential.vanillaExport`. */
export function vanillaModel(model: Sequential): Sequential;
export function vanillaModel(model: Module): Module;
export function vanillaModel(model: Module): Module {
  if (model instanceof Module) return model.vanillaExport();
  throw new TslipError("INVALID_ARGUMENT", `vanillaModel takes a Module; given ${describe(model)}`);
}
