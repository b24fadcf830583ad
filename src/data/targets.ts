// What the samples of a data set are to be told as: class labels of any kind, mapped to indices once, or numbers of any shape.
import { describe, list } from "../describe.js";
import { TslipError } from "../errors.js";
import { type ArrayData, Tensor, tensor } from "../tensor/index.js";
import { showShape } from "../tensor/shape.js";

/** A class as a user may name it. */
export type Label = number | string | boolean;

/** A class label for each sample. */
export type Labels =
  | readonly Label[]
  | Uint8Array
  | Uint8ClampedArray
  | Int8Array
  | Uint16Array
  | Int16Array
  | Int32Array
  | Uint32Array;

/** Rows of nested arrays, one for each sample, to any depth. */
type Rows = readonly (number | boolean | Rows)[];

/** One number for each sample, or numbers `[n, ...]`; of integers and of plain numbers `[n]` class labels. */
export type NumericTargets =
  | Float32Array
  | Float64Array
  | readonly Rows[]
  | { readonly data: ArrayData; readonly shape: readonly number[] }
  | Tensor;

/**
 * Targets as a user may give them. One value for each sample, shape `[n]`, is its class label, unless the array or the tensor is one of
 * floats; all else are numbers.
 * - Class labels: integers from 0; -1 and +1, or booleans, of two classes, which `classNames` may name; or whatever `classNames` lists;
 *   strings without it too.
 * - Numbers, for several labels a sample (rows of 0/1 or -1/+1) or for regression: a `Float32Array`, a `Float64Array` or a tensor of
 *   floats `[n]`; of more axes nested arrays, any tensor, or `{ data, shape }`.
 */
export type Targets = Labels | NumericTargets;

/** What the target of one sample is: a class index (i32, shape `[]`), or f32 numbers of a shape. */
export interface TargetSpec {
  readonly dtype: "i32" | "f32";
  readonly shape: readonly number[];
}

/** Targets as a data set keeps them. */
export interface CheckedTargets {
  readonly spec: TargetSpec;
  /** All targets, row-major. */
  readonly values: Int32Array | Float32Array;
  readonly length: number;
  /** Names of the classes by index; of rows those that were given, one for each column. */
  readonly classNames: readonly string[];
  readonly indexing: Indexing;
}

/**
 * How class indices came about. "given": labels are the indices, and names no more than their digits. "named": labels are the
 * indices, of classes with names, or say them by themselves (booleans; -1 and +1). "listed": an index is a label's place in a list
 * of all, and means nothing without it.
 */
export type Indexing = "given" | "named" | "listed";

/** Whether indices up to the last class that both have mean the same: by their names, unless labels are indices without any. */
export function sameClasses(one: ClassList, other: ClassList): boolean {
  const indexings = [one.indexing, other.indexing];
  if (indexings.includes("given") && !indexings.includes("listed")) return true;
  // The last classes may lack samples.
  return one.classNames.every((name, label) => name === (other.classNames[label] ?? name));
}

/** Classes in the order of their indices. */
export type ClassList = Pick<CheckedTargets, "classNames" | "indexing">;

/** A name for every class is kept, so a stray huge label must not become a huge list. */
const MAX_CLASSES = 1 << 20;

/** Targets, copied; labels that are `ignoreIndex` stay what they are. Throws `EMPTY_DATASET`, `LABEL_OUT_OF_RANGE`, `SHAPE_MISMATCH`, `NON_FINITE` or `INVALID_ARGUMENT`. */
export function checkTargets(
  targets: Targets,
  classNames: readonly Label[] | undefined,
  ignoreIndex: number | undefined,
): CheckedTargets {
  const names = classNames && checkClassNames(classNames);
  const given = parsed(targets);
  if (given.length === 0) throw new TslipError("EMPTY_DATASET", "a data set without images; give at least one");
  if ("shape" in given) {
    if (ignoreIndex === undefined) return numbers(given, names);
    throw new TslipError(
      "INVALID_ARGUMENT",
      `ignoreIndex ${ignoreIndex} is for class labels; the targets are numbers of shape [${given.shape.join(", ")}]`,
    );
  }
  const { values, ...classes } = classIndices(given, names, new Set(ignoreIndex === undefined ? [] : [ignoreIndex]));
  return { spec: { dtype: "i32", shape: [] }, values, length: values.length, ...classes };
}

