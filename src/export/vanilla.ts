// Export to an ordinary network.
import type { Module, Sequential } from "../nn/index.js";

/** The model as ordinary layers with the weights it has now; see `Sequential.vanillaExport`. */
export function vanillaModel(model: Sequential): Sequential;
export function vanillaModel(model: Module): Module;
export function vanillaModel(model: Module): Module {
  return model.vanillaExport();
}
