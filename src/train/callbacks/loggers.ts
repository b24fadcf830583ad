// CsvLogger and JsonlLogger: the records of a training in a file, a line an epoch.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { textOf, writeInOneStep } from "../../node/index.js";
import { flag, readOptions } from "../../options.js";
import type { Callback } from "../callback.js";
import type { EpochRecord, Metrics } from "../history.js";

export interface LoggerOptions {
  /** Keep the lines that the file has, as of the epochs before; by default it begins anew. */
  append?: boolean;
}

const OPTIONS = { append: flag(false) };

/** Writes the file anew, under a temporary name, after each epoch: whoever reads it finds whole lines. */
abstract class Logger implements Callback {
  readonly path: string;
  readonly #append: boolean;
  #text: string | undefined;

  constructor(path: string, options: LoggerOptions) {
    const { name } = new.target;
    if (typeof path !== "string" || path === "") {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} takes the path of its file, then options; given ${describe(path)}`,
      );
    }
    this.#append = readOptions(name, OPTIONS, options).append;
    this.path = path;
  }

  async onEpochEnd(record: EpochRecord<Metrics>): Promise<void> {
    const before = this.#text ?? (this.#append ? await textOf(this.path) : undefined) ?? "";
    const lines = before === "" || before.endsWith("\n") ? before : `${before}\n`;
    const text = `${lines}${this.added(lines, record)}`;
    await writeInOneStep(this.path, text);
    this.#text = text;
  }

  /** What a record adds to what is written so far. */
  protected abstract added(text: string, record: EpochRecord<Metrics>): string;
}

/** A comma between the figures of an epoch, the names in the first line (RFC 4180). Rejects with `IO` where it cannot be written. */
export class CsvLogger extends Logger {
  constructor(path: string, options: LoggerOptions = {}) {
    super(path, options);
  }

  protected override added(text: string, record: EpochRecord<Metrics>): string {
    const header = line(Object.keys(record));
    const [first = ""] = text.split("\n");
    if (text !== "" && `${first}\n` !== header) {
      throw new TslipError(
        "INVALID_FILE",
        `${this.path} has the columns ${first}, and this training ${header.trim()}; give another path, or leave append out`,
      );
    }
    return `${text === "" ? header : ""}${line(Object.values(record).map(String))}`;
  }
}

/** A JSON object an epoch (jsonlines.org); NaN and infinities are null. Rejects with `IO` where it cannot be written. */
export class JsonlLogger extends Logger {
  constructor(path: string, options: LoggerOptions = {}) {
    super(path, options);
  }

  protected override added(_text: string, record: EpochRecord<Metrics>): string {
    return `${JSON.stringify(record)}\n`;
  }
}

function line(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\n`;
}
