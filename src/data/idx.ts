// The IDX format, in which MNIST and Fashion-MNIST come.
// Layout: two zero bytes, element type, rank, one big-endian u32 a dimension, then the elements, big-endian.
import { TslipError } from "../errors.js";

export type IdxType = "u8" | "i8" | "i16" | "i32" | "f32" | "f64";

/** The content of an IDX file: `data` holds the elements of the row-major array of shape `shape`. */
export interface IdxArray {
  type: IdxType;
  shape: number[];
  data: Uint8Array | Int8Array | Int16Array | Int32Array | Float32Array | Float64Array;
}

const TYPES: ReadonlyMap<number, { type: IdxType; bytes: 1 | 2 | 4 | 8 }> = new Map([
  [0x08, { type: "u8", bytes: 1 }],
  [0x09, { type: "i8", bytes: 1 }],
  [0x0b, { type: "i16", bytes: 2 }],
  [0x0c, { type: "i32", bytes: 4 }],
  [0x0d, { type: "f32", bytes: 4 }],
  [0x0e, { type: "f64", bytes: 8 }],
]);
const MAGIC_BYTES = 4;
const DIMENSION_BYTES = 4;
/** Ranks above this are taken for a damaged header: no image format needs more. */
const MAX_RANK = 8;
/** Largest array accepted; a header that announces more is damaged, or not meant for memory. */
const MAX_BYTES = 2 ** 32 - 1;

export interface Header {
  type: IdxType;
  elementBytes: 1 | 2 | 4 | 8;
  shape: number[];
  /** Offset of the first element. */
  start: number;
  /** Length of the whole file, decompressed. */
  end: number;
}

/** The error that says where a file stops being an IDX file. */
export function invalid(name: string, offset: number, problem: string): TslipError {
  return new TslipError("INVALID_FILE", `${name}, byte ${offset}: ${problem}`);
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The header at the start of `bytes` (decompressed), or undefined where `bytes` is too short to hold one. */
export function parseHeader(bytes: Uint8Array, name: string): Header | undefined {
  for (let offset = 0; offset < Math.min(2, bytes.length); offset += 1) {
    if (bytes[offset] !== 0) {
      throw invalid(name, offset, `${hex(bytes[offset])} where an IDX file has 0x00; this is not an IDX file`);
    }
  }
  const typeCode = bytes[2];
  if (typeCode === undefined) return undefined;
  const element = TYPES.get(typeCode);
  if (element === undefined) {
    const known = Array.from(TYPES, ([code, { type }]) => `${hex(code)} (${type})`);
    throw invalid(name, 2, `unknown element type ${hex(typeCode)}; IDX has ${known.join(", ")}`);
  }
  const rank = bytes[3];
  if (rank === undefined) return undefined;
  if (rank === 0 || rank > MAX_RANK) throw invalid(name, 3, `rank ${rank}; expected 1 to ${MAX_RANK}`);

  const start = MAGIC_BYTES + DIMENSION_BYTES * rank;
  if (bytes.length < start) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, start);
  const shape: number[] = [];
  let size: number = element.bytes;
  for (let axis = 0; axis < rank; axis += 1) {
    const offset = MAGIC_BYTES + DIMENSION_BYTES * axis;
    const dimension = view.getUint32(offset);
    if (dimension === 0 && axis > 0) throw invalid(name, offset, `dimension ${axis} is 0`);
    shape.push(dimension);
    size *= dimension;
    if (size > MAX_BYTES) {
      throw invalid(name, offset, `dimensions ${shape.join(" x ")}… pass ${MAX_BYTES} bytes; the header is damaged`);
    }
  }
  return { type: element.type, elementBytes: element.bytes, shape, start, end: start + size };
}

/** Checks that a file whose decompressed length is `length` holds exactly what its header announces. */
export function checkLength(header: Header | undefined, length: number, name: string): Header {
  if (header === undefined) throw invalid(name, length, "the file ends inside the IDX header; it is truncated");
  const announced = `the header announces ${header.shape.join(" x ")} elements of type ${header.type}`;
  if (length < header.end) {
    throw invalid(
      name,
      length,
      `the file ends here, ${header.end - length} bytes early (${announced}); it is truncated`,
    );
  }
  if (length > header.end) throw invalid(name, header.end, `data after the last element (${announced})`);
  return header;
}

/**
 * Parses decompressed IDX `bytes`. Arrays of bytes share memory with `bytes`, as plain `Uint8Array` or `Int8Array`; wider elements are copied into host order.
 * @param name what error messages call the file.
 * @throws TslipError INVALID_FILE with the offset where the content stops being an IDX file.
 */
export function parseIdx(bytes: Uint8Array, name: string): IdxArray {
  const { type, elementBytes, shape, start, end } = checkLength(parseHeader(bytes, name), bytes.length, name);
  if (type === "u8") return { type, shape, data: new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start) };
  if (type === "i8") return { type, shape, data: new Int8Array(bytes.buffer, bytes.byteOffset + start, end - start) };

  const { buffer } = reversed(bytes.subarray(start, end), elementBytes);
  if (type === "i16") return { type, shape, data: new Int16Array(buffer) };
  if (type === "i32") return { type, shape, data: new Int32Array(buffer) };
  if (type === "f32") return { type, shape, data: new Float32Array(buffer) };
  return { type, shape, data: new Float64Array(buffer) };
}

/** A copy with the bytes of each element the other way round. */
function reversed(bytes: Uint8Array, elementBytes: number): Uint8Array<ArrayBuffer> {
  const copy = Uint8Array.from(bytes);
  for (let at = 0; at < copy.length; at += elementBytes) copy.subarray(at, at + elementBytes).reverse();
  return copy;
}

function hex(byte: number | undefined): string {
  return `0x${(byte ?? 0).toString(16).padStart(2, "0")}`;
}
