// Local certificates: radii by what a network can do near an image, where those that rest on constants alone leave something.

import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type Interruptible, machine } from "../native.js";
import type { Option } from "../options.js";
import type { TypedArray } from "../tensor/dtype.js";
import type { Bounds, Pass } from "./forward.js";

/** "fast", from constants alone; "local", from what the network can do near the image; or "local" with that many tries to prove a radius. */
export type Effort = "fast" | "local" | number;

/** Tries of "local". */
const TRIES = 6;

/** How many tries to prove a radius around an image, of which "fast" makes none. */
export const effort: Option<number> = {
  read(name, given = "fast") {
    if (given === "fast") return 0;
    if (given === "local") return TRIES;
    if (Number.isSafeInteger(given) && (given as number) >= 1) return given as number;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be "fast", "local" or a whole number of at least 1, the tries for each image; given ${describe(given)}`,
    );
  },
};

/** What of a certificate a search may make better. */
interface Proved {
  radius: number;
  effort: "fast" | "local";
}

/** How a search for local radii goes on. */
export interface LocalSearch {
  /** Tries for each image, at least 1. */
  readonly tries: number;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((share: number) => void) | undefined;
}

/** Images looked at between two looks at the signal, for each worker. */
const AT_ONCE = 2;

/** Certificates with the larger radius of each, of those given and of what holds near the image. Throws the signal's reason, and what `onProgress` throws. */
export async function improved<C extends Proved>(
  certificates: readonly C[],
  { logits, squares }: Pass,
  { local }: Bounds,
  pixels: TypedArray,
  { tries, signal, onProgress }: LocalSearch,
): Promise<C[]> {
  if (local === undefined) throw new TslipError("INTERNAL", "local radii were asked for of bounds that know no pieces");
  const count = certificates.length;
  const found: C[] = [];
  const chunk = machine().threads * AT_ONCE;
  // Bytes are divided by 255 before they enter the first layer.
  const scale = pixels instanceof Uint8Array ? 255 : 1;
  for (let start = 0; start < count; start += chunk) {
    signal?.throwIfAborted();
    const some = certificates.slice(start, start + chunk);
    const rowsOf = (values: TypedArray | Float64Array, unit = 1): Float64Array => {
      const width = values.length / count;
      const rows = new Float64Array(values.subarray(start * width, (start + some.length) * width));
      if (unit !== 1) for (let i = 0; i < rows.length; i++) rows[i] = (rows[i] as number) / unit;
      return rows;
    };
    const samples = {
      inputs: rowsOf(pixels, scale),
      logits: rowsOf(logits),
      squares: rowsOf(squares),
      radii: Float64Array.from(some, ({ radius }) => radius),
    };
    const radii = await unlessAborted(local(samples, tries), signal);
    some.forEach((one, i) => {
      const radius = radii[i] ?? 0;
      found.push(radius > one.radius ? { ...one, radius, effort: "local" } : one);
    });
    await onProgress?.(found.length / count);
  }
  return found;
}

/** The result of work, which ends soon where a signal is aborted. Throws the signal's reason then. */
async function unlessAborted<T>(work: Interruptible<T>, signal: AbortSignal | undefined): Promise<T> {
  const interrupt = (): void => work.interrupt();
  signal?.addEventListener("abort", interrupt, { once: true });
  try {
    const result = await work.result;
    signal?.throwIfAborted();
    return result;
  } finally {
    signal?.removeEventListener("abort", interrupt);
  }
}
