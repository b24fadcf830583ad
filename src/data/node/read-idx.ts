// Reads IDX files, plain or gzip-compressed.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { createGunzip } from "node:zlib";
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { nextTurn } from "../../node/index.js";
import { copyOf } from "../../tensor/dtype.js";
import type { Dataset, DatasetOptions } from "../dataset.js";
import { datasetFromIdx } from "../from-idx.js";
import { checkLength, type Header, type IdxArray, invalid, isGzip, parseHeader, parseIdx } from "../idx.js";

/** Where IDX content comes from: a path, a file URL, or the bytes themselves (plain or gzip). */
export type IdxSource = string | URL | Uint8Array;

const INFLATE_CHUNK = 1 << 18;

/**
 * A data set from a file of images (`[n, height, width]` or `[n, channels, height, width]`, u8, f32 or f64, which is rounded) and one of labels
 * (`[n]`, integers), each an IDX file, plain or gzip, given by path, file URL or bytes. Images become `[channels, height, width]`.
 * @throws TslipError IO for a file that cannot be read, INVALID_FILE (with the byte offset) for one that is no intact IDX file
 * or has another type or rank, SHAPE_MISMATCH where the counts differ, EMPTY_DATASET, LABEL_OUT_OF_RANGE, NON_FINITE.
 */
export async function fromIdx(images: IdxSource, labels: IdxSource, options: DatasetOptions = {}): Promise<Dataset> {
  const imageName = sourceName(images, "images");
  const labelName = sourceName(labels, "labels");
  const [imageArray, labelArray] = await Promise.all([readIdx(images, imageName), readIdx(labels, labelName)]);
  return datasetFromIdx({ ...imageArray, name: imageName }, { ...labelArray, name: labelName }, options);
}

/** What `source` is called in messages: its path, or `fallback` for bytes. */
export function sourceName(source: IdxSource, fallback: string): string {
  if (source instanceof Uint8Array) return fallback;
  if (typeof source === "string") return source;
  if (!(source instanceof URL) || source.protocol !== "file:") {
    const given = source instanceof URL ? source.href : describe(source);
    throw new TslipError("INVALID_ARGUMENT", `IDX content is a path, a file URL or a Uint8Array; given ${given}`);
  }
  return fileURLToPath(source);
}

/**
 * Reads an IDX file, plain or gzip. Bytes that are given are copied at once.
 * @param name what error messages call bytes given without a path.
 * @throws TslipError IO where the file cannot be read, INVALID_FILE where it is no intact IDX file.
 */
export async function readIdx(source: IdxSource, name = "IDX bytes"): Promise<IdxArray> {
  const label = sourceName(source, name);
  const bytes = source instanceof Uint8Array ? copyOf(source) : await readBytes(label);
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
  const whole = Buffer.concat(chunks, length);
  // To bring tens of megabytes together is enough for one turn of the event loop.
  await nextTurn();
  return whole;
}
