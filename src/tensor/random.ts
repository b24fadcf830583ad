// Seeds: explicit ones, and the deterministic sequence for whatever is given none.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";

/** A seed as the engine takes it: low and high 32 bits. */
export type Seed = readonly [number, number];

/** What `manualSeed` begins: seeds one after another. */
export interface Sequence {
  readonly base: number;
  drawn: number;
}

let sequence: Sequence = { base: 0, drawn: 0 };

/**
 * Restarts the sequence of seeds from `seed` (a whole number): same calls after it, same values. So do the numbers that compiled
 * functions and native loops draw by `rand()` and `randn()`; a `fit` under way goes on with its own until the epoch is over.
 */
export function manualSeed(seed: number): void {
  sequence = { base: checkSeed(seed), drawn: 0 };
}

/** The sequence under way. */
export function currentSequence(): Sequence {
  return sequence;
}

/** The given seed, or the next of the sequence that {@link manualSeed} restarts. */
export function seedOf(seed?: number): [number, number] {
  if (seed === undefined) {
    sequence.drawn += 1;
    return seedAt(sequence, sequence.drawn);
  }
  const whole = checkSeed(seed);
  return [whole % 2 ** 32, Math.floor(whole / 2 ** 32)];
}

/** Seed number `at` of a sequence; those that are given count from 1. */
export function seedAt({ base }: Sequence, at: number): [number, number] {
  return [mix(base % 2 ** 32, at), mix(Math.floor(base / 2 ** 32) ^ 0x9e3779b9, at)];
}

function checkSeed(seed: number): number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new TslipError("INVALID_ARGUMENT", `a seed is a whole number from 0 to 2^53 - 1; given ${describe(seed)}`);
  }
  return seed;
}

/** The finalizer of MurmurHash3 over both words (Appleby, 2011). */
function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x85ebca6b, 0x9e3779b1) ^ Math.imul(b, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
