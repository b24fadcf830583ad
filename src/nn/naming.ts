// Errors that arise in a part of a model name the part.
import { TslipError } from "../errors.js";
import type { Module } from "./module.js";

/** What `call` gives; a TslipError with the layer's position and class before its message. */
export function naming<T>(layer: Module, position: string, call: () => T): T {
  if (position === "") return call();
  try {
    return call();
  } catch (error) {
    throw named(layer, position, error);
  }
}

/** A TslipError with the layer's position and class before its message; anything else as it is. */
export function named(layer: Module, position: string, error: unknown): unknown {
  if (position === "" || !(error instanceof TslipError)) return error;
  return new TslipError(error.code, `layer ${position} (${layer.constructor.name}): ${error.message}`, {
    cause: error,
  });
}
