// Values as text, as NumPy prints them, and as JSON.
import type { DType, TypedArray } from "./dtype.js";
import type { Shape } from "./shape.js";

/** A number as JSON, which has no NaN, infinities and -0: those are the strings that `Number` reads as such. */
export type JsonNumber = number | "NaN" | "Infinity" | "-Infinity" | "-0";

/** A tensor as JSON: values flat, row-major; booleans are 0 and 1. `tensor(data.map(Number), shape, { dtype })` reads it back. */
export interface TensorJson {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly data: readonly JsonNumber[];
}

/** Under this name a method says what `console.log` prints. */
export const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** More values than these are elided. */
const MOST = 100;
/** Positions at either end of an axis that remain then. */
const ENDS = { ofMatrices: 3, ofMore: 1 };
/** float32 tells more, which its users seldom need. */
const DIGITS = 6;

/** Stands for positions that were left out. */
const ELIDED = "...";

/** Values nested by axes, in columns, of which large ones keep the ends of each axis. */
export function showValues(values: TypedArray, shape: Shape, dtype: DType): string {
  const ends = values.length <= MOST ? Number.POSITIVE_INFINITY : shape.length > 2 ? ENDS.ofMore : ENDS.ofMatrices;
  /** Of an axis the positions that are shown; -1 stands for those that are not. */
  const positions = (extent: number): number[] => {
    const all = extent <= 2 * ends + 1;
    const at = (_: unknown, i: number): number => (all || i < ends ? i : i === ends ? -1 : extent - 2 * ends - 1 + i);
    return Array.from({ length: all ? extent : 2 * ends + 1 }, at);
  };
  let width = 0;
  const texts = (axis: number, from: number): Nested => {
    const extent = shape[axis];
    if (extent === undefined) {
      const text = showNumber(values[from] ?? 0, dtype);
      width = Math.max(width, text.length);
      return text;
    }
    const inside = shape.slice(axis + 1).reduce((size, n) => size * n, 1);
    return positions(extent).map((i) => (i < 0 ? ELIDED : texts(axis + 1, from + i * inside)));
  };
  const nested = texts(0, 0);
  return joined(nested, shape.length > 1 ? width : 0, shape.length, 0);
}

type Nested = string | Nested[];

/** Entries of the last axis stand in a line, those of an axis before it in lines of their own. */
function joined(nested: Nested, width: number, rank: number, depth: number): string {
  if (typeof nested === "string") return nested === ELIDED ? nested : nested.padStart(width);
  const parts = nested.map((part) => joined(part, width, rank, depth + 1));
  const inner = rank - depth - 1;
  return `[${parts.join(inner === 0 ? ", " : `,${"\n".repeat(inner)}${" ".repeat(depth + 1)}`)}]`;
}

function showNumber(value: number, dtype: DType): string {
  if (dtype === "bool") return String(value !== 0);
  if (Object.is(value, -0)) return "-0";
  return String(Number.isSafeInteger(value) ? value : Number(value.toPrecision(DIGITS)));
}

/** Numbers as JSON. */
export function jsonOf(values: ArrayLike<number>): JsonNumber[] {
  return Array.from(values, (value) => {
    if (Number.isFinite(value)) return Object.is(value, -0) ? "-0" : value;
    return String(value) as JsonNumber;
  });
}
