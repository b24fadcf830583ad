// Errors that arise in a part of a model name the part.
import { TslipError } from "../errors.js";

/** What `call` gives or promises; a TslipError with the layer's position and class before its message. */
export function naming<T>(layer: object, position: string, call: () => T): T {
  if (position === "") return call();
  const renamed = (error: unknown): never => {
    throw named(layer, position, error);
  };
  try {
    const result = call();
    return result instanceof Promise ? (result.catch(renamed) as T) : result;
  } catch (error) {
    return renamed(error);
  }
}

/** A TslipError with the layer's position and class before its message; anything else as it is. */
function named(layer: object, position: string, error: unknown): unknown {
  if (position === "" || !(error instanceof TslipError)) return error;
  return new TslipError(error.code, `layer ${position} (${layer.constructor.name}): ${error.message}`, {
    cause: error,
  });
}