type Parsed = ArrayLike<unknown> | { length: number; values: ArrayLike<number>; shape: readonly number[] };

function parsed(targets: Targets): Parsed {
  if (targets instanceof Float32Array || targets instanceof Float64Array) {
    return { length: targets.length, values: targets, shape: [targets.length] };
  }
  if (Array.isArray(targets)) {
    return targets.some((target) => Array.isArray(target)) ? ofTensor(tensor(targets as Rows)) : targets;
  }
  if (ArrayBuffer.isView(targets) && !(targets instanceof DataView)) return targets as ArrayLike<unknown>;
  if (targets instanceof Tensor) return ofTensor(targets);
  if (typeof targets === "object" && targets !== null && "data" in targets && "shape" in targets) {
    const { data, shape } = targets;
    const given = tensor(data, shape);
    return Array.isArray(data) && given.rank === 1 ? data : ofTensor(given);
  }
  throw new TslipError(
    "INVALID_ARGUMENT",
    `targets must be an array of class labels (integers, strings, booleans), or numbers: a Float32Array, nested arrays, a tensor or { data, shape }; given ${describe(targets)}`,
  );
}

function ofTensor(targets: Tensor): Parsed {
  const values = targets.dataSync();
  const { shape, dtype } = targets;
  if (shape.length === 0) {
    throw new TslipError("SHAPE_MISMATCH", "targets of shape []; expected [n, ...], the first axis being the samples", {
      shapes: [shape],
    });
  }
  const [length = 0] = shape;
  return shape.length === 1 && dtype !== "f32" ? values : { length, values, shape };
}

