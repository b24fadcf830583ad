// Downloads one file of a data set: mirror after mirror, checked before it is handed out.
import { createHash } from "node:crypto";
import { TslipError } from "../../errors.js";
import type { ArchiveFile } from "../archive.js";
import { isGzip } from "../idx.js";
import { inflateIdx } from "./read-idx.js";

export interface DownloadOptions {
  mirrors: readonly string[];
  /** Longest silence of a mirror, in milliseconds, before the next one is tried. */
  idleTimeoutMs: number;
  signal: AbortSignal | undefined;
  /** Told how many bytes of the file have arrived (from 0 again with the next mirror). */
  onBytes: (received: number) => void;
}

/** A checked file: as the mirror sent it, decompressed, and the mirror that sent it. */
export interface Download {
  served: Uint8Array;
  content: Uint8Array;
  mirror: string;
}

/** A mirror may compress otherwise, never this much worse. */
const SLACK_BYTES = 1 << 20;

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * The file from the first mirror that has it intact.
 * @throws TslipError IO that lists why every mirror failed; the signal's reason once it is aborted.
 */
export async function download(file: ArchiveFile, options: DownloadOptions): Promise<Download> {
  const failures: string[] = [];
  for (const mirror of options.mirrors) {
    const url = `${mirror}${file.name}.gz`;
    try {
      const served = await fetchBytes(url, file.bytes + SLACK_BYTES, options);
      // A server that declares the file's compression as the transfer's has it decompressed on the way.
      const content = isGzip(served) ? await inflateIdx(served, url) : served;
      const digest = sha256(content);
      if (digest !== file.sha256) throw new Error(`SHA-256 is ${digest}, expected ${file.sha256}`);
      options.signal?.throwIfAborted();
      return { served, content, mirror };
    } catch (error) {
      options.signal?.throwIfAborted();
      failures.push(`${url}: ${reason(error)}`);
    }
  }
  throw new TslipError("IO", `${file.name} could not be downloaded:\n  ${failures.join("\n  ")}`);
}

async function fetchBytes(url: string, maxBytes: number, options: DownloadOptions): Promise<Uint8Array> {
  const { signal, idleTimeoutMs, onBytes } = options;
  signal?.throwIfAborted();
  const controller = new AbortController();
  const forward = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", forward, { once: true });
  const timer = setTimeout(() => controller.abort(new Error(`no data for ${idleTimeoutMs / 1000} s`)), idleTimeoutMs);
  try {
    const response = await fetch(url, { signal: controller.signal, redirect: "follow" });
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new Error(`HTTP ${response.status} ${response.statusText}`.trim());
    }
    const chunks: Uint8Array[] = [];
    let received = 0;
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      timer.refresh();
      received += chunk.length;
      if (received > maxBytes) throw new Error(`more than ${maxBytes} bytes; this is another file`);
      chunks.push(chunk);
      onBytes(received);
    }
    return Buffer.concat(chunks, received);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", forward);
    // Ends the transfer where this function stopped reading before its end.
    controller.abort();
  }
}

/** fetch says only "fetch failed"; what happened is its cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
