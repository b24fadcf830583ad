// What the layers of a recorded model say of themselves: asked at one moment, answered when weights are read and promises kept.
import { TslipError } from "../errors.js";
import type { Layer } from "../nn/layer.js";
import { naming } from "../nn/naming.js";
import { refuseOverridden } from "../nn/overridden.js";
import { checkedBound, type Proof, proofOf, quiet } from "../nn/proof.js";
import { checkedRounding, type Rounding } from "../nn/rounding.js";
import { readStates } from "../tensor/compile.js";
import { bytesOf, sameBytes, type TypedArray } from "../tensor/dtype.js";
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

/** The values of tensors at one moment. */
type Reading = ReadonlyMap<Tensor, TypedArray>;

/** Facts of layers, all of which are asked for when this is made. */
export class Facts<L extends Placed> {
  readonly #asked: readonly { readonly placed: L; readonly bound: Asked<number>; readonly rounding: Asked<Rounding> }[];
  readonly #states: readonly State[];
  /** Values of the states and of all that proofs follow from, in the moment before classes are asked, which may change them. */
  readonly #values: Promise<Reading>;

  /** `states` are all that the recording reads. Throws, naming the layer, what asking it throws. */
  constructor(layers: readonly L[], states: readonly State[]) {
    const proofs = layers.map(({ layer, position, results }) =>
      naming(layer, position, () => {
        refuseOverridden(layer, "lipschitzBound");
        refuseOverridden(layer, "rounding");
        return { bound: proofOf(layer, "lipschitzBound"), rounding: proofOf(layer, "rounding", results) };
      }),
    );
    const premises = proofs.flatMap(({ bound, rounding }) => [...(bound?.from ?? []), ...(rounding?.from ?? [])]);
    this.#states = states;
    this.#values = quiet(read([...states, ...premises]));
    this.#asked = layers.map((placed, i) => {
      const { layer, position, results } = placed;
      const ask = (call: () => unknown) => ({ answer: quiet(naming(layer, position, call)) });
      const bound = proofs[i]?.bound ?? ask(() => layer.lipschitzBound());
      return { placed, bound, rounding: proofs[i]?.rounding ?? ask(() => layer.rounding(results)) };
    });
  }

  /** Whether a class answered with a promise: what it speaks of may have changed when that is kept. */
  get promised(): boolean {
    return this.#asked.some(({ bound, rounding }) =>
      [bound, rounding].some((asked) => "answer" in asked && asked.answer instanceof Promise),
    );
  }

  /** What is known of each layer. Throws, naming it, what its promises do, and `INVALID_ARGUMENT` or `NON_FINITE` for other answers. */
  async known(): Promise<ReadonlyMap<L, Known>> {
    const values = await this.#values;
    const bounds = new Map<Layer, number>();
    const all = new Map<L, Known>();
    for (const { placed, bound, rounding } of this.#asked) {
      const lipschitz = bounds.get(placed.layer) ?? (await conclude(placed, bound, values, checkedBound));
      bounds.set(placed.layer, lipschitz);
      all.set(placed, { lipschitz, rounding: await conclude(placed, rounding, values, checkedRounding) });
    }
    return all;
  }

  /** Refuses states that hold something else than when the layers were asked. */
  async checkUnchanged(): Promise<void> {
    const before = await this.#values;
    const now = await read(this.#states);
    const bytes = (values: Reading, state: State): Uint8Array => bytesOf(values.get(state) ?? new Uint8Array());
    if (!this.#states.every((state) => sameBytes(bytes(before, state), bytes(now, state)))) throw changedMeanwhile();
  }
}

/** What follows from an answer, if `check` finds it to be one, or from a proof. */
async function conclude<T, C extends T>(
  { layer, position }: Placed,
  asked: Asked<T>,
  values: Reading,
  check: (name: string, given: unknown) => C,
): Promise<C> {
  const { name } = layer.constructor;
  if ("answer" in asked) {
    const given: unknown = asked.answer instanceof Promise ? await asked.answer : asked.answer;
    return naming(layer, position, () => check(name, given));
  }
  const premises = asked.from.map((tensor) => values.get(tensor) ?? new Uint8Array());
  return naming(layer, position, () => check(name, asked.follows(...premises)));
}

/** Reads tensors in the order of jobs, each once. */
async function read(tensors: readonly Tensor[]): Promise<Reading> {
  const each = [...new Set(tensors)];
  const values = each.length === 0 ? [] : await readStates(each);
  return new Map(each.map((tensor, i) => [tensor, values[i]?.held() ?? new Uint8Array()]));
}

/** The error of a certificate of which not all parts would speak of the same function. */
export function changedMeanwhile(): TslipError {
  return new TslipError(
    "INVALID_ARGUMENT",
    "the weights changed while certifying, or fields that layers read; wait for training to end, or certify an export",
  );
}
