// Loading a state dictionary: every mismatch is found before any state changes.
import { describe, list } from "../describe.js";
import { TslipError } from "../errors.js";
import { isPlain } from "../options.js";
import { tensor } from "../tensor/create.js";
import type { ArrayData } from "../tensor/dtype.js";
import { type Shape, sameShape, showShape, sizeOf } from "../tensor/shape.js";
import { assignAll, type State } from "../tensor/state.js";
import { Tensor } from "../tensor/tensor.js";

/** Tensors (or values with their shapes) by key. */
export type StateRecord = Readonly<Record<string, Tensor | { readonly data: ArrayData; readonly shape: Shape }>>;

/** Keys and other problems that a message names. */
const SHOWN = 4;

/** What is filed under each key. Throws `INVALID_ARGUMENT` where two share one, of which a record would lose the first. */
export function byKey<T>(filed: readonly (readonly [string, T])[]): Map<string, T> {
  const all = new Map<string, T>();
  for (const [key, one] of filed) {
    const other = all.get(key);
    if (other !== undefined && other !== one) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `two states have the key ${key}; rename one of the fields that hold them`,
      );
    }
    all.set(key, one);
  }
  return all;
}

/**
 * Assigns a record to states by key; `exchanged` keys are checked for their shape and otherwise ignored. Throws
 * `INVALID_ARGUMENT` where two states have one key.
 */
export function loadInto(
  states: readonly (readonly [string, State])[],
  exchanged: readonly (readonly [string, Tensor])[],
  record: StateRecord,
): void {
  if (!isPlain(record)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `states are tensors by key, as stateDict() gives them; given ${describe(record)}`,
    );
  }
  const expected = byKey<Tensor>([...states, ...exchanged]);
  const missing = states.filter(([key]) => !Object.hasOwn(record, key)).map(([key]) => key);
  const unexpected = Object.keys(record).filter((key) => !expected.has(key));
  const problems: string[] = [];
  if (missing.length > 0) problems.push(`missing keys: ${list(missing, SHOWN)}`);
  if (unexpected.length > 0) problems.push(`unexpected keys: ${list(unexpected, SHOWN)}`);
  const shapes: Shape[] = [];
  for (const [key, want] of expected) {
    const given = Object.hasOwn(record, key) ? record[key] : undefined;
    if (given === undefined) continue;
    if (!Array.isArray(given?.shape)) problems.push(`${key}: expected a tensor, given ${describe(given)}`);
    else if (!sameShape(given.shape, want.shape)) {
      problems.push(`${key}: expected shape ${showShape(want.shape)}, given ${showShape(given.shape)}`);
      shapes.push(want.shape, given.shape);
    } else if (given instanceof Tensor ? given.dtype !== want.dtype : given.data.length !== sizeOf(given.shape)) {
      const what = given instanceof Tensor ? given.dtype : `${given.data.length} values`;
      problems.push(`${key}: expected ${sizeOf(want.shape)} values of ${want.dtype}, given ${what}`);
    }
  }
  if (problems.length > 0) {
    const more = problems.length > SHOWN ? `; and ${problems.length - SHOWN} more` : "";
    throw new TslipError(
      shapes.length > 0 ? "SHAPE_MISMATCH" : "INVALID_ARGUMENT",
      `the states given do not fit, and nothing was changed: ${problems.slice(0, SHOWN).join("; ")}${more}`,
      { shapes: shapes.length > 0 ? shapes : undefined },
    );
  }
  assignAll(
    states.flatMap(([key, state]): [State, Tensor][] => {
      const given = record[key];
      if (given === undefined) return [];
      return [[state, given instanceof Tensor ? given : tensor(given.data, given.shape, { dtype: state.dtype })]];
    }),
  );
}