function numbers(
  { values, shape, length }: { values: ArrayLike<number>; shape: readonly number[]; length: number },
  names: Names | undefined,
): CheckedTargets {
  const own = shape.slice(1);
  const given = Float32Array.from(values);
  const size = given.length / length;
  if (size === 0) {
    throw new TslipError(
      "EMPTY_DATASET",
      `targets of shape ${showShape(shape)} have no numbers; give some for every image`,
    );
  }
  const at = given.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new TslipError(
      "NON_FINITE",
      `the target of sample ${Math.floor(at / size)} has ${values[at]} (element ${at}); targets must be finite float32 numbers`,
    );
  }
  if (names !== undefined && (own.length !== 1 || own[0] !== names.texts.length)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${names.texts.length} classNames for targets of shape ${showShape(shape)}; names are for class labels, or one for each ` +
        "column of rows [n, labels]",
      { shapes: [shape] },
    );
  }
  return {
    spec: { dtype: "f32", shape: own },
    values: given,
    length,
    classNames: names?.texts ?? [],
    indexing: "named",
  };
}

interface Names {
  /** What `typeof` says of each. */
  readonly kind: string;
  readonly labels: readonly Label[];
  readonly texts: readonly string[];
}

function checkClassNames(names: readonly Label[]): Names {
  if (!Array.isArray(names)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `classNames must be an array of names, one a class; given ${describe(names)}`,
    );
  }
  const kind = typeof (names[0] ?? "");
  names.forEach((name, label) => {
    const nameable = typeof name === "string" || typeof name === "boolean" || Number.isFinite(name);
    if (nameable && typeof name === kind) return;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `classNames[${label}] is ${describe(name)}; expected a string (or, of labels of other kinds, all numbers or all booleans)`,
    );
  });
  return { kind, labels: names, texts: names.map(String) };
}

/** Class indices, and what they are indices of. */
type Indices = ClassList & { readonly values: Int32Array };

/** Labels that stay what they are: none or one. */
type Ignored = ReadonlySet<unknown>;

function classIndices(labels: ArrayLike<unknown>, names: Names | undefined, ignored: Ignored): Indices {
  const counted = ignored.size === 0 ? labels : Array.from(labels).filter((label) => !ignored.has(label));
  const kind = kindOf(labels, ignored);
  const pair = names === undefined || (names.kind === "string" && names.texts.length === 2);
  // Two classes that say themselves which one comes first.
  const codes = pair ? twoCodes(counted, kind) : undefined;
  if (codes !== undefined) {
    const { values, classNames } = lookUp(labels, codes, ignored);
    return { values, classNames: names?.texts ?? classNames, indexing: "named" };
  }
  if (kind === "number" && names?.kind !== "number") {
    const values = ofIntegers(labels, ignored, names?.texts.length);
    if (names !== undefined) return { values, classNames: names.texts, indexing: "named" };
    const classes = values.reduce((most, label) => (ignored.has(label) ? most : Math.max(most, label)), 0) + 1;
    return { values, classNames: numbered(classes), indexing: "given" };
  }
  return lookUp(labels, names?.labels ?? [...new Set(Array.from(counted, String))].sort(), ignored);
}

/** false and true, or -1 and +1 where there is a -1: labels of two classes in the order of their indices. */
function twoCodes(labels: ArrayLike<unknown>, kind: string): readonly Label[] | undefined {
  if (kind === "boolean") return [false, true];
  const signs = every(labels, (label) => label === 1 || label === -1) && some(labels, (label) => label === -1);
  return signs ? [-1, 1] : undefined;
}

/** Places of labels in a list. */
function lookUp(labels: ArrayLike<unknown>, names: readonly Label[], ignored: Ignored): Indices {
  const indices = new Map<unknown, number>();
  names.forEach((name, index) => {
    const before = indices.get(name);
    if (before !== undefined) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `classNames ${before} and ${index} both are ${describe(name)}; expected other names`,
      );
    }
    if (ignored.has(index)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `ignoreIndex ${index} is the index of the label ${describe(name)}; give one that is no place in the list of ${names.length}`,
      );
    }
    indices.set(name, index);
  });
  const values = new Int32Array(labels.length);
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i];
    const index = ignored.has(label) ? (label as number) : indices.get(label);
    if (index === undefined) {
      throw new TslipError(
        "LABEL_OUT_OF_RANGE",
        `labels[${i}] is ${describe(label)}; expected one of ${list(names.map((name) => JSON.stringify(name)))}`,
      );
    }
    values[i] = index;
  }
  return { values, classNames: names.map(String), indexing: "listed" };
}

function kindOf(labels: ArrayLike<unknown>, ignored: Ignored): string {
  let first = 0;
  while (ignored.has(labels[first])) first += 1;
  const kind = typeof labels[first];
  for (let i = first + 1; i < labels.length; i += 1) {
    if (typeof labels[i] === kind || ignored.has(labels[i])) continue;
    throw new TslipError(
      "LABEL_OUT_OF_RANGE",
      `labels[${i}] is ${describe(labels[i])}, labels[${first}] is ${describe(labels[first])}; expected labels of one kind`,
    );
  }
  if (kind === "string" || kind === "boolean") return kind;
  return "number";
}

function ofIntegers(labels: ArrayLike<unknown>, ignored: Ignored, classes = MAX_CLASSES): Int32Array {
  const checked = new Int32Array(labels.length);
  for (let i = 0; i < labels.length; i += 1) {
    const label = labels[i];
    if (typeof label !== "number" || !Number.isInteger(label)) {
      throw new TslipError(
        "LABEL_OUT_OF_RANGE",
        `labels[${i}] is ${describe(label)}; expected an integer class index from 0 (numbers of a regression are a Float32Array)`,
      );
    }
    if ((label < 0 || label >= classes) && !ignored.has(label)) {
      throw new TslipError(
        "LABEL_OUT_OF_RANGE",
        `labels[${i}] is ${label}; expected a class index from 0 to ${classes - 1} (list other labels in classNames; ` +
          "samples that do not count may have the one that is ignoreIndex)",
      );
    }
    checked[i] = label;
  }
  return checked;
}

function numbered(classes: number): string[] {
  return Array.from({ length: classes }, (_, label) => String(label));
}

function every(labels: ArrayLike<unknown>, holds: (label: unknown) => boolean): boolean {
  return !some(labels, (label) => !holds(label));
}

function some(labels: ArrayLike<unknown>, holds: (label: unknown) => boolean): boolean {
  for (let i = 0; i < labels.length; i += 1) if (holds(labels[i])) return true;
  return false;
}
