// What a command is: a file beside this one, and a line in index.ts.
import { type ParseArgsConfig, parseArgs } from "node:util";
import type { TextStream } from "../../node/progress.js";

type Described = NonNullable<ParseArgsConfig["options"]>;

/** Options as they were given. */
type Values<O extends Described> = ReturnType<typeof parseArgs<{ options: O; allowPositionals: true }>>["values"];

/** Where a command writes: what it finds, and how far it is. */
export interface Streams {
  readonly out: TextStream;
  readonly error: TextStream;
}

/** A command of `tslip`. */
export interface Command {
  /** What it does, in a line. */
  readonly summary: string;
  /** How it is called, and what its options are. */
  readonly usage: string;
  /** Resolves to the exit code of the process. Throws {@link UsageError} where it was called otherwise. */
  run(given: readonly string[], to: Streams): Promise<number>;
}

/** A call that a command does not understand. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** A command with options, which `node:util` reads. */
export function command<const O extends Described>(described: {
  readonly summary: string;
  readonly usage: string;
  readonly options: O;
  readonly work: (values: Values<O>, positionals: readonly string[], to: Streams) => Promise<number>;
}): Command {
  const { summary, usage, options, work } = described;
  return { summary, usage, run: async (given, to) => await work(...read(given, options), to) };
}

function read<O extends Described>(given: readonly string[], options: O): [Values<O>, string[]] {
  try {
    const { values, positionals } = parseArgs({ args: [...given], options, allowPositionals: true });
    return [values, positionals];
  } catch (error) {
    if (error instanceof Error && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS"))
      throw new UsageError(error.message);
    throw error;
  }
}
