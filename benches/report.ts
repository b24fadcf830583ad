// A file of figures, and the errors that are the caller's.
import { open, rename, rm, stat } from "node:fs/promises";

/** An argument that nothing can be done with. */
export class Unusable extends Error {}

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
