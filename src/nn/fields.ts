// What fields of modules hold: the settings that forward reads.
import { Tensor } from "../tensor/tensor.js";

/** Objects that are looked into at most, so that a field which holds half a program costs no more. */
const MOST = 4096;

type Owner = Record<string | number, unknown>;

/** Fields of some objects as they are now, and of the arrays and objects in them. */
export class Fields {
  readonly #owners: Owner[] = [];
  /** How many fields each owner has. */
  readonly #counts: number[] = [];
  /** Whose a field is, its name and what it held. */
  readonly #places: { readonly owner: Owner; readonly name: string | number; readonly value: unknown }[] = [];

  constructor(objects: readonly object[]) {
    const seen = new Set(objects);
    for (const object of seen) {
      const owner = object as Owner;
      const names: (string | number)[] = Array.isArray(object) ? [...object.keys()] : Object.keys(object);
      this.#owners.push(owner);
      this.#counts.push(countOf(owner));
      for (const name of names) {
        const value = owner[name];
        this.#places.push({ owner, name, value });
        if (seen.size < MOST && isLookedInto(value)) seen.add(value);
      }
    }
  }

  /** Whether each field holds the same value or object still, and none has come or gone. Private fields are not seen. */
  get unchanged(): boolean {
    for (const { owner, name, value } of this.#places) if (!Object.is(owner[name], value)) return false;
    return this.#owners.every((owner, i) => countOf(owner) === this.#counts[i]);
  }
}

function countOf(owner: Owner): number {
  return Array.isArray(owner) ? owner.length : Object.keys(owner).length;
}

/** Whether an object's fields are looked at too: those of what holds values otherwise are not. */
function isLookedInto(value: unknown): value is object {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || value instanceof Tensor) return false;
  if (value instanceof Map || value instanceof Set || value instanceof WeakMap || value instanceof Promise)
    return false;
  return !isConstant(value);
}

/** Whether an object cannot change, nor what it holds. */
function isConstant(value: object): boolean {
  const constant = (one: unknown): boolean => typeof one !== "object" || one === null || isConstant(one);
  return Object.isFrozen(value) && Object.values(value).every(constant);
}
