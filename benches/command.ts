// What the tools' command lines share: lists of names, a file of figures, and the errors that are the caller's.
import { open, rename, rm, stat } from "node:fs/promises";
import { InvalidArgumentError } from "commander";

/** An argument that nothing can be done with. */
export class Unusable extends Error {}

/** Reads a list of names, separated by commas, out of those there are; for commander. */
export function oneOrMoreOf(all: readonly string[]): (text: string) => string[] {
  return (text) => {
    const asked = text.split(",").map((name) => name.trim());
    const unknown = asked.filter((name) => !all.includes(name)).map((name) => `"${name}"`);
    if (unknown.length === 0) return [...new Set(asked)];
    throw new InvalidArgumentError(`there is no ${unknown.join(", ")}; expected ${all.join(", ")}`);
  };
}

/** Reads a whole number of at least 1; for commander. */
export function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("expected a positive integer.");
}

/** Exit code of a command that was interrupted. */
export const INTERRUPTED = 130;

/** A signal that Ctrl-C aborts. A second one ends the process at once, but not one that npm sends for the same key press. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  process.on("SIGINT", () => {
    if (controller.signal.aborted) return;
    controller.abort();
    setTimeout(() => process.once("SIGINT", () => process.exit(INTERRUPTED)), SAME_PRESS_MS).unref();
  });
  return controller.signal;
}

const SAME_PRESS_MS = 500;

/** What an error says. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A JSON file: opened before anything is measured, so that a bad path is known at once, and written in one step. */
export class Report {
  readonly #temporary: string;

  private constructor(readonly path: string) {
    this.#temporary = `${path}.${process.pid}.tmp`;
  }

  static async open(path: string): Promise<Report> {
    const report = new Report(path);
    try {
      if ((await stat(path).catch(() => undefined))?.isDirectory()) throw new Unusable("it is a folder");
      await (await open(report.#temporary, "w")).close();
    } catch (error) {
      throw new Unusable(`${path} cannot be written: ${reason(error)}; give --json a file in a folder that is there`);
    }
    return report;
  }

  async write(figures: unknown): Promise<void> {
    const file = await open(this.#temporary, "w");
    await file.writeFile(`${JSON.stringify(figures, null, 2)}\n`).finally(() => file.close());
    try {
      await rename(this.#temporary, this.path);
    } catch (error) {
      throw new Unusable(`${this.path} cannot be written: ${reason(error)}`);
    }
  }

  async close(): Promise<void> {
    await rm(this.#temporary, { force: true });
  }
}
