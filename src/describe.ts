// What messages say of values that someone gave: what they are and of which type, in a few words however large they are.
import { isPromise } from "./promise.js";

/** Characters that messages spend on a text, and entries on a list. */
const MOST = { text: 40, entries: 8 };

/**
 * A value and its type: `5`, `5n (a BigInt)`, `"6" (a string)`, `[2, 3]`, `an array of 180,000 numbers`, `a Float32Array of 6 numbers`,
 * `a tensor f32 [2, 3]`, `a Dataset`, `{ data, shape }`. Never longer than a line.
 */
export function describe(value: unknown): string {
  try {
    return described(value);
  } catch {
    // Its own code is run where something is asked of it, and may throw.
    return `${typeof value === "function" ? "a function" : "an object"} that does not say what it is`;
  }
}

function described(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `${brief(value)} (a string)`;
    case "bigint":
      return `${brief(value)} (a BigInt)`;
    case "function":
      return describeFunction(value);
    case "object":
      return value === null ? "null" : describeObject(value);
    default:
      return brief(value);
  }
}

/** At most `most` characters of a text: its beginning and its end. */
export function clip(text: string, most: number): string {
  if (text.length <= most) return text;
  const kept = most - " … ".length;
  const end = Math.floor(kept / 3);
  return `${text.slice(0, kept - end)} … ${text.slice(text.length - end)}`;
}

/** Extents, names or other entries as text: the first ones, and how many there are in all where they are many. */
export function list(entries: readonly unknown[], most: number = MOST.entries): string {
  const first = entries.slice(0, most).map((entry) => clip(String(entry), MOST.text));
  return entries.length <= most ? first.join(", ") : `${first.join(", ")}, … (${count(entries.length)} in all)`;
}

/** A number as people write it. */
function count(n: number): string {
  return n.toLocaleString("en-US");
}

function brief(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(clip(value, MOST.text));
  if (typeof value === "bigint") return `${clip(String(value), MOST.text)}n`;
  return Object.is(value, -0) ? "-0" : clip(String(value), MOST.text);
}

// biome-ignore lint/complexity/noBannedTypes: any function that someone gave.
function describeFunction(value: Function): string {
  const kind = /^class\b/.test(Function.prototype.toString.call(value)) ? "class" : "function";
  return value.name === "" ? `a ${kind}` : `the ${kind} ${clip(value.name, MOST.text)}`;
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return describeArray(value);
  const name: unknown = value.constructor?.name;
  const type = typeof name === "string" && name !== "" ? clip(name, MOST.text) : "Object";
  if (ArrayBuffer.isView(value) && "length" in value)
    return `${withArticle(type)} of ${count(Number(value.length))} numbers`;
  if ("dtype" in value && "shape" in value && Array.isArray(value.shape)) {
    return `a tensor ${String(value.dtype)} [${list(value.shape)}]`;
  }
  if (isPromise(value)) return "a Promise, which has to be awaited first";
  if (type !== "Object") return withArticle(type);
  const names = Object.keys(value);
  return names.length === 0 ? "{}" : `{ ${list(names)} }`;
}

function describeArray(value: readonly unknown[]): string {
  const primitive = (entry: unknown): boolean =>
    entry === null || (typeof entry !== "object" && typeof entry !== "function");
  if (value.length <= MOST.entries && value.every(primitive)) {
    const text = `[${value.map(brief).join(", ")}]`;
    if (text.length <= 2 * MOST.text) return text;
  }
  const kinds = new Set(value.slice(0, 1000).map((entry) => (Array.isArray(entry) ? "array" : typeof entry)));
  const [kind = "value"] = kinds.size === 1 && !kinds.has("undefined") ? kinds : ["value"];
  return `an array of ${count(value.length)} ${kind}s`;
}

function withArticle(name: string): string {
  return `${/^[aeio]/i.test(name) ? "an" : "a"} ${name}`;
}
