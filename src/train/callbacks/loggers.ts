// CsvLogger and JsonlLogger: the records of a training in a file, a line an epoch.
import { describe } from "../../describe.js";
import { TslipError } from "../../errors.js";
import { textOf, writeInOneStep } from "../../node/index.js";
import { flag, readOptions } from "../../options.js";
import type { Callback, TrainingControl } from "../callback.js";
import type { EpochRecord, Metrics } from "../history.js";

export interface LoggerOptions {
  /** Keep the lines that the file has, as of the epochs before; by default the first epoch begins it anew. */
  append?: boolean;
}

const OPTIONS = { append: flag(false) };

/**
 * Writes the file anew, under a temporary name, after each epoch: whoever reads it finds whole lines. Its first epoch begins the file,
 * further fits with it go on where that ends, as one with `append` does from the first on.
 */
abstract class Logger implements Callback {
  readonly path: string;
  #goesOn: boolean;

  constructor(path: string, options: LoggerOptions) {
    const { name } = new.target;
    if (typeof path !== "string" || path === "") {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} takes the path of its file, then options; given ${describe(path)}`,
      );
    }
    this.#goesOn = readOptions(name, OPTIONS, options).append;
    this.path = path;
  }

  async onEpochStart(_epoch: number, { figures }: Pick<TrainingControl, "figures">): Promise<void> {
    this.check(await this.#written(), figures);
  }

  async onEpochEnd(record: EpochRecord<Metrics>, { figures }: Pick<TrainingControl, "figures">): Promise<void> {
    const written = await this.#written();
    this.check(written, figures);
    await writeInOneStep(this.path, `${written}${this.added(written, record, figures)}`);
    this.#goesOn = true;
  }

  /** Whole lines of epochs before; empty where the file begins anew. */
  async #written(): Promise<string> {
    const text = (this.#goesOn ? await textOf(this.path) : undefined) ?? "";
    return text === "" || text.endsWith("\n") ? text : `${text}\n`;
  }

  /** Throws `INVALID_FILE` where records with these figures cannot follow what is written. */
  protected abstract check(written: string, figures: readonly string[]): void;

  /** What a record adds to what is written. */
  protected abstract added(written: string, record: EpochRecord<Metrics>, figures: readonly string[]): string;
}

/**
 * A comma between the figures of an epoch, the names in the first line (RFC 4180). One logger in several fits, or one with `append`, adds to
 * its file without a second header. Rejects with `INVALID_FILE` before training where that has other columns, with `IO` where it cannot
 * be written.
 */
export class CsvLogger extends Logger {
  constructor(path: string, options: LoggerOptions = {}) {
    super(path, options);
  }

  protected override check(written: string, figures: readonly string[]): void {
    const header = line(figures);
    if (written === "" || written.startsWith(header)) return;
    const [first = ""] = written.split("\n");
    throw new TslipError(
      "INVALID_FILE",
      `${this.path} has the columns ${first}, and this training ${header.trimEnd()}; give another path, or take a new CsvLogger ` +
        "without append, which begins the file anew",
    );
  }

  protected override added(written: string, record: EpochRecord<Metrics>, figures: readonly string[]): string {
    return `${written === "" ? line(figures) : ""}${line(figures.map((name) => String(record[name])))}`;
  }
}

/**
 * A JSON object an epoch (jsonlines.org); NaN and infinities are null. One logger in several fits, or one with `append`, adds to its file.
 * Rejects with `IO` where it cannot be written.
 */
export class JsonlLogger extends Logger {
  constructor(path: string, options: LoggerOptions = {}) {
    super(path, options);
  }

  /** Each line says for itself what it has. */
  protected override check(): void {
    return;
  }

  protected override added(_written: string, record: EpochRecord<Metrics>): string {
    return `${JSON.stringify(record)}\n`;
  }
}

function line(cells: readonly string[]): string {
  return `${cells.map((cell) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell)).join(",")}\n`;
}
