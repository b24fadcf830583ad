// What fields of modules hold: the settings that forward reads.
import { Tensor } from "../tensor/tensor.js";

/** Fields that are kept at most; of a module that holds more, none counts as unchanged. */
const MOST = 16_384;

type Owner = Record<string | number, unknown>;

/** Fields of some objects as they are now, and of the arrays, functions and other objects in them. */
export class Fields {
  readonly #owners: Owner[] = [];
  /** How many fields each owner has. */
  readonly #counts: number[] = [];
  /** Whose a field is, its name and what it held. */
  readonly #places: { readonly owner: Owner; readonly name: string | number; readonly value: unknown }[] = [];
  readonly #complete: boolean;

  constructor(objects: readonly object[]) {
    const seen = new Set(objects);
    let fields = 0;
    for (const object of seen) {
      fields += countOf(object as Owner);
      if (fields > MOST) break;
      this.#keep(object as Owner, seen);
    }
    this.#complete = fields <= MOST;
  }

  /** Keeps the fields of an object, unless it is frozen, and adds the objects in them to those to look into. */
  #keep(owner: Owner, seen: Set<object>): void {
    const names: (string | number)[] = Array.isArray(owner) ? [...owner.keys()] : Object.keys(owner);
    const frozen = Object.isFrozen(owner);
    if (!frozen) {
      this.#owners.push(owner);
      this.#counts.push(names.length);
    }
    for (const name of names) {
      const value = owner[name];
      if (!frozen) this.#places.push({ owner, name, value });
      if (isLookedInto(value)) seen.add(value);
    }
  }

  /** This object as long as each field is known to hold the same value or object, and none has come or gone; else another. */
  get current(): object {
    return this.#complete && this.#unchanged() ? this : {};
  }

  #unchanged(): boolean {
    for (const { owner, name, value } of this.#places) {
      if (!isSame(owner[name], value) || (value === undefined && !(name in owner))) return false;
    }
    return this.#owners.every((owner, i) => countOf(owner) === this.#counts[i]);
  }
}

function countOf(owner: Owner): number {
  return Array.isArray(owner) ? owner.length : Object.keys(owner).length;
}

/** Whether an object's fields are looked at too: tensors are values themselves, and arrays of numbers may be long. */
function isLookedInto(value: unknown): value is object {
  if (typeof value === "function") return true;
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && !(value instanceof Tensor);
}

/** Whether two values of a field are the same to a recording. */
function isSame(one: unknown, other: unknown): boolean {
  return Object.is(one, other) || (isLeftBehind(one) && isLeftBehind(other));
}

/** Whether a value is a tensor, or an array of them, that a recording left in a field: no other recording can use it. */
function isLeftBehind(value: unknown): boolean {
  const held: unknown[] = Array.isArray(value) ? value : [value];
  return held.length > 0 && held.every((one) => one instanceof Tensor && one.trace !== undefined);
}
