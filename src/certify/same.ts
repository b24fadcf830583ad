// Whether a model is still what it was when bounds of it were proved.
import { isOfLibrary } from "../nn/definition.js";
import { Fields } from "../nn/fields.js";
import { LipschitzModule } from "../nn/lipschitz.js";
import type { Module } from "../nn/module.js";

/** Modules as they are now. */
export class Sameness {
  readonly #fields: Fields;
  readonly #traits: readonly Traits[];

  constructor(modules: readonly Module[]) {
    this.#fields = new Fields(modules);
    this.#traits = modules.map((module) => new Traits(module));
  }

  /** Whether all are known to be the same. Of a class of a user's own that is not known: its code reads what it likes. */
  get holds(): boolean {
    for (const traits of this.#traits) if (!traits.hold) return false;
    return this.#fields.current === this.#fields;
  }
}

/** What tells one module from another beside its fields: its class, properties that no listing shows, the constant it was given. */
class Traits {
  readonly #module: Module;
  readonly #prototype: unknown;
  readonly #properties: number;
  readonly #kCoefLip: number | undefined;

  constructor(module: Module) {
    this.#module = module;
    this.#prototype = Object.getPrototypeOf(module);
    this.#properties = Object.getOwnPropertyNames(module).length;
    this.#kCoefLip = coefficientOf(module);
  }

  get hold(): boolean {
    const module = this.#module;
    return (
      isOfLibrary(module) &&
      Object.getPrototypeOf(module) === this.#prototype &&
      Object.getOwnPropertyNames(module).length === this.#properties &&
      coefficientOf(module) === this.#kCoefLip
    );
  }
}

const coefficientOf = (module: Module): number | undefined =>
  module instanceof LipschitzModule ? module.kCoefLip : undefined;
