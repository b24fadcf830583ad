// Reads IDX files (the format of MNIST and Fashion-MNIST), plain or gzip-compressed.
// Layout: two zero bytes, element type, rank, one big-endian u32 a dimension, then the elements, big-endian.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createGunzip } from "node:zlib";
import { TslipError } from "../errors.js";

/** Where IDX content comes from: a path, a file URL, or the bytes themselves (plain or gzip). */
export type IdxSource = string | URL | Uint8Array;

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
const INFLATE_CHUNK = 1 << 18;

interface Header {
  type: IdxType;
  elementBytes: 1 | 2 | 4 | 8;
  shape: number[];
  /** Offset of the first element. */
  start: number;
  /** Length of the whole file, decompressed. */
  end: number;
}

function invalid(name: string, offset: number, problem: string): TslipError {
  return new TslipError("INVALID_FILE", `${name}, byte ${offset}: ${problem}`);
}

export function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The header at the start of `bytes` (decompressed), or undefined where `bytes` is too short to hold one. */
function parseHeader(bytes: Uint8Array, name: string): Header | undefined {
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
function checkLength(header: Header | undefined, length: number, name: string): Header {
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
 * Decompresses gzip `bytes` that hold an IDX file. Stops at the first byte beyond what the IDX header announces, so memory
 * follows the data that is really there, never the header.
 * @throws TslipError INVALID_FILE for a damaged or truncated stream, bytes after it, or a damaged IDX header.
 */
export async function inflateIdx(bytes: Uint8Array, name: string): Promise<Uint8Array> {
  const gunzip = createGunzip({ chunkSize: INFLATE_CHUNK });
  const chunks: Uint8Array[] = [];
  let length = 0;
  let header: Header | undefined;
  gunzip.end(bytes);
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      header ??= parseHeader(chunks.length === 1 ? chunk : Buffer.concat(chunks), name);
      if (header !== undefined && length > header.end) break;
    }
  } catch (error) {
    if (error instanceof TslipError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw invalid(name, gunzip.bytesWritten, `bad gzip data (${reason})`);
  } finally {
    gunzip.destroy();
  }
  checkLength(header, length, `${name} (decompressed)`);
  if (gunzip.bytesWritten < bytes.length) {
    throw invalid(
      name,
      gunzip.bytesWritten,
      `${bytes.length - gunzip.bytesWritten} bytes after the end of the gzip data`,
    );
  }
  return Buffer.concat(chunks, length);
}

/**
 * Parses decompressed IDX `bytes`. Arrays of bytes share memory with `bytes`; wider elements are copied into host order.
 * @param name what error messages call the file.
 * @throws TslipError INVALID_FILE with the offset where the content stops being an IDX file.
 */
export function parseIdx(bytes: Uint8Array, name: string): IdxArray {
  const { type, elementBytes, shape, start, end } = checkLength(parseHeader(bytes, name), bytes.length, name);
  if (type === "u8") return { type, shape, data: bytes.subarray(start, end) };
  if (type === "i8") return { type, shape, data: new Int8Array(bytes.buffer, bytes.byteOffset + start, end - start) };

  const swapped = Buffer.from(new Uint8Array(end - start).buffer);
  swapped.set(bytes.subarray(start, end));
  if (elementBytes === 2) swapped.swap16();
  else if (elementBytes === 4) swapped.swap32();
  else swapped.swap64();
  const { buffer } = swapped;
  if (type === "i16") return { type, shape, data: new Int16Array(buffer) };
  if (type === "i32") return { type, shape, data: new Int32Array(buffer) };
  if (type === "f32") return { type, shape, data: new Float32Array(buffer) };
  return { type, shape, data: new Float64Array(buffer) };
}

/** What `source` is called in messages: its path, or `fallback` for bytes. */
export function sourceName(source: IdxSource, fallback: string): string {
  if (source instanceof Uint8Array) return fallback;
  if (typeof source === "string") return source;
  if (source.protocol !== "file:") {
    throw new TslipError("INVALID_ARGUMENT", `${source.href} is not a file URL; give a path, a file URL or the bytes`);
  }
  return fileURLToPath(source);
}

/**
 * Reads an IDX file, plain or gzip.
 * @param name what error messages call bytes given without a path.
 * @throws TslipError IO where the file cannot be read, INVALID_FILE where it is no intact IDX file.
 */
export async function readIdx(source: IdxSource, name = "IDX bytes"): Promise<IdxArray> {
  const label = sourceName(source, name);
  const bytes = source instanceof Uint8Array ? source : await readBytes(label);
  return parseIdx(isGzip(bytes) ? await inflateIdx(bytes, label) : bytes, label);
}

/** A whole file. @throws TslipError IO with the reason. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new TslipError("IO", `${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function hex(byte: number | undefined): string {
  return `0x${(byte ?? 0).toString(16).padStart(2, "0")}`;
}
