// Shapes and axes as users write them: negative axes, nested arrays, one extent left open.
import { TslipError } from "../errors.js";

/** Extents, outermost first; empty for a scalar. */
export type Shape = readonly number[];

/** Number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((n, extent) => n * extent, 1);
}

/** `[2, 3]` as text. */
export function showShape(shape: Shape): string {
  return `[${shape.join(", ")}]`;
}

/** Refuses extents that are not whole numbers >= 0. */
export function checkShape(shape: Shape): void {
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `a shape is an array of whole numbers >= 0; given ${JSON.stringify(shape)}`,
    );
  }
}

/** An axis counted from the front; negative ones count from the end, as in NumPy. */
export function axisOf(axis: number, rank: number): number {
  const from = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || from < 0 || from >= rank) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `axis ${axis} does not exist in a tensor of rank ${rank}; expected a whole number from ${-rank} to ${rank - 1}`,
    );
  }
  return from;
}

/** One axis, several, or (undefined) all of them, counted from the front, ascending. */
export function axesOf(axes: number | readonly number[] | undefined, rank: number): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, i) => i);
  const list = (typeof axes === "number" ? [axes] : axes).map((axis) => axisOf(axis, rank));
  if (new Set(list).size < list.length) {
    throw new TslipError("INVALID_ARGUMENT", `axes ${showShape(list)} name an axis twice; name each once`);
  }
  return list.sort((a, b) => a - b);
}

/** Fills in the one extent that is -1 so that the shape has `size` elements. */
export function completeShape(shape: Shape, size: number): number[] {
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
      `${name} must be a whole number >= ${least} or a pair [height, width] of them; given ${JSON.stringify(pair) ?? "nothing"}`,
    );
  }
  return [a, b];
}

/** Refuses what is not a whole number >= `least`. */
export function wholeNumber(name: string, value: number, least: number): number {
  if (!Number.isSafeInteger(value) || value < least) {
    const range = least === Number.MIN_SAFE_INTEGER ? "" : ` >= ${least}`;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be a whole number${range}; given ${String(value)}`);
  }
  return value;
}
