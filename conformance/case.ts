// A case of a vector file: its tensors and tolerances, read and checked.

/** Values of a tensor in float64, whatever their type in the file. */
export interface Numbers {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

export type Named = Readonly<Record<string, Numbers>>;
export type Config = Readonly<Record<string, unknown>>;

export interface Case {
  readonly name: string;
  readonly config: Config;
  readonly inputs: Named;
  readonly outputs: Named;
  readonly grads: Named;
  readonly rtol: number;
  readonly atol: number;
  /** The reference is wrong here, so that a library may refuse the configuration. */
  readonly referenceDefect: boolean;
  /** Values lie on a kink: another subgradient is as right, one that is not finite is wrong. */
  readonly ties: boolean;
  /** Exact Lipschitz constant of the layer in the case, on its image size. */
  readonly lipschitz: number | undefined;
}

/** A file that does not have the format. The message names the file, the case and what was expected. */
export class MalformedFile extends Error {}

/** Reads the cases of a file. Throws {@link MalformedFile}. */
export function readCases(text: string, file: string): Case[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new MalformedFile(`${file} is not JSON: ${String(cause)}`);
  }
  if (!Array.isArray(parsed)) throw new MalformedFile(`${file} does not hold a list of cases`);
  const cases = parsed.map((entry: unknown, i) => readCase(entry, `${file}, case ${i}`));
  const seen = new Set<string>();
  for (const { name } of cases) {
    if (seen.has(name)) throw new MalformedFile(`${file} has two cases named ${name}`);
    seen.add(name);
  }
  return cases;
}

function readCase(entry: unknown, where: string): Case {
  const record = asRecord(entry, where);
  const { name } = record;
  if (typeof name !== "string" || name === "") throw new MalformedFile(`${where} has no name`);
  const at = `${where} (${name})`;
  const tolerance = (key: string): number => {
    const value = record[key];
    if (typeof value === "number" && value >= 0) return value;
    throw new MalformedFile(`${at}: ${key} must be a number of at least 0; given ${JSON.stringify(value)}`);
  };
  const outputs = named(record["outputs"], `${at}, outputs`);
  const referenceDefect = record["reference_defect"] === true;
  if (Object.keys(outputs).length === 0 && !referenceDefect) {
    throw new MalformedFile(`${at} has no outputs, which only a reference_defect explains`);
  }
  const { lipschitz } = record;
  return {
    name,
    config: asRecord(record["config"], `${at}, config`),
    inputs: named(record["inputs"], `${at}, inputs`),
    outputs,
    grads: named(record["grads"], `${at}, grads`),
    rtol: tolerance("rtol"),
    atol: tolerance("atol"),
    referenceDefect,
    // Losses on the hinge's corner say so in their names.
    ties: record["ties"] === true || /(^|_)kink(_|$)/.test(name),
    lipschitz: lipschitz === undefined ? undefined : readNumber(lipschitz, "float64", `${at}, lipschitz`),
  };
}

function named(value: unknown, where: string): Named {
  const entries = Object.entries(asRecord(value, where));
  return Object.fromEntries(entries.map(([key, tensor]) => [key, readTensor(tensor, `${where}, ${key}`)]));
}

function readTensor(value: unknown, where: string): Numbers {
  const { shape, data, dtype = "float32" } = asRecord(value, where);
  if (!Array.isArray(shape) || !shape.every((n) => Number.isInteger(n) && n >= 0)) {
    throw new MalformedFile(`${where}: shape is no list of sizes`);
  }
  const size = shape.reduce((product: number, n: number) => product * n, 1);
  if (!Array.isArray(data) || data.length !== size) {
    const count = Array.isArray(data) ? data.length : "no";
    throw new MalformedFile(`${where}: data has ${count} entries, shape [${shape.join(", ")}] takes ${size}`);
  }
  return { shape, data: Float64Array.from(data, (entry: unknown) => readNumber(entry, dtype, where)) };
}

const NOT_FINITE: ReadonlySet<unknown> = new Set(["NaN", "Infinity", "-Infinity"]);
const INT32_LIMIT = 2 ** 31;

function readNumber(entry: unknown, dtype: unknown, where: string): number {
  switch (dtype) {
    case "float32":
    case "float64":
      if (typeof entry !== "number" && !NOT_FINITE.has(entry)) break;
      // A float32 is written as the shortest decimal that reads back to it.
      return dtype === "float32" ? Math.fround(Number(entry)) : Number(entry);
    case "int32":
      if (!Number.isInteger(entry) || Number(entry) < -INT32_LIMIT || Number(entry) >= INT32_LIMIT) break;
      return Number(entry);
    case "bool":
      if (typeof entry !== "boolean") break;
      return Number(entry);
    default:
      throw new MalformedFile(
        `${where}: dtype must be float32, float64, int32 or bool; given ${JSON.stringify(dtype)}`,
      );
  }
  throw new MalformedFile(`${where}: ${JSON.stringify(entry)} is no ${dtype}`);
}

function asRecord(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new MalformedFile(`${where}: expected an object; given ${JSON.stringify(value) ?? "nothing"}`);
}
