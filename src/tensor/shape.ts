// Shapes and axes as users write them: negative axes, nested arrays, one extent left open.
import { describe, list } from "../describe.js";
import { TslipError } from "../errors.js";

/** Extents, outermost first; empty for a scalar. */
export type Shape = readonly number[];

/** Extents that a text lists. */
const SHOWN = 12;

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((n, extent) => n * extent, 1);
}

/** Whether two shapes have the same extents. */
export function sameShape(one: Shape, other: Shape): boolean {
  return one.length === other.length && one.every((extent, axis) => extent === other[axis]);
}

/** `[2, 3]` as text, short where someone gave very many extents. */
export function showShape(shape: Shape): string {
  return `[${list(shape, SHOWN)}]`;
}

/** Refuses extents that are not whole numbers >= 0. */
export function checkShape(shape: Shape): void {
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `a shape is an array of whole numbers >= 0, such as [2, 3]; given ${describe(shape)}`,
    );
  }
}

/** An axis counted from the front; negative ones count from the end, as in NumPy. */
export function axisOf(axis: number, rank: number): number {
  const from = typeof axis === "number" && axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || from < 0 || from >= rank) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `axis ${describe(axis)} does not exist in a tensor of rank ${rank}; expected a whole number` +
        (rank === 0 ? "; it has none" : ` from ${-rank} to ${rank - 1}`),
    );
  }
  return from;
}

/** One axis, several, or (undefined) all of them, counted from the front, ascending. */
export function axesOf(axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  if (typeof axes !== "number" && !Array.isArray(axes)) {
    throw new TslipError("INVALID_ARGUMENT", `axes are a number or an array of numbers; given ${describe(axes)}`);
  }
  const all = (typeof axes === "number" ? [axes] : axes).map((axis) => axisOf(axis, rank));
  if (new Set(all).size < all.length) {
    throw new TslipError("INVALID_ARGUMENT", `axes ${showShape(all)} name an axis twice; name each once`);
  }
  return all.sort((a, b) => a - b);
}

/** Fills in the one extent that is -1 so that the shape has `size` elements. */
export function completeShape(shape: Shape, size: number): number[] {
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= -1)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `reshape takes an array of whole numbers, of which one may be -1; given ${describe(shape)}`,
    );
  }
  const open = shape.indexOf(-1);
  if (open < 0) return [...shape];
  const known = sizeOf(shape.filter((_, i) => i !== open));
  if (shape.lastIndexOf(-1) !== open || known <= 0 || size % known !== 0) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `cannot reshape ${size} elements to ${showShape(shape)}: one extent may be -1, and the others must divide ${size}`,
    );
  }
  return shape.map((extent, i) => (i === open ? size / known : extent));
}

/** A number for both image axes, or one for each [height, width]. */
export type Pair = number | readonly [number, number];

/** Both numbers of a {@link Pair}; refuses fractions and values below `least`. */
export function pairOf(name: string, pair: Pair, least: number): [number, number] {
  const both: readonly unknown[] = Array.isArray(pair) ? pair : [pair, pair];
  const [a, b] = both;
  const whole = (n: unknown): n is number => Number.isSafeInteger(n) && Number(n) >= least;
  if (both.length !== 2 || !whole(a) || !whole(b)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be a whole number >= ${least} or a pair [height, width] of them; given ${describe(pair)}`,
    );
  }
  return [a, b];
}

/** Refuses what is not a whole number >= `least`. */
export function wholeNumber(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    const range = least === Number.MIN_SAFE_INTEGER ? "" : ` >= ${least}`;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be a whole number${range}; given ${describe(value)}`);
  }
  return value;
}
