// Element types and the typed arrays that hold them.
import { TslipError } from "../errors.js";
import type { DType } from "../native.js";
import { choice } from "../options.js";

export type { DType } from "../native.js";

/** An element type as an option. */
export const DTYPE = choice<DType>(["f32", "i32", "u8", "bool"]);

/** Values of a tensor: `Float32Array` for f32, `Int32Array` for i32, `Uint8Array` for u8 and bool. */
export type TypedArray = Float32Array | Int32Array | Uint8Array;

/** Values as they may be given: a `Float64Array` is rounded to f32, a `Uint8ClampedArray` is u8. */
export type ArrayData = TypedArray | Float64Array | Uint8ClampedArray | readonly number[];

/** A fresh array of zeros that holds `length` elements of `dtype`. */
export function newArray(dtype: DType, length: number): TypedArray {
  if (dtype === "f32") return new Float32Array(length);
  return dtype === "i32" ? new Int32Array(length) : new Uint8Array(length);
}

/** A copy in memory of its own, as a plain typed array: `slice` of a Node `Buffer` is a view, and gives another one. */
export function copyOf<A extends Float32Array | Int32Array | Uint8Array | Uint8ClampedArray>(values: A): A;
export function copyOf(
  values: Float32Array | Int32Array | Uint8Array | Uint8ClampedArray,
): Float32Array | Int32Array | Uint8Array | Uint8ClampedArray {
  return values instanceof Uint8Array ? new Uint8Array(values) : values.slice();
}

const BIG_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 0;

/** The bytes of `values`, shared, as they cross to the engine (little-endian). */
export function bytesOf(values: TypedArray): Uint8Array {
  if (BIG_ENDIAN) throw new TslipError("UNSUPPORTED", "tslip needs a little-endian machine");
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Reads bytes of the engine as values of `dtype`; shares memory where alignment allows. */
export function fromBytes(dtype: DType, bytes: Uint8Array): TypedArray {
  if (dtype === "u8" || dtype === "bool") return bytes;
  const { buffer, byteOffset, byteLength } = byteOffset4(bytes);
  return dtype === "f32"
    ? new Float32Array(buffer, byteOffset, byteLength / 4)
    : new Int32Array(buffer, byteOffset, byteLength / 4);
}

function byteOffset4(bytes: Uint8Array): Uint8Array {
  return bytes.byteOffset % 4 === 0 ? bytes : copyOf(bytes);
}

/** Whether two arrays hold the same bytes; those of numbers are compared by fours, as weights are many. */
export function sameBytes(one: Uint8Array, two: Uint8Array): boolean {
  if (one.length !== two.length) return false;
  if ([one.byteOffset, two.byteOffset, one.length].some((n) => n % 4 !== 0)) return sameNumbers(one, two);
  const fours = ({ buffer, byteOffset, length }: Uint8Array) => new Int32Array(buffer, byteOffset, length / 4);
  return sameNumbers(fours(one), fours(two));
}

function sameNumbers(one: Uint8Array | Int32Array, two: Uint8Array | Int32Array): boolean {
  for (let i = 0; i < one.length; i++) if (one[i] !== two[i]) return false;
  return true;
}

/** The float32 beside one that is finite and not 0: the next farther from 0, or for -1 the next nearer to it. */
export function nextFloat32(value: number, outward: 1 | -1): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  // Magnitudes are in the order of their bits.
  view.setInt32(0, view.getInt32(0) + outward);
  return view.getFloat32(0);
}
