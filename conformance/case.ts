// A case of a vector file: its tensors, read and checked, and how answers are compared with what it expects.

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
  /** Exact values beside the float32 ones, such as the Lipschitz constant of a layer. */
  readonly lipschitz: number | undefined;
}

/** What a topic computed for a case, or why it did not. */
export type Answer =
  | { readonly outputs: Named; readonly grads?: Named; readonly failure?: string }
  | { readonly skipped: string };

export class MalformedFile extends Error {}

/** Reads the cases of a file. Throws {@link MalformedFile} that says what is wrong and where. */
export function readCases(text: string, file: string): Case[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new MalformedFile(`${file} is not JSON: ${String(cause)}`);
  }
  if (!Array.isArray(parsed)) throw new MalformedFile(`${file} does not hold a list of cases`);
  return parsed.map((entry: unknown, i) => readCase(entry, `${file}, case ${i}`));
}

function readCase(entry: unknown, where: string): Case {
  const record = asRecord(entry, where);
  const { name } = record;
  if (typeof name !== "string") throw new MalformedFile(`${where} has no name`);
  const at = `${where} (${name})`;
  const number = (key: string): number => {
    const value = record[key];
    if (typeof value !== "number") throw new MalformedFile(`${at}: ${key} is no number`);
    return value;
  };
  const { lipschitz } = record;
  return {
    name,
    config: asRecord(record["config"] ?? {}, at),
    inputs: named(record["inputs"], at),
    outputs: named(record["outputs"], at),
    grads: named(record["grads"], at),
    rtol: number("rtol"),
    atol: number("atol"),
    referenceDefect: record["reference_defect"] === true,
    ties: record["ties"] === true || name.includes("kink"),
    lipschitz: typeof lipschitz === "number" ? lipschitz : undefined,
  };
}

function named(value: unknown, where: string): Named {
  const entries = Object.entries(asRecord(value ?? {}, where));
  return Object.fromEntries(entries.map(([key, tensor]) => [key, readTensor(tensor, `${where}, ${key}`)]));
}

function readTensor(value: unknown, where: string): Numbers {
  const { shape, data } = asRecord(value, where);
  if (!Array.isArray(shape) || !shape.every((n) => Number.isInteger(n) && n >= 0)) {
    throw new MalformedFile(`${where}: shape is no list of sizes`);
  }
  const size = shape.reduce((product: number, n: number) => product * n, 1);
  if (!Array.isArray(data) || data.length !== size) {
    throw new MalformedFile(
      `${where}: data has ${Array.isArray(data) ? data.length : "no"} entries, the shape takes ${size}`,
    );
  }
  return { shape, data: Float64Array.from(data, (entry: unknown) => readNumber(entry, where)) };
}

function readNumber(entry: unknown, where: string): number {
  if (typeof entry === "number") return entry;
  if (typeof entry === "boolean") return entry ? 1 : 0;
  if (entry === "NaN" || entry === "Infinity" || entry === "-Infinity") return Number(entry);
  throw new MalformedFile(`${where}: ${JSON.stringify(entry)} is no number`);
}

function asRecord(value: unknown, where: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new MalformedFile(`${where}: expected an object`);
}

/** What is wrong with an answer, one line each; nothing if it is right. */
export function mistakes(expected: Case, answer: { outputs: Named; grads?: Named; failure?: string }): string[] {
  const wrong = answer.failure === undefined ? [] : [answer.failure];
  for (const [key, want] of Object.entries(expected.outputs)) {
    wrong.push(...compare(key, want, answer.outputs[key], expected, false));
  }
  if (expected.referenceDefect && Object.keys(expected.outputs).length === 0) {
    for (const [key, got] of Object.entries(answer.outputs)) {
      if (!got.data.every(Number.isFinite)) wrong.push(`${key} is not finite`);
    }
  }
  for (const [key, want] of Object.entries(expected.grads)) {
    wrong.push(...compare(`gradient of ${key}`, want, answer.grads?.[key], expected, expected.ties));
  }
  return wrong;
}

function compare(key: string, want: Numbers, got: Numbers | undefined, c: Case, finiteOnly: boolean): string[] {
  if (got === undefined) return [`${key} was not computed`];
  if (got.data.length !== want.data.length) {
    return [`${key} has shape [${got.shape.join(", ")}] instead of [${want.shape.join(", ")}]`];
  }
  let worst = { excess: 0, at: -1, room: 0 };
  for (const [at, w] of want.data.entries()) {
    const g = got.data[at] ?? Number.NaN;
    if (Object.is(g, w) || g === w || (Number.isNaN(g) && Number.isNaN(w))) continue;
    const room = c.atol + c.rtol * Math.abs(w);
    const off = finiteOnly ? (Number.isFinite(g) ? 0 : Number.POSITIVE_INFINITY) : Math.abs(g - w);
    const excess = Number.isNaN(off) ? Number.POSITIVE_INFINITY : off / room;
    if (excess > 1 && excess > worst.excess) worst = { excess, at, room };
  }
  if (worst.at < 0) return [];
  const [g, w] = [got.data[worst.at], want.data[worst.at]];
  return [`${key}[${worst.at}] is ${g}, expected ${w} within ${worst.room.toExponential(1)}`];
}
