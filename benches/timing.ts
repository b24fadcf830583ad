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
  /** How often it is taken. */
  repeats: number;
  /** How many of the first ones do not count: caches, plans and the clock of the processor settle in them. */
  warmUp: number;
}

/** Milliseconds that `run` takes, measured again and again. */
export async function timed(run: () => unknown, { repeats, warmUp }: Repetitions): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    await run();
    times.push(performance.now() - start);
  }
  return times.slice(warmUp);
}

/** As {@link timed}, for what ends when it returns: an `await` alone would cost some of its time. */
export function timedSync(run: () => void, { repeats, warmUp }: Repetitions): number[] {
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const start = performance.now();
    run();
    times.push(performance.now() - start);
  }
  return times.slice(warmUp);
}

/** The median of an even number of measurements is the mean of the two in the middle. */
export function spreadOf(times: readonly number[]): Spread {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? Number.NaN;
  const { length } = sorted;
  const median = (at(Math.floor((length - 1) / 2)) + at(Math.floor(length / 2))) / 2;
  return { median, min: at(0), max: at(length - 1), samples: length };
}
