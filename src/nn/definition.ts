// What the library says of a layer class once: its name in files, its options, the weight by which a file is known to hold it.
import { TslipError } from "../errors.js";
import { type Options, readOptions, type Schema } from "../options.js";
import type { Shape } from "../tensor/shape.js";

/** A layer as a file has it: its class and all of its constructor options. */
export interface Architecture {
  readonly type: string;
  readonly [option: string]: unknown;
}

/** The definition of a layer class. */
export interface Definition {
  /** Name of the class. */
  readonly type: string;
  /** Options that the constructor takes by position, before the record of the others. */
  readonly positional: readonly string[];
  readonly schema: Schema;
  /** Key and shape of the weight that a layer with these options has, if it has one. */
  weight?(options: Readonly<Record<string, unknown>>): { readonly key: string; readonly shape: Shape };
}

/** The options that a constructor was given, those by position first. Throws `INVALID_ARGUMENT` for what does not fit. */
export function optionsOf<S extends Schema>(
  { type, schema, positional }: Definition & { readonly schema: S },
  positioned: readonly unknown[],
  options?: unknown,
): Options<S> {
  return readOptions(type, schema, options, Object.fromEntries(positional.map((name, i) => [name, positioned[i]])));
}

/**
 * Class and options of a layer; `part` gives what stands for a value among them, or for one in a list. Throws `UNSUPPORTED` for a class that has
 * no definition of its own.
 */
export function architectureOf(layer: object, part: (value: unknown) => unknown): Architecture {
  const own: { readonly name: string; readonly definition?: Definition } = layer.constructor;
  if (!Object.hasOwn(own, "definition") || own.definition === undefined || !("options" in layer)) {
    throw new TslipError(
      "UNSUPPORTED",
      `${own.name} is a class of your own: its code cannot be saved; save its stateDict() with saveSafetensors instead`,
    );
  }
  const options = Object.entries(layer.options as object).map(([name, value]: [string, unknown]) => [
    name,
    Array.isArray(value) ? value.map(part) : part(value),
  ]);
  return { type: own.definition.type, ...Object.fromEntries(options) };
}
