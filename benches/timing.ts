// Repeated measurements of time and what is said of them.

/** Middle and ends of a set of measurements. */
export interface Spread {
  median: number;
  min: number;
  max: number;
  /** How many measurements there are. */
  samples: number;
}

/** Repetitions of a measurement. */
export interface Repetitions {
  /** How often it is taken; less often where those that count take longer than five seconds. */
  repeats: number;
  /**
   * How many of the first ones do not count: caches, plans and the clock of the processor settle in them. A second of them is
   * enough.
   */
  warmUp: number;
}

/** Milliseconds after which a slow device has warmed up, and after which it has been measured often enough. */
const LONGEST_WARM_UP = 1000;
const LONGEST = 5000;

/** Milliseconds that `run` takes, measured again and again. */
export async function timed(run: () => unknown, repetitions: Repetitions): Promise<number[]> {
  const series = new Series(repetitions);
  while (series.goesOn) {
    const start = performance.now();
    await run();
    series.add(performance.now() - start);
  }
  return series.times;
}

/** As {@link timed}, for what ends when it returns: an `await` alone would cost some of its time. */
export function timedSync(run: () => void, repetitions: Repetitions): number[] {
  const series = new Series(repetitions);
  while (series.goesOn) {
    const start = performance.now();
    run();
    series.add(performance.now() - start);
  }
  return series.times;
}

/** The measurements that count, and whether there are enough of them. */
class Series {
  readonly times: number[] = [];
  readonly #wanted: number;
  #warmUp: number;
  #spent = 0;

  constructor({ repeats, warmUp }: Repetitions) {
    this.#wanted = repeats - warmUp;
    this.#warmUp = warmUp;
  }

  get goesOn(): boolean {
    if (this.#warmUp > 0) return true;
    const { length } = this.times;
    return length < this.#wanted && (length === 0 || this.#spent < LONGEST);
  }

  add(ms: number): void {
    this.#spent += ms;
    if (this.#warmUp === 0) {
      this.times.push(ms);
      return;
    }
    this.#warmUp = this.#spent < LONGEST_WARM_UP ? this.#warmUp - 1 : 0;
    if (this.#warmUp === 0) this.#spent = 0;
  }
}

/** The median of an even number of measurements is the mean of the two in the middle. */
export function spreadOf(times: readonly number[]): Spread {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const { length } = sorted;
  const median = (at(Math.floor((length - 1) / 2)) + at(Math.floor(length / 2))) / 2;
  return { median, min: at(0), max: at(length - 1), samples: length };
}
