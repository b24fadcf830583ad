// What the layers of a recorded model say of themselves: proofs from values that the pass reads, and what classes answer.
import { TslipError } from "../errors.js";
import { engine } from "../native.js";
import type { Layer } from "../nn/layer.js";
import { naming } from "../nn/naming.js";
import { refuseOverridden } from "../nn/overridden.js";
import { checkedBound, type Proof, proofOf, quiet } from "../nn/proof.js";
import { checkedRounding, type Rounding } from "../nn/rounding.js";
import type { TypedArray } from "../tensor/dtype.js";
import type { State, Tensor } from "../tensor/index.js";

/** A layer where it stands in a recorded model. */
export interface Placed {
  readonly layer: Layer;
  /** Path in the model, for messages. */
  readonly position: string;
  /** Numbers in the result of a sample. */
  readonly results: number;
}

/** What is known of a layer. */
export interface Known {
  readonly lipschitz: number;
  readonly rounding: Required<Rounding>;
}

/** A fact that was asked for: a proof of values that are being read, or what a class answered. */
type Asked<T> = Proof<T> | { readonly answer: unknown };

/** Facts of layers: those that are proved from values, and those that their classes have to be asked for. */
export class Facts<L extends Placed> {
  /** What the proofs follow from, to be read in the very step that computes the logits. */
  readonly premises: readonly Tensor[];
  readonly #proofs: readonly {
    readonly placed: L;
    readonly bound: Proof<number> | undefined;
    readonly rounding: Proof<Rounding> | undefined;
  }[];

  /** Throws, naming the layer, where what it says may be said of another function than it computes. */
  constructor(layers: readonly L[]) {
    this.#proofs = layers.map((placed) => {
      const { layer, position, results } = placed;
      return naming(layer, position, () => {
        refuseOverridden(layer, "lipschitzBound");
        refuseOverridden(layer, "rounding");
        return { placed, bound: proofOf(layer, "lipschitzBound"), rounding: proofOf(layer, "rounding", results) };
      });
    });
    const premises = this.#proofs.flatMap(({ bound, rounding }) => [...(bound?.from ?? []), ...(rounding?.from ?? [])]);
    this.premises = [...new Set(premises)];
  }

  /**
   * Asks the classes, now. `states` are those that the pass reads, of which some have a version that is known before they have it.
   * Throws, naming the layer, what asking it does.
   */
  ask(states: readonly State[], awaited: ReadonlyMap<State, number>): Answers<L> {
    // Of the states as they are before the first class is asked.
    const since = versionsOf(states).map((version, i) => awaited.get(states[i] as State) ?? version);
    const asked = this.#proofs.map(({ placed, bound, rounding }) => {
      const { layer, position, results } = placed;
      const ask = (call: () => unknown) => ({ answer: quiet(naming(layer, position, call)) });
      return {
        placed,
        bound: bound ?? ask(() => layer.lipschitzBound()),
        rounding: rounding ?? ask(() => layer.rounding(results)),
      };
    });
    return new Answers(asked, states, since);
  }
}

/** Facts that were asked for. */
export class Answers<L extends Placed> {
  readonly #asked: readonly { readonly placed: L; readonly bound: Asked<number>; readonly rounding: Asked<Rounding> }[];
  readonly #states: readonly State[];
  readonly #since: readonly number[];

  constructor(
    asked: readonly { readonly placed: L; readonly bound: Asked<number>; readonly rounding: Asked<Rounding> }[],
    states: readonly State[],
    since: readonly number[],
  ) {
    [this.#asked, this.#states, this.#since] = [asked, states, since];
  }

  /** Whether a class answered with a promise: what it speaks of may have changed when that is kept. */
  get promised(): boolean {
    return this.#answers.some((answer) => answer instanceof Promise);
  }

  get #answers(): unknown[] {
    return this.#asked.flatMap(({ bound, rounding }) =>
      [bound, rounding].flatMap((asked) => ("answer" in asked ? [asked.answer] : [])),
    );
  }

  /**
   * What is known of each layer, with the values of the premises. Throws, naming it, what its promises do, and `INVALID_ARGUMENT` or
   * `NON_FINITE` for other answers; `INVALID_ARGUMENT` too where classes answered and a state has been written since.
   */
  async known(premises: ReadonlyMap<Tensor, TypedArray>): Promise<ReadonlyMap<L, Known>> {
    const bounds = new Map<Layer, number>();
    const all = new Map<L, Known>();
    for (const { placed, bound, rounding } of this.#asked) {
      const lipschitz = bounds.get(placed.layer) ?? (await conclude(placed, bound, premises, checkedBound));
      bounds.set(placed.layer, lipschitz);
      all.set(placed, { lipschitz, rounding: await conclude(placed, rounding, premises, checkedRounding) });
    }
    // A class reads what it likes when it likes: only where nothing was written does it speak of what the pass has read.
    if (this.#answers.length === 0) return all;
    if (versionsOf(this.#states).some((version, i) => version !== this.#since[i])) throw changedMeanwhile();
    return all;
  }
}

/** Of each state a number that grows whenever it is written. */
function versionsOf(states: readonly State[]): number[] {
  return engine().versions(states.map(({ id }) => id));
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
    const given: unknown = asked.answer instanceof Promise ? await asked.answer : asked.answer;
    return naming(layer, position, () => check(name, given));
  }
  const values = asked.from.map((tensor) => premises.get(tensor) ?? new Uint8Array());
  return naming(layer, position, () => check(name, asked.follows(...values)));
}

/** The error of a certificate of which not all parts would speak of the same function. */
export function changedMeanwhile(): TslipError {
  return new TslipError(
    "INVALID_ARGUMENT",
    "the weights changed while certifying, or fields that layers read; wait for training to end, or certify an export",
  );
}
