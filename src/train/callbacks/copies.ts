// Copies of a model's states beside it, filed under its own keys.
import type { Module } from "../../nn/index.js";
import { type State, type Stateful, state, zeros } from "../../tensor/index.js";
import { assignInTurn } from "../../tensor/state.js";

/** A state of its own for each of some states of a model; zero until something is copied. */
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

  /** Each state of the model with its copy. */
  pairs(model: Module): [State, State][] {
    const selected = this.#select(model);
    const missing = selected.filter(([key, of]) => !fits(this.#copies.get(key), of));
    if (missing.length > 0) {
      const made = missing.map(([key, of]): [string, State] => [key, this.#copyFor(key, of)]);
      this.#copies = new Map([...this.#copies, ...made]);
    }
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

  #copyFor(key: string, { shape, dtype, batched }: State): State {
    return state(zeros(shape, { dtype }), { name: `${this.#name} of ${key}`, batched });
  }
}

function fits(copy: State | undefined, { shape, dtype }: State): boolean {
  return copy !== undefined && copy.dtype === dtype && copy.shape.join() === shape.join();
}
