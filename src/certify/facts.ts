// What the layers of a recorded model say of themselves: proofs from values that the pass reads, and what classes answer.

import { TslipError } from "../errors.js";
import { engine } from "../native.js";
import type { Layer } from "../nn/layer.js";
import { naming } from "../nn/naming.js";
import { refuseOverridden } from "../nn/overridden.js";
import type { Pieces } from "../nn/pieces.js";
import { checkedBound, distancesOf, type Proof, piecesOf, proofOf, type Standing } from "../nn/proof.js";
import { checkedRounding, type Rounding } from "../nn/rounding.js";
import { isPromise, quiet } from "../promise.js";
import type { TypedArray } from "../tensor/dtype.js";
import type { State, Tensor } from "../tensor/index.js";
import { outsideTrace } from "../tensor/trace.js";

/** A layer where it stands in a recorded model. */
export interface Placed extends Standing {
  readonly layer: Layer;
  /** Path in the model, for messages. */
  readonly position: string;
}

/** What is known of a layer. */
export interface Known {
  readonly lipschitz: number;
  readonly rounding: Required<Rounding>;
}

/** A fact that was asked for: a proof of values that are being read, or what a class answered. */
type Asked<T> = Proof<T> | { readonly answer: unknown };

/** What a layer is asked. */
interface Question<L> {
  readonly placed: L;
  readonly bound: Asked<number>;
  readonly rounding: Asked<Rounding>;
  /** Of a linear map of a whole sample. */
  readonly distances: Proof<Float64Array> | undefined;
  /** What it computes, where that is asked for and it says so. */
  readonly pieces: Pieces | undefined;
}

/** Facts of layers as a model passes through them: those that are proved from values, and those that their classes are asked for. */
export class Facts<L extends Placed> {
  readonly #asked: Question<L>[] = [];
  readonly #local: boolean;

  /** With what layers compute where that is asked for, for certificates that are `local`. */
  constructor(local = false) {
    this.#local = local;
  }

  /**
   * Takes what a layer says of itself in the moment in which the model passes through it. Throws, naming it, what asking it does, and
   * where it may speak of another function than it computes.
   */
  take(placed: L): void {
    const { layer, position, results, sample } = placed;
    // What a proof follows from is no part of the forward pass, and a class may compute what it likes.
    const asked = <T>(call: () => T): T => outsideTrace(() => naming(layer, position, call));
    asked(() => refuseOverridden(layer, "lipschitzBound"));
    asked(() => refuseOverridden(layer, "rounding"));
    const answered = (call: () => unknown) => ({ answer: quiet(asked(call)) });
    const bound = asked(() => proofOf(layer, "lipschitzBound", placed)) ?? answered(() => layer.lipschitzBound());
    const rounding = asked(() => proofOf(layer, "rounding", placed)) ?? answered(() => layer.rounding(results, sample));
    const distances = sample.length === 1 ? asked(() => distancesOf(layer)) : undefined;
    const pieces = this.#local ? asked(() => piecesOf(layer, sample)) : undefined;
    this.#asked.push({ placed, bound, rounding, distances, pieces });
  }

  /** What the proofs follow from, to be read in the very step that computes the logits. */
  get premises(): Tensor[] {
    const proofs = this.#asked.flatMap(({ bound, rounding, distances }) => [bound, rounding, ...some(distances)]);
    const computed = this.#asked.flatMap(({ pieces }) => pieces?.from ?? []);
    return [...new Set([...proofs.flatMap((asked) => ("answer" in asked ? [] : asked.from)), ...computed])];
  }

  /** What classes have answered. */
  get answers(): unknown[] {
    const asked = this.#asked.flatMap(({ bound, rounding }) => [bound, rounding]);
    return asked.flatMap((one) => ("answer" in one ? [one.answer] : []));
  }

