// Seeds: explicit ones, and the deterministic sequence for whatever is given none.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";

/** A seed as the engine takes it: low and high 32 bits. */
export type Seed = readonly [number, number];

let base = 0;
let drawn = 0;

/** Restarts the sequence of seeds from `seed` (a whole number): same calls after it, same values. */
export function manualSeed(seed: number): void {
  base = checkSeed(seed);
  drawn = 0;
}

/** The given seed, or the next of the sequence that {@link manualSeed} restarts. */
export function seedOf(seed?: number): [number, number] {
  if (seed === undefined) {
    drawn += 1;
    return [mix(base % 2 ** 32, drawn), mix(Math.floor(base / 2 ** 32) ^ 0x9e3779b9, drawn)];
  }
  const whole = checkSeed(seed);
  return [whole % 2 ** 32, Math.floor(whole / 2 ** 32)];
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
