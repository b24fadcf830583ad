// Options of a class: one schema says what they are, their defaults and what is wrong with others, given by a user or a file.
import { clip, describe } from "./describe.js";
import { TslipError } from "./errors.js";
import { type Pair, pairOf, wholeNumber } from "./tensor/shape.js";

/** Letters that two words have to begin with to be of one stem. */
const SHORTEST_STEM = 3;

/** One option: `read` gives its value, or throws `INVALID_ARGUMENT` naming it; undefined is what was not given. */
export interface Option<T> {
  read(name: string, given: unknown): T;
}

/** Options by name. `satisfies Schema<keyof T>` has the compiler say which of an interface are missing. */
export type Schema<K extends PropertyKey = string> = Readonly<Record<K, Option<unknown>>>;

/** What a schema reads, complete: defaults are filled in. */
export type Options<S extends Schema> = { readonly [K in keyof S]: S[K] extends Option<infer T> ? T : never };

/** Options of what has none. */
export type NoOptions = Readonly<Record<string, never>>;

/** The names of all options that a type has. */
export type Names<T> = Readonly<Record<keyof T, true>>;

const NOTHING_GIVEN: Readonly<Record<string, unknown>> = Object.freeze({});

/**
 * What `owner` was given, each option checked: `sizes` by position, the others in a record. Throws `INVALID_ARGUMENT` for
 * anything but a record, for names that the schema does not have (with the nearest that it has) and for values that do not
 * fit. The result cannot be changed.
 */
export function readOptions<S extends Schema>(
  owner: string,
  schema: S,
  options?: unknown,
  sizes: Readonly<Record<string, unknown>> = NOTHING_GIVEN,
): Options<S> {
  // What stands first is complained of first.
  if (sizes !== NOTHING_GIVEN) for (const name of Object.keys(sizes)) schema[name]?.read(name, sizes[name]);
  // Ops read options for each node of a graph: lists of pairs would take longer than all the rest of a node.
  const record = options === undefined ? NOTHING_GIVEN : recordOf(owner, namesOf(schema, sizes), options);
  const read: Record<string, unknown> = {};
  for (const name in schema) {
    const given = Object.hasOwn(sizes, name) ? sizes[name] : Object.hasOwn(record, name) ? record[name] : undefined;
    read[name] = schema[name]?.read(name, given);
  }
  return Object.freeze(read) as Options<S>;
}

