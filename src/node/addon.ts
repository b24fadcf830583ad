// Loads the native addon of this machine, or says why there is none and what to do.
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type * as Addon from "../../addon.js";
import { TslipError } from "../errors.js";

/** Machines whose addon is published, and the ending of its package's name: package.json's `napi.targets`. */
const PUBLISHED: Readonly<Record<string, string>> = {
  "linux-x64": "linux-x64-gnu",
  "linux-arm64": "linux-arm64-gnu",
  "darwin-x64": "darwin-x64",
  "darwin-arm64": "darwin-arm64",
  "win32-x64": "win32-x64-msvc",
};

const BUILD =
  "build it yourself: npm run build in a copy of tslip's repository needs Rust and a C linker, and npm install FOLDER takes that copy";
/** The system's own words, folders left out, are cut at so many characters: macOS lists every place it has looked in. */
const REASON_LENGTH = 160;

/**
 * The native addon: of a build in this package's folder if there is one, else of the package that npm installs for this machine.
 * @throws TslipError UNSUPPORTED where there is none, or where it does not load.
 */
export function loadAddon(): typeof Addon {
  const require = createRequire(import.meta.url);
  const machine = `${process.platform}-${process.arch}`;
  const published = PUBLISHED[machine];
  const built = builds(machine);
  const failures: unknown[] = [];
  for (const place of published === undefined ? built : [...built, `tslip-${published}`]) {
    try {
      return require(place);
    } catch (error) {
      failures.push(error);
    }
  }
  const [cause] = failures;
  throw new TslipError("UNSUPPORTED", refusal(machine, built.length > 0, cause), { cause });
}

/** Paths of addons that were built for this machine, with any C library. */
function builds(machine: string): string[] {
  const folder = fileURLToPath(new URL("../../", import.meta.url));
  const isBuild = (name: string) => name.endsWith(".node") && name.split(/[.-]/, 3).join("-") === `tslip-${machine}`;
  return readdirSync(folder)
    .filter(isBuild)
    .map((name) => folder + name);
}

/** Why no addon was loaded on `machine`: whether one was built on it, and the first failure, undefined where there was nothing to try. */
function refusal(machine: string, built: boolean, failure: unknown): string {
  const library = machine.startsWith("linux") ? cLibrary() : undefined;
  const system = library === undefined ? machine : `${machine} with ${library}`;
  const missing = failure instanceof Error && "code" in failure && failure.code === "MODULE_NOT_FOUND";
  if (failure === undefined || (library === "musl" && !built)) {
    const machines = Object.keys(PUBLISHED).map((name) => (name.startsWith("linux") ? `${name} with glibc` : name));
    return `tslip is not published for ${system}, only for ${machines.join(", ")}; use one of these, or ${BUILD}`;
  }
  if (missing) {
    return (
      `the package tslip-${PUBLISHED[machine]}, tslip's native addon for ${system}, is not installed: remove node_modules ` +
      "and install on this machine, with optional dependencies (npm install --include=optional); a bundler must leave tslip external"
    );
  }
  const [line = ""] = (failure instanceof Error ? failure.message : String(failure)).split("\n", 1);
  const reason = line.replace(/\S*[\\/](?=\S)/g, "").slice(0, REASON_LENGTH);
  const needed = /version `GLIBC_([\d.]+)' not found/.exec(reason)?.[1];
  if (needed !== undefined) {
    return `tslip's native addon needs glibc ${needed} or later, but this is ${system}: use a newer system, or ${BUILD}`;
  }
  return `tslip's native addon for ${system} does not load (${reason}): install tslip again, or ${BUILD}`;
}

/** The C library that this Node.js runs with. */
function cLibrary(): string {
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  const version = report.header.glibcVersionRuntime;
  return version === undefined ? "musl" : `glibc ${version}`;
}
