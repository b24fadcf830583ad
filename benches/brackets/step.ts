// A step of a long command: told of on stderr while it runs, and timed.
import { createProgress } from "tslip";

/** What a step gave, and how long it took. */
export interface Timed<T> {
  readonly result: T;
  readonly seconds: number;
}

/** Runs `work`, which tells the share that is done, from 0 to 1. */
export async function timedStep<T>(
  label: string,
  work: (told: (share: number) => void) => Promise<T>,
): Promise<Timed<T>> {
  const bar = createProgress({ label, total: 100 });
  return await timed(
    label,
    () => work((share) => bar.update(Math.floor(100 * share))),
    () => bar.stop(),
  );
}

/** As {@link timedStep}, of work that says nothing while it runs: the time that has passed is told instead. */
export async function timedSilently<T>(label: string, work: () => Promise<T>): Promise<Timed<T>> {
  const started = performance.now();
  const clock = setInterval(() => {
    process.stderr.write(`${label}: ${secondsSince(started).toFixed(0)} s so far\n`);
  }, EVERY_MS);
  return await timed(label, work, () => clearInterval(clock));
}

const EVERY_MS = 10_000;

async function timed<T>(label: string, work: () => Promise<T>, end: () => void): Promise<Timed<T>> {
  const started = performance.now();
  const result = await work().finally(end);
  const seconds = secondsSince(started);
  process.stderr.write(`${label}: ${seconds.toFixed(1)} s\n`);
  return { result, seconds };
}

const secondsSince = (started: number): number => (performance.now() - started) / 1000;