  /**
   * What is known of each layer, with the values of the premises. Throws, naming it, what its promises do, and `INVALID_ARGUMENT` or
   * `NON_FINITE` for other answers.
   */
  async known(premises: ReadonlyMap<Tensor, TypedArray>): Promise<ReadonlyMap<L, Known>> {
    const known = this.#asked.map(async ({ placed, bound, rounding }): Promise<[L, Known]> => {
      const lipschitz = quiet(conclude(placed, bound, premises, checkedBound));
      const rounds = quiet(conclude(placed, rounding, premises, checkedRounding));
      return [placed, { lipschitz: await lipschitz, rounding: await rounds }];
    });
    // The error of the first layer that has one.
    const all = new Map<L, Known>();
    for (const one of known.map(quiet)) all.set(...(await one));
    return all;
  }

  /** Of a layer that is a linear map the distances of its rows and the origin, with the values of the premises. */
  async distances(placed: L, premises: ReadonlyMap<Tensor, TypedArray>): Promise<Float64Array | undefined> {
    const proof = this.#asked.find((one) => one.placed === placed)?.distances;
    return await proof?.follows(...valuesOf(proof, premises)).later();
  }

  /** What a layer computes, as far as it says so. */
  pieces(placed: L): Pieces | undefined {
    return this.#asked.find((one) => one.placed === placed)?.pieces;
  }
}

const some = <T>(value: T | undefined): T[] => (value === undefined ? [] : [value]);

/** Whether states have been written since. */
export class Watch {
  readonly #states: readonly State[];
  readonly #since: readonly number[];
  #ids: number[] | undefined;

  /** Of states as they are now; those that are not filled, or are being filled, count as if they were. */
  constructor(states: readonly State[]) {
    this.#states = states;
    this.#since = versionsOf(states).map((version) => Math.max(version, 1));
  }

  get written(): boolean {
    return versionsOf(this.#states).some((version, i) => version !== this.#since[i]);
  }

  /** Whether nobody has written them, nor is about to: no job that has been handed over does. */
  get stands(): boolean {
    return this.#states.every(({ filled }) => filled) && engine().statesStand(this.ids, this.#since);
  }

  /** Numbers of the states. */
  get ids(): number[] {
    this.#ids ??= this.#states.map(({ id }) => id);
    return this.#ids;
  }

  /** Whether these versions of all of them are those that they had. */
  knows(versions: readonly number[]): boolean {
    return versions.length === this.#since.length && versions.every((version, i) => version === this.#since[i]);
  }
}

/** Of each state a number that grows whenever it is written; 0 without a value. */
function versionsOf(states: readonly State[]): number[] {
  if (states.every(({ filled }) => filled)) return engine().versions(states.map(({ id }) => id));
  const filled = states.filter((state) => state.filled);
  const known = new Map(filled.map((state, i) => [state, i]));
  const versions = versionsOf(filled);
  return states.map((state) => versions[known.get(state) ?? -1] ?? 0);
}

/** What follows from an answer, if `check` finds it to be one, or from a proof. */
async function conclude<T, C extends T>(
  { layer, position }: Placed,
  asked: Asked<T>,
  premises: ReadonlyMap<Tensor, TypedArray>,
  check: (name: string, given: unknown) => C,
): Promise<C> {
  const { name } = layer.constructor;
  if ("answer" in asked) {
    const given: unknown = isPromise(asked.answer) ? await asked.answer : asked.answer;
    return naming(layer, position, () => check(name, given));
  }
  const found = await naming(layer, position, () => asked.follows(...valuesOf(asked, premises)).later());
  return naming(layer, position, () => check(name, found));
}

function valuesOf({ from }: Proof<unknown>, premises: ReadonlyMap<Tensor, TypedArray>): TypedArray[] {
  return from.map((tensor) => {
    const values = premises.get(tensor);
    if (values !== undefined) return values;
    throw new TslipError("INTERNAL", "what a proof follows from was not read with the logits");
  });
}

/** The error of a certificate of which not all parts would speak of the same function. */
export function changedMeanwhile(): TslipError {
  return new TslipError(
    "INVALID_ARGUMENT",
    "the weights changed while certifying, or fields that layers read; wait for training to end, or certify an export",
  );
}
