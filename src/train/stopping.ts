// How a training is ended within or between epochs, by a signal or by a callback.
import { STOPPED } from "../native.js";

/** Ends a training between or within epochs. */
export class Stopping {
  readonly #stop = new AbortController();
  readonly #given: AbortSignal | undefined;
  #running = false;
  stopped = false;

  constructor(given: AbortSignal | undefined) {
    this.#given = given;
  }

  /** Aborted where the one given is, and to end the epoch under way. */
  get signal(): AbortSignal {
    return this.#given === undefined ? this.#stop.signal : AbortSignal.any([this.#given, this.#stop.signal]);
  }

  /** A field, so that it may be taken out of its object. */
  readonly stop = (): void => {
    this.stopped = true;
    if (this.#running) this.#stop.abort(STOPPED);
  };

  /** All steps of the epoch are made: what is stopped is what follows. */
  finished(): void {
    this.#running = false;
  }

  /** What a run of {@link signal} resolves to; nothing where it was stopped. */
  async unlessStopped<T>(run: Promise<T>): Promise<T | undefined> {
    this.#running = true;
    try {
      return await run;
    } catch (error) {
      if (this.#stop.signal.aborted && error === this.#stop.signal.reason) return undefined;
      throw error;
    } finally {
      this.finished();
    }
  }
}
