// Errors that arise in a part of a model name the part.
import { TslipError } from "../errors.js";
import { isPromise } from "../promise.js";

/** What `call` gives or promises; a TslipError with the layer's position and class before its message. */
export function naming<T>(layer: object, position: string, call: () => T): T {
  if (position === "") return call();
  const renamed = (error: unknown): never => {
    throw named(layer, position, error);
  };
  try {
    const result = call();
    return isPromise(result) ? (result.then(undefined, renamed) as T) : result;
  } catch (error) {
    return renamed(error);
  }
}

/** Of an error that names a layer: where in the model it is, its class, and what the error says of it. */
interface Place {
  readonly position: string;
  readonly layer: string;
  readonly message: string;
}

const places = new WeakMap<TslipError, Place>();

/** A TslipError with the layer's position and class before its message, of layers in others the innermost; anything else as it is. */
function named(layer: object, position: string, error: unknown): unknown {
  if (!(error instanceof TslipError)) return error;
  const inside = places.get(error);
  const place: Place = inside
    ? { ...inside, position: `${position}.${inside.position}` }
    : { position, layer: layer.constructor.name, message: error.message };
  const { code, op, shapes, cause, stack } = error;
  const renamed = new TslipError(code, `layer ${place.position} (${place.layer}): ${place.message}`, {
    op,
    shapes,
    cause,
  });
  // It arose where the other one did.
  renamed.stack = stack?.replace(error.message, () => renamed.message);
  places.set(renamed, place);
  return renamed;
}