/** What of a schema stands in the record of options: all but sizes. */
const namesOf = (schema: Schema, sizes: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(schema).filter((name) => !Object.hasOwn(sizes, name));

/** Of options those that a schema has: what another class takes of them. */
export function among<S extends Schema>(schema: S, options: NoInfer<Options<S>>): Options<S> {
  return Object.fromEntries(Object.keys(schema).map((name) => [name, options[name]])) as Options<S>;
}

/** Options whose values are checked where they are used, as they were given. Throws `INVALID_ARGUMENT` as {@link readOptions}. */
export function knownOptions<T extends object>(owner: string, names: Names<T>, options: T): T {
  return recordOf(owner, Object.keys(names), options) as T;
}

/** A record that has these names and no others. */
function recordOf(owner: string, names: readonly string[], options: unknown): Readonly<Record<string, unknown>> {
  const given = isRecord(options) ? Object.keys(options) : [];
  const unknown = given.find((name) => !names.includes(name));
  if (isRecord(options) && unknown === undefined && (given.length > 0 || isPlain(options)))
    return options as Readonly<Record<string, unknown>>;
  const none = names.length === 0;
  if (unknown === undefined || !isPlain(options)) {
    const wanted = none ? "no options" : `its options as a record { ${names.join(", ")} }`;
    throw invalid(`${owner} takes ${wanted}; given ${describe(options)}${remarkOnCall(owner, options)}`);
  }
  const meant = nearest(unknown, names);
  const takes = none ? "it has none" : `it takes ${names.join(", ")}`;
  const others = meant === undefined ? takes : `did you mean "${meant}"? I${takes.slice(1)}`;
  throw invalid(`${owner} has no option "${clip(unknown, 40)}"; ${others}`);
}

/** What a function is given that was put where what it makes is meant: as `accuracy` is outputs, and `regularizers.orthogonal` a model. */
function remarkOnCall(owner: string, options: unknown): string {
  if (!owner.endsWith("()") || !isRecord(options) || isPlain(options)) return "";
  return `; call it: what ${owner} returns is meant here, not ${owner.slice(0, -2)} itself`;
}

function isRecord(options: unknown): options is object {
  return typeof options === "object" && options !== null && !Array.isArray(options);
}

/** Whether a record was written down as such, and is no other object in its place. */
export function isPlain(value: unknown): value is object {
  if (!isRecord(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}

/** What is checked where it is used. */
export function asGiven<T>(): Option<T> {
  return { read: (_, given) => given as T };
}

/** A number that `fits`, as the words say; without a default it must be given. */
export function number(expected: string, fits: (value: number) => boolean, byDefault?: number): Option<number> {
  return {
    read(name, given = byDefault) {
      if (typeof given === "number" && fits(given)) return given;
      throw invalid(`${name} must be ${expected}; given ${describe(given)}`);
    },
  };
}

/** A finite number of at least 0. */
export function notNegative(byDefault?: number): Option<number> {
  return number("finite and at least 0", (value) => Number.isFinite(value) && value >= 0, byDefault);
}

/** A finite number above 0. */
export function positive(byDefault?: number): Option<number> {
  return number("finite and above 0", (value) => Number.isFinite(value) && value > 0, byDefault);
}

/** An object or a function that `fits`, as the words say; it may be left out. */
function has<T>(expected: string, fits: (given: Partial<Record<string, unknown>>) => boolean): Option<T | undefined> {
  return {
    read(name, given) {
      if (given === undefined || (given !== null && fits(given))) return given as T | undefined;
      throw invalid(`${name} must be ${expected}; given ${describe(given)}`);
    },
  };
}

/** What ends work: an AbortSignal of whatever host. */
export const abortSignal = has<AbortSignal>(
  "an AbortSignal, as the signal of an AbortController is one",
  ({ addEventListener, throwIfAborted }) =>
    typeof addEventListener === "function" && typeof throwIfAborted === "function",
);

/** What is called back. */
export const callback = has<(...args: never[]) => unknown>("a function", (given) => typeof given === "function");

/** Refuses what would be made a number of, or could not be: texts, flags, holes, BigInts. */
export function checkNumbers(name: string, values: ArrayLike<unknown>): void {
  for (let at = 0; at < values.length; at++) {
    if (typeof values[at] !== "number")
      throw invalid(`${name} must be numbers; element ${at} is ${describe(values[at])}`);
  }
}

/** What may be left out, and is undefined then. */
export function optional<T>(option: Option<T>): Option<T | undefined> {
  return { read: (name, given) => (given === undefined ? undefined : option.read(name, given)) };
}

/** A whole number of at least `least`; without a default it must be given. */
export function whole(least: number, byDefault?: number): Option<number> {
  return { read: (name, given = byDefault) => wholeNumber(name, given as number, least) };
}

/** A number for both image axes or one for each; without a default it must be given. */
export function pair(least: number, byDefault?: Pair): Option<readonly [number, number]> {
  return { read: (name, given = byDefault) => Object.freeze(pairOf(name, given as Pair, least)) };
}

export function flag(byDefault: boolean): Option<boolean> {
  return {
    read(name, given = byDefault) {
      if (typeof given === "boolean") return given;
      throw invalid(`${name} must be true or false; given ${describe(given)}`);
    },
  };
}

/** One of some texts; without a default it must be given. */
export function choice<const T extends string>(values: readonly T[], byDefault?: T): Option<T> {
  return {
    read(name, given = byDefault) {
      const known = values.find((value) => value === given);
      if (known !== undefined) return known;
      const texts = values.map((value) => `"${value}"`);
      throw invalid(`${name} must be ${texts.slice(0, -1).join(", ")} or ${texts.at(-1)}; given ${describe(given)}`);
    },
  };
}

/** A Lipschitz constant; left out, the container of a layer sets it. */
export const coefficient: Option<number | undefined> = optional(positive());

/** The class index of samples that do not count, if there is one. */
export const ignoreIndex: Option<number | undefined> = {
  read(name, given) {
    if (given === undefined || (Number.isInteger(given) && given === ((given as number) | 0))) return given;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be an integer of 32 bits; given ${describe(given)}`);
  },
};

/** Of the names that are close to one the name that takes the fewest edits to write, if there is any. */
function nearest(name: string, names: readonly string[]): string | undefined {
  // learningRate is lr.
  const initials = wordsOf(name).map(([first = ""]) => first);
  const short = names.find((other) => other.length > 1 && other.toLowerCase() === initials.join(""));
  if (short !== undefined) return short;
  const written = wordsOf(name).join("");
  const distances = names.map((other) =>
    isClose(name, other) ? edits(written, wordsOf(other).join("")) : Number.POSITIVE_INFINITY,
  );
  const least = Math.min(...distances);
  return Number.isFinite(least) ? names[distances.indexOf(least)] : undefined;
}

/** minDelta, min_delta and min-delta are the same words. */
function wordsOf(name: string): string[] {
  return name
    .split(/[_\-\s]+|(?<=[a-z])(?=[A-Z])/)
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase());
}

/** Whether one name may be meant by another: few letters differ, or all words of one are among those of the other. */
function isClose(name: string, other: string): boolean {
  const [one, two] = [wordsOf(name), wordsOf(other)];
  const [shorter = "", longer = ""] = [one.join(""), two.join("")].sort((a, b) => a.length - b.length);
  const distance = edits(shorter, longer);
  if (distance < shorter.length && distance <= Math.max(1, longer.length / 3)) return true;
  const [few, many] = one.length <= two.length ? [one, two] : [two, one];
  return few.length > 0 && few.every((word) => many.some((among) => beginAlike(word, among)));
}

/** Whether words are of one stem, as reduce and reduction, eps and epsilon, weight and weights are. */
function beginAlike(one: string, other: string): boolean {
  const shorter = Math.min(one.length, other.length);
  const differ = Array.from(one).findIndex((letter, i) => letter !== other[i]);
  const alike = differ < 0 ? one.length : differ;
  return alike === shorter ? alike >= SHORTEST_STEM : alike > SHORTEST_STEM && alike >= (2 / 3) * shorter;
}

/** Insertions, deletions, replacements and exchanges of neighbours that make one text the other. */
function edits(from: string, to: string): number {
  let before: number[] = [];
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isExchange = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const exchanged = isExchange ? (before[j - 2] ?? 0) + 1 : replaced;
      next.push(Math.min(replaced, exchanged, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[to.length] ?? 0;
}
