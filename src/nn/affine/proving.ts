// Proofs of norms, which take seconds where matrices are large: one after another, and of one weight once.
import {
  type Attributes,
  conv2dGainUpperBound,
  conv2dLipschitzUpperBound,
  rowDistancesUpper,
  spectralNormUpperBound,
  type Work,
} from "../../native.js";
import { sameBytes } from "../../tensor/dtype.js";

/** A bound that was proved, is being proved or is to be: of what map, for which weight. */
interface Asked {
  readonly map: string;
  readonly weight: Uint8Array;
  readonly bound: Promise<unknown>;
}

/** In the order in which they were asked for. */
const provings: Asked[] = [];

/** How many stay once they are proved: whoever asks again for one that another has just asked for shall not wait for the same proof. */
const KEPT = 64;

/** Of how many bytes their weights are at most, taken together. */
const KEPT_BYTES = 32 * 1024 * 1024;

/** A proved bound of the norm of a matrix. */
export function matrixBound(weight: Uint8Array, shape: readonly [number, number]): Work<number> {
  return oneAtATime(JSON.stringify(["matrix", shape]), weight, spectralNormUpperBound(weight, ...shape));
}

/** Proved bounds of the distances of the rows of a matrix and the origin. */
export function rowDistances(weight: Uint8Array, shape: readonly [number, number]): Work<Float64Array> {
  return oneAtATime(JSON.stringify(["rows", shape]), weight, rowDistancesUpper(weight, ...shape));
}

/** A proved bound of the Lipschitz constant of a convolution with OIHW weights. */
export function convolutionBound(weight: Uint8Array, shape: readonly number[], geometry: Attributes): Work<number> {
  const map = JSON.stringify(["convolution", shape, geometry]);
  return oneAtATime(map, weight, conv2dLipschitzUpperBound(weight, shape, geometry));
}

/** A proved bound of its norm, and of those of its parts. */
export function convolutionGain(weight: Uint8Array, shape: readonly number[], geometry: Attributes): Work<number> {
  const map = JSON.stringify(["parts of a convolution", shape, geometry]);
  return oneAtATime(map, weight, conv2dGainUpperBound(weight, shape, geometry));
}

/**
 * The work of proving a bound for the weight of a map of that description. What is left for later is done one after another, since
 * Node's pool has few threads and files need them; who asks for one that is under way, or was proved lately, gets that one.
 */
function oneAtATime<T>(map: string, weight: Uint8Array, work: Work<T>): Work<T> {
  return { now: () => work.now(), later: () => later(map, weight, work) };
}

function later<T>(map: string, weight: Uint8Array, work: Work<T>): Promise<T> {
  const same = provings.find((one) => one.map === map && sameBytes(one.weight, weight));
  // The description says what is proved.
  if (same !== undefined) return same.bound as Promise<T>;
  const before = provings.at(-1)?.bound;
  const bound = over(before).then(() => work.later());
  const own = { map, weight: weight.slice(), bound };
  provings.push(own);
  bound.then(
    () => forgetOldest(),
    () => provings.splice(provings.indexOf(own), 1),
  );
  return bound;
}

/** Called when one is proved: they are proved in their order, so the oldest are. */
function forgetOldest(): void {
  let bytes = provings.reduce((sum, { weight }) => sum + weight.length, 0);
  while (provings.length > KEPT || bytes > KEPT_BYTES) bytes -= provings.shift()?.weight.length ?? 0;
}

/** When a promise is kept or broken. */
async function over(promise: Promise<unknown> | undefined): Promise<void> {
  await promise?.catch(() => undefined);
}
