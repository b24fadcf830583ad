// Options of a class: one schema says what they are, their defaults and what is wrong with others, given by a user or a file.
import { TslipError } from "./errors.js";
import { type Pair, pairOf, wholeNumber } from "./tensor/shape.js";

/** One option: `read` gives its value, or throws `INVALID_ARGUMENT` naming it; undefined is what was not given. */
export interface Option<T> {
  read(name: string, given: unknown): T;
}

/** Options by name. */
export type Schema = Readonly<Record<string, Option<unknown>>>;

/** What a schema reads, complete: defaults are filled in. */
export type Options<S extends Schema> = { readonly [K in keyof S]: S[K] extends Option<infer T> ? T : never };

/**
 * What `owner` was given, each option checked: `sizes` by position, the others in a record. Throws `INVALID_ARGUMENT` for
 * anything but a record, for names that the schema does not have (with the nearest that it has) and for values that do not
 * fit. The result cannot be changed.
 */
export function readOptions<S extends Schema>(
  owner: string,
  schema: S,
  sizes: Readonly<Record<string, unknown>>,
  options: unknown = {},
): Options<S> {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    const named = Object.keys(schema).filter((name) => !Object.hasOwn(sizes, name));
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${owner} takes its options as a record { ${named.join(", ")} }; given ${Array.isArray(options) ? "an array" : String(options)}`,
    );
  }
  const record: Readonly<Record<string, unknown>> = { ...options, ...sizes };
  for (const name of Object.keys(record)) {
    if (Object.hasOwn(schema, name)) continue;
    const names = Object.keys(schema);
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${owner} has no option "${name}"; ` +
        (names.length === 0 ? "it has none" : `did you mean "${nearest(name, names)}"? It takes ${names.join(", ")}`),
    );
  }
  const read = Object.entries(schema).map(([name, option]) => [name, option.read(name, record[name])]);
  return Object.freeze(Object.fromEntries(read)) as Options<S>;
}

/** Those of a record that a schema has. */
export function only<S extends Schema>(schema: S, record: Readonly<Record<string, unknown>>): Partial<Options<S>> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => Object.hasOwn(schema, name))) as Partial<
    Options<S>
  >;
}

/** A whole number of at least `least`; without a default it must be given. */
export function whole(least: number, byDefault?: number): Option<number> {
  return { read: (name, given = byDefault) => wholeNumber(name, given as number, least) };
}

/** A number for both image axes or one for each; without a default it must be given. */
export function pair(least: number, byDefault?: Pair): Option<readonly [number, number]> {
  return { read: (name, given = byDefault) => Object.freeze(pairOf(name, given as Pair, least)) };
}

/** The size of an image, if there is only one. */
export const imageSize: Option<readonly [number, number] | undefined> = {
  read: (name, given) => (given === undefined ? undefined : Object.freeze(pairOf(name, given as Pair, 1))),
};

export function flag(byDefault: boolean): Option<boolean> {
  return {
    read(name, given = byDefault) {
      if (typeof given === "boolean") return given;
      throw new TslipError("INVALID_ARGUMENT", `${name} must be true or false; given ${String(given)}`);
    },
  };
}

export function choice<const T extends string>(values: readonly T[], byDefault: T): Option<T> {
  return {
    read(name, given = byDefault) {
      const known = values.find((value) => value === given);
      if (known !== undefined) return known;
      throw new TslipError("INVALID_ARGUMENT", `${name} must be one of ${values.join(", ")}; given ${String(given)}`);
    },
  };
}

/** A Lipschitz constant; left out, the container of a layer sets it. */
export const coefficient: Option<number | undefined> = {
  read(name, given) {
    if (given === undefined || (typeof given === "number" && Number.isFinite(given) && given > 0)) return given;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be finite and above 0; given ${String(given)}`);
  },
};

/** The class index of samples that do not count, if there is one. */
export const ignoreIndex: Option<number | undefined> = {
  read(name, given) {
    if (given === undefined || (Number.isInteger(given) && given === ((given as number) | 0))) return given;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be an integer of 32 bits; given ${String(given)}`);
  },
};

/** The name of the list that takes the fewest edits to write. */
function nearest(name: string, names: readonly string[]): string {
  const distances = names.map((other) => edits(name.toLowerCase(), other.toLowerCase()));
  return names[distances.indexOf(Math.min(...distances))] ?? "";
}

/** Levenshtein's distance. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
