// Files that are written whole or not at all.
import { randomUUID } from "node:crypto";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { TslipError } from "../errors.js";

/** Writes a file under a temporary name first, so that a failure leaves what was there. Rejects with `IO`. */
export async function writeInOneStep(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.part`;
  try {
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw failure(path, "written", error);
  }
}

/** The text of a file; nothing where there is none. Rejects with `IO`. */
export async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw failure(path, "read", error);
  }
}

function failure(path: string, what: string, error: unknown): TslipError {
  const reason = error instanceof Error ? error.message : String(error);
  return new TslipError("IO", `${path} cannot be ${what}: ${reason}`, { cause: error });
}
