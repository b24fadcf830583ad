// Answers that may be promises, of whatever realm or library they are: all that counts is that they can be awaited.

/** Whether a value is a promise, or what is used as one. */
export function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/** An answer whose rejection is told to whoever awaits it, and to nobody where nobody comes to it. */
export function quiet<T>(answer: T): T {
  if (isPromise(answer)) answer.then(undefined, () => undefined);
  return answer;
}

/** What follows from a result, at once where it is there. */
export function following<T, U>(result: T | Promise<T>, follows: (result: T) => U): U | Promise<U> {
  return isPromise(result) ? (result as Promise<T>).then(follows) : follows(result as T);
}

/** What an answer gives, or the reason of a signal that is aborted before it is there: nobody waits for it then. */
export async function unlessAborted<T>(answer: T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined || !isPromise(answer)) return await answer;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
  try {
    return await Promise.race([answer as Promise<T>, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
