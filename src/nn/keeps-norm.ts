// Layers whose results have the norm of what they are given, so that a certificate need not measure it again.
import type { Layer } from "./layer.js";

/** What a class of the library says of its own `forward`, and whether it is so as things stand. */
interface Statement {
  readonly forward: Layer["forward"];
  readonly holds: () => boolean;
}

const statements = new WeakMap<Layer, Statement>();

/**
 * Says that `forward` gives the numbers of each sample in another order or shape, each with its sign or as its size, and zeros, whenever
 * `holds`. Where a layer has another `forward`, nothing is said of that.
 */
export function statesNorm(layer: Layer, forward: Layer["forward"], holds = () => true): void {
  statements.set(layer, { forward, holds });
}

/** Whether a layer of the library gives results of the norm of what it is given, to the bit. */
export function keepsNorm(layer: Layer): boolean {
  const statement = statements.get(layer);
  return statement !== undefined && layer.forward === statement.forward && statement.holds();
}
