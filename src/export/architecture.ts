// From the JSON of a model back to layers.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Definition } from "../nn/definition.js";
import type { Module } from "../nn/index.js";
import * as layers from "../nn/layers/index.js";
import { readOptions } from "../options.js";
import { type Shape, sameShape, showShape } from "../tensor/shape.js";

/** Levels of layers in layers: more would overflow the stack of those who walk through them. */
const MOST_NESTED = 256;

/** A class of the library; its layers keep their options, complete and checked, as `options`. */
export interface LayerClass {
  readonly definition: Definition;
  readonly prototype: Module;
}

/** Tensors of the file by their keys in the state dictionary of the whole. */
type Tensors = Readonly<Record<string, { readonly shape: Shape }>>;

/**
 * Builds what {@link Module.toJSON} described, with fresh weights. Where the `tensors` of a file are given, a layer is built
 * only once they are known to hold its weight: a few bytes can describe layers of any size. Throws `INVALID_FILE` for anything
 * else.
 */
export function fromJSON(description: unknown, tensors?: Tensors): Module {
  return built(description, { tensors, prefix: "", depth: 1 });
}

/** Where in a model a layer is. */
interface Site {
  readonly tensors: Tensors | undefined;
  /** Of keys of its states. */
  readonly prefix: string;
  /** Layers from the model itself to it. */
  readonly depth: number;
}

function built(description: unknown, site: Site): Module {
  if (site.depth > MOST_NESTED) {
    throw new TslipError("INVALID_FILE", `layers are nested more than ${MOST_NESTED} deep, which is the most`);
  }
  const { type, ...given } = described(description);
  const known: Readonly<Record<string, LayerClass>> = layers;
  const Layer = typeof type === "string" && Object.hasOwn(known, type) ? known[type] : undefined;
  if (Layer === undefined) {
    throw new TslipError(
      "INVALID_FILE",
      `there is no layer of type ${describe(type)}; known are ${Object.keys(layers).join(", ")}`,
    );
  }
  const options = Object.fromEntries(
    Object.entries(given).map(([name, value]) => [name, withModules(name, value, site)]),
  );
  try {
    if (site.tensors !== undefined) checkWeight(Layer.definition, options, site.tensors, site.prefix);
    return build(Layer, options);
  } catch (error) {
    if (!(error instanceof TslipError) || error.code === "INVALID_FILE") throw error;
    throw new TslipError("INVALID_FILE", `the layer of type "${String(type)}" cannot be built: ${error.message}`, {
      cause: error,
    });
  }
}

/** A layer of the given class and options. */
function build({ definition, prototype }: LayerClass, options: Readonly<Record<string, unknown>>): Module {
  const { positional } = definition;
  const rest = Object.fromEntries(Object.entries(options).filter(([name]) => !positional.includes(name)));
  return Reflect.construct(prototype.constructor, [...positional.map((name) => options[name]), rest]) as Module;
}

/** An option with the modules in it built: those of a list have their numbers as keys, a single one the option's name. */
function withModules(name: string, value: unknown, { tensors, prefix, depth }: Site): unknown {
  const inner = (key: number | string): Site => ({ tensors, prefix: `${prefix}${key}.`, depth: depth + 1 });
  if (Array.isArray(value)) return value.map((one: unknown, i) => (isRecord(one) ? built(one, inner(i)) : one));
  return isRecord(value) ? built(value, inner(name)) : value;
}

function checkWeight(
  definition: Definition,
  given: Readonly<Record<string, unknown>>,
  tensors: Tensors,
  prefix: string,
): void {
  if (definition.weight === undefined) return;
  const { key, shape } = definition.weight(readOptions(definition.type, definition.schema, given));
  const held = Object.hasOwn(tensors, prefix + key) ? tensors[prefix + key]?.shape : undefined;
  if (held !== undefined && sameShape(held, shape)) return;
  throw new TslipError(
    "INVALID_FILE",
    `the layer of type "${definition.type}" needs ${prefix}${key} of shape ${showShape(shape)}; the file has ` +
      (held === undefined ? "none" : showShape(held)),
  );
}

function described(description: unknown): Record<string, unknown> {
  if (isRecord(description) && typeof description["type"] === "string") return description;
  throw new TslipError("INVALID_FILE", `a layer is described by an object with a type; given ${describe(description)}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
