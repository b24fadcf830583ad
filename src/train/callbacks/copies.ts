// What callbacks keep of one model: that it is the same one, and copies of its states, filed under its own keys.
import { TslipError } from "../../errors.js";
import type { Module } from "../../nn/index.js";
import { type State, type Stateful, state, zeros } from "../../tensor/index.js";
import { assignInTurn } from "../../tensor/state.js";

/** The model that a callback belongs to: what it knows of one says nothing of another. */
export class OwnModel {
  readonly #owner: string;
  #states: ReadonlyMap<string, State> | undefined;

  constructor(owner: string) {
    this.#owner = owner;
  }

  /** Takes the first model that comes; throws `INVALID_ARGUMENT` for one that has other states. */
  hold(model: Module): void {
    const states = new Map(model.namedStates());
    this.#states ??= states;
    if (states.size === this.#states.size && [...states].every(([key, one]) => this.#states?.get(key) === one)) return;
    const owner = this.#owner;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `this ${owner} belongs to another model, or to this one before its parameters were replaced: take a new ${owner} for each training`,
    );
  }
}

/** A state of its own for each of some states of one model; zero until something is copied. */
export class Copies implements Stateful {
  readonly #name: string;
  readonly #select: (model: Module) => (readonly [string, State])[];
  #copies: ReadonlyMap<string, State> = new Map();

  constructor(name: string, select: (model: Module) => (readonly [string, State])[]) {
    this.#name = name;
    this.#select = select;
  }

  /** Makes the copies that a model needs. */
  track(model: Module): void {
    this.pairs(model);
  }

  /** Each state of the model, the same one in each call, with its copy. */
  pairs(model: Module): [State, State][] {
    const selected = this.#select(model);
    if (this.#copies.size === 0) this.#copies = new Map(selected.map(([key, of]) => [key, this.#copyOf(key, of)]));
    return selected.flatMap(([key, of]): [State, State][] => {
      const copy = this.#copies.get(key);
      return copy === undefined ? [] : [[of, copy]];
    });
  }

  /** Copies the states of a model as they are now. */
  async take(model: Module): Promise<void> {
    await assignInTurn(this.pairs(model).map(([of, copy]) => [copy, of] as const));
  }

  /** Gives the states of a model the values that were copied. */
  async put(model: Module): Promise<void> {
    await assignInTurn(this.pairs(model).map(([of, copy]) => [of, copy] as const));
  }

  namedStates(prefix = ""): [string, State][] {
    return [...this.#copies].map(([key, copy]) => [`${prefix}${key}`, copy]);
  }

  #copyOf(key: string, { shape, dtype, batched }: State): State {
    return state(zeros(shape, { dtype }), { name: `${this.#name} of ${key}`, batched });
  }
}
