// Runs a job that a signal, or an error of whoever listens to its progress, can end.
import { type Job, type Progress, type RunResult, runCancellable } from "../native.js";

/**
 * Runs a job in one native call. Rejects with the signal's reason, or with what `onProgress` throws, within one step; the
 * last whole step stays.
 */
export async function runReporting(
  job: Job,
  signal: AbortSignal | undefined,
  onProgress: Progress | undefined,
): Promise<RunResult> {
  signal?.throwIfAborted();
  const stop = new AbortController();
  const follow = (): void => stop.abort(signal?.reason);
  signal?.addEventListener("abort", follow, { once: true });
  // The addon calls from outside of any promise: an error that left here would end the process.
  const report: Progress = (...progress) => {
    try {
      onProgress?.(...progress);
    } catch (error) {
      stop.abort(error);
    }
  };
  try {
    const result = await runCancellable(job, stop.signal, onProgress && report);
    stop.signal.throwIfAborted();
    return result;
  } finally {
    signal?.removeEventListener("abort", follow);
  }
}
