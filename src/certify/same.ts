// Whether a model is still what it was when bounds of it were proved.
import { Fields } from "../nn/fields.js";
import type { Layer } from "../nn/layer.js";
import * as layers from "../nn/layers/index.js";
import { Gain } from "../nn/layers/lip-residual.js";
import { LipschitzModule } from "../nn/lipschitz.js";
import { PIECES } from "../nn/pieces.js";

/** The classes of which it is known what their code reads: that of a user's own may read what it likes. */
const LIBRARY: ReadonlySet<unknown> = new Set([...Object.values(layers), Gain]);

/** What a certificate calls of a layer. */
const CODE = [
  "forward",
  "flow",
  "vanillaExport",
  "effectiveWeight",
  "effective",
  "lipschitzBound",
  "lipschitzProof",
  "distancesProof",
  PIECES,
  "rounding",
  "roundingProof",
] as const;

/** Layers as they are now. */
export class Sameness {
  readonly #fields: Fields;
  readonly #traits: readonly Traits[];
  /** Of each class its code. */
  readonly #code: ReadonlyMap<object, readonly unknown[]>;
  readonly #known: boolean;

  constructor(parts: readonly Layer[]) {
    this.#fields = new Fields(parts);
    this.#traits = parts.map((part) => new Traits(part));
    const classes = parts.map((part): object => Object.getPrototypeOf(part));
    this.#code = new Map(classes.map((one) => [one, CODE.map((name) => codeOf(one, name))]));
    this.#known = parts.every((part) => LIBRARY.has(part.constructor) && isPlain(part));
  }

  /** Whether all are known to be the same. */
  get holds(): boolean {
    if (!this.#known) return false;
    for (const traits of this.#traits) if (!traits.hold) return false;
    for (const [one, code] of this.#code) {
      for (let i = 0; i < CODE.length; i++) if (codeOf(one, CODE[i] as string | symbol) !== code[i]) return false;
    }
    return this.#fields.current === this.#fields;
  }
}

/** Whether all that an object has of its own are values that a listing shows, none of them code. */
function isPlain(part: Layer): boolean {
  const own = Object.values(Object.getOwnPropertyDescriptors(part));
  return own.every(({ enumerable, get, value }) => enumerable && get === undefined && typeof value !== "function");
}

/** What tells one layer from another beside its fields: its class, how many properties it has, its constant. */
class Traits {
  readonly #part: Layer;
  readonly #prototype: unknown;
  readonly #properties: number;
  readonly #kCoefLip: number | undefined;

  constructor(part: Layer) {
    this.#part = part;
    this.#prototype = Object.getPrototypeOf(part);
    this.#properties = Object.getOwnPropertyNames(part).length;
    this.#kCoefLip = coefficientOf(part);
  }

  get hold(): boolean {
    const part = this.#part;
    return (
      Object.getPrototypeOf(part) === this.#prototype &&
      Object.getOwnPropertyNames(part).length === this.#properties &&
      coefficientOf(part) === this.#kCoefLip
    );
  }
}

const codeOf = (prototype: object, name: string | symbol): unknown =>
  (prototype as Readonly<Record<string | symbol, unknown>>)[name];

const coefficientOf = (part: Layer): number | undefined =>
  part instanceof LipschitzModule ? part.kCoefLip : undefined;
