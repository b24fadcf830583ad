// Child processes of the repository's commands. A signal reaches the child first; then this process exits as a shell
// would, with 128 + the signal's number.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { showStep } from "./progress.mjs";

/** The repository's root folder. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Absolute path of a file of the repository. */
export const inRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** Prints a sentence and ends with exit code 1. */
export function fail(message) {
  console.error(message);
  process.exit(1);
}

/**
 * Runs a command, in the repository's root unless told otherwise.
 * @param output "keep" collects what it prints, "tee" also shows it, "inherit" hands it the terminal.
 * @param onLine called with each line, ended by a line feed or a carriage return, that is collected.
 * @returns its exit code, undefined where there is no such command, and what it printed (both streams).
 */
export function execute(command, args, { output = "keep", env = process.env, cwd = root, onLine } = {}) {
  return new Promise((resolve) => {
    const stdio = output === "inherit" ? "inherit" : ["ignore", "pipe", "pipe"];
    const child = spawn(command, args, { cwd, env, stdio });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      let begun = "";
      stream?.setEncoding("utf8").on("data", (part) => {
        text += part;
        const lines = (begun + part).split(/[\r\n]/);
        begun = lines.pop();
        if (onLine) lines.forEach(onLine);
        if (output === "tee") process.stderr.write(part);
      });
    }
    let received;
    const forward = (signal) => {
      received = signal;
      child.kill(signal);
    };
    const signals = ["SIGINT", "SIGTERM"];
    for (const signal of signals) process.on(signal, forward);
    const finish = (code, signal) => {
      for (const each of signals) process.off(each, forward);
      const stopped = received ?? signal;
      if (stopped) process.exit(128 + constants.signals[stopped]);
      resolve({ code, output: text });
    };
    child.on("error", () => finish(undefined, null));
    child.on("close", finish);
  });
}

/**
 * Runs a step of a build: says what it does and how long it took; shows what the command printed only if it fails.
 * @param env added to the environment.
 * @param statusOf what a line that the command prints says of its progress; undefined where it says nothing.
 */
export async function step(title, [command, args], { env = {}, statusOf } = {}) {
  const display = showStep(title);
  const onLine = (line) => {
    const status = statusOf?.(line);
    if (status !== undefined) display.update(status);
  };
  const { code, output } = await execute(command, args, { env: { ...process.env, ...env }, onLine });
  if (code === 0) return display.stop();
  display.stop("failed");
  // Lines that end in a carriage return were progress.
  fail(output.replace(/[^\r\n]*\r(?!\n)/g, ""));
}
