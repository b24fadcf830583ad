// Trainings that change the same objects take turns, in the order in which they were asked for.
import { AsyncVariable } from "../node/index.js";

/** When all trainings of an object that were asked for so far will be over; nothing where none is. */
type Ends = WeakMap<object, Promise<void>>;

const outermost: Ends = new WeakMap();
/** A training waits for its callbacks, so those that they start take turns among themselves. */
const scope = new AsyncVariable<Ends>();

/**
 * Calls `train` once all earlier trainings that change one of these objects are over, however they end. Rejects with the
 * signal's reason as soon as it is aborted while waiting.
 */
export async function inTurn<T>(
  changed: readonly object[],
  signal: AbortSignal | undefined,
  train: () => Promise<T>,
): Promise<T> {
  const ends = scope.get() ?? outermost;
  const earlier = [...new Set(changed.map((one) => ends.get(one)))].filter((end) => end !== undefined);
  let leave = (): void => undefined;
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  // One that gives up waiting lets nobody past those that it waited for.
  const end = Promise.all([left, ...earlier]).then(() => {
    for (const one of changed) if (ends.get(one) === end) ends.delete(one);
  });
  for (const one of changed) ends.set(one, end);
  try {
    if (earlier.length > 0) await unlessAborted(Promise.all(earlier), signal);
    return await scope.run(new WeakMap(), train);
  } finally {
    leave();
  }
}

/** Waits, and rejects with the signal's reason as soon as it is aborted. */
export async function unlessAborted(wait: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  let stop = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
  });
  signal?.addEventListener("abort", stop, { once: true });
  await Promise.race([wait, aborted]);
  signal?.removeEventListener("abort", stop);
  signal?.throwIfAborted();
}
