// What is proved of a layer from values that its states determine: what has to be read for it, and what follows.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Work } from "../native.js";
import type { TypedArray } from "../tensor/dtype.js";
import type { Shape } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { PIECES, type Pieces } from "./pieces.js";
import type { Rounding } from "./rounding.js";

/** What a class may answer with: a value, or a promise of it where that takes time. */
export type Answer<T> = T | Promise<T>;

/** A fact that follows from the values of tensors, which depend on states alone. Whoever asks decides when they are read. */
export interface Proof<T> {
  readonly from: readonly Tensor[];
  /** What the values prove, in the order of `from`, and on whose time that is found out. */
  follows(...values: TypedArray[]): Work<T>;
}

/** A fact that follows from no value. */
export function settled<T>(fact: T): Proof<T> {
  return { from: [], follows: () => atOnce(() => fact) };
}

/** Work that is too little for a thread of its own. */
export function atOnce<T>(now: () => T): Work<T> {
  return { now, later: async () => now() };
}

/** What follows from the result of work. */
export function after<A, R>(work: Work<A>, follows: (result: A) => R): Work<R> {
  return { now: () => follows(work.now()), later: async () => follows(await work.later()) };
}

/** The results of several works. */
export function all<T>(works: readonly Work<T>[]): Work<T[]> {
  return {
    now: () => works.map((work) => work.now()),
    later: () => Promise.all(works.map((work) => work.later())),
  };
}

/** A class that answers from values; beside each proof it has the method that reads them at once. */
export interface Proving {
  /** On samples of one shape, or else of every shape. */
  lipschitzProof?(sample?: Shape): Proof<number>;
  roundingProof?(results: number, sample?: Shape): Proof<Rounding>;
  /**
   * Of a layer that gives every sample m numbers by a linear map of all that the sample has: bounds of the distances of the map's rows, and of the
   * origin after them, from one another, `[m + 1, m + 1]`. Nothing of other layers, and where these are too many.
   */
  distancesProof?(): Proof<Float64Array> | undefined;
  /** What it computes of a sample of that shape; nothing where a local certificate has no words for it. */
  [PIECES]?(sample: Shape): Pieces | undefined;
}

/** Where a layer stands in a recorded model. */
export interface Standing {
  /** Shape of a sample as it comes in. */
  readonly sample: Shape;
  /** Numbers in the result of a sample. */
  readonly results: number;
}

const PROOFS = { lipschitzBound: "lipschitzProof", rounding: "roundingProof" } as const;

/** What is proved now, of values that are read on the caller's time. */
export function provedNow<T>({ from, follows }: Proof<T>): T {
  return follows(...from.map((tensor) => tensor.dataSync())).now();
}

/**
 * The proof of what a method of a layer says; undefined where the class that says it, or the object itself, has none and the
 * method has to be called.
 */
export function proofOf(layer: object & Proving, method: "lipschitzBound", at: Standing): Proof<number> | undefined;
export function proofOf(layer: object & Proving, method: "rounding", at: Standing): Proof<Rounding> | undefined;
export function proofOf(
  layer: object & Proving,
  method: keyof typeof PROOFS,
  { sample, results }: Standing,
): Proof<number | Rounding> | undefined {
  if (!proves(layer, method, PROOFS[method])) return undefined;
  return method === "lipschitzBound" ? layer.lipschitzProof?.(sample) : layer.roundingProof?.(results, sample);
}

/** The proof of how far the rows of a layer are apart, by the class that says its bound. */
export function distancesOf(layer: object & Proving): Proof<Float64Array> | undefined {
  return proves(layer, "lipschitzBound", "distancesProof") ? layer.distancesProof?.() : undefined;
}

/** What a layer computes of a sample of that shape, by the class that says its bound. */
export function piecesOf(layer: object & Proving, sample: Shape): Pieces | undefined {
  return proves(layer, "lipschitzBound", PIECES) ? layer[PIECES]?.(sample) : undefined;
}

/** Whether the class that says something of a layer, or the object itself, has such a proof. */
function proves(layer: object, method: keyof typeof PROOFS, proof: keyof Proving): boolean {
  let owner: object | null = layer;
  while (owner !== null && !Object.hasOwn(owner, method)) owner = Object.getPrototypeOf(owner);
  return owner !== null && Object.hasOwn(owner, proof);
}

/** What `lipschitzBound()` of a class `name` gave, if it is a bound. Throws `INVALID_ARGUMENT` or `NON_FINITE` for anything else. */
export function checkedBound(name: string, given: unknown): number {
  if (typeof given === "number" && given >= 0 && Number.isFinite(given)) return given;
  throw new TslipError(
    typeof given === "number" && !(given < 0) ? "NON_FINITE" : "INVALID_ARGUMENT",
    `lipschitzBound() of ${name} gave ${describe(given)}; it must return a finite number, 0 or more, or a promise of one`,
  );
}
