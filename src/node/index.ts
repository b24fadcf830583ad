// What the core needs of its host, given by Node: the one module, beside the addon, through which tensors, layers, losses,
// optimizers, training, attacks and certificates reach it. Another host gives the same names.
import { AsyncLocalStorage } from "node:async_hooks";
import { totalmem } from "node:os";

export { loadAddon } from "./addon.js";
export { textOf, writeInOneStep } from "./files.js";
export { createProgress, type Progress } from "./progress.js";
export { ed25519Signer } from "./signing.js";

// Tests replace the host's own functions by some that do nothing until they are told to.
const { setImmediate } = globalThis;

/** A value that holds for a call and for all that it awaits, as TC39's AsyncContext.Variable. */
export class AsyncVariable<T> {
  readonly #storage = new AsyncLocalStorage<T>();

  run<R>(value: T, body: () => R): R {
    return this.#storage.run(value, body);
  }

  get(): T | undefined {
    return this.#storage.getStore();
  }
}

/** Bytes of memory of the machine. */
export function totalMemory(): number {
  return totalmem();
}

/** Writes a line on stdout. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Warns without ending anything; `code` is for programs. */
export function warn(message: string, code: string): void {
  process.emitWarning(message, { type: "TslipWarning", code });
}

/** Calls back when the event loop has turned; a process that has nothing else to do ends without. */
export function afterTurn(callback: () => void): void {
  setImmediate(callback).unref();
}

/** Resolves when the event loop has turned: what others wait for comes first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Calls back before the process ends. */
export function beforeExit(callback: () => void): void {
  process.once("exit", callback);
}
