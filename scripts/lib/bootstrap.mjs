// Brings a clone to the state in which its commands run: packages, native addon, compiled TypeScript; stale parts only.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { execute, fail, inRoot, step } from "./process.mjs";
import { CARGO_PROGRESS, cargoStatus } from "./progress.mjs";

/** JavaScript entry points of the tools, run with this Node so that no shell and no PATH is involved. */
export const tools = {
  biome: inRoot("node_modules/@biomejs/biome/bin/biome"),
  napi: inRoot("node_modules/@napi-rs/cli/dist/cli.js"),
  tsc: inRoot("node_modules/typescript/bin/tsc"),
  vitest: inRoot("node_modules/vitest/vitest.mjs"),
};

const ADDON_SOURCES = ["crates", "Cargo.toml", "Cargo.lock"];
const COMPILED_SOURCES = ["src", "examples", "conformance", "benches", "trials", "addon.d.ts", "package.json"];
const COMPILER_PROJECTS = ["tsconfig.json", "tsconfig.build.json", "tsconfig.tools.json"];
/** Written when a compilation of dist/ has ended well; gone with node_modules, as another compiler may follow. */
const DIST_STAMP = inRoot("node_modules/.cache/tslip/dist");

/**
 * Installs and builds what is missing or older than its sources.
 * @param rust whether the command itself needs cargo, even where the addon is up to date.
 * @returns whether anything had to be done.
 */
export async function bootstrap({ rust = false } = {}) {
  // Without it Mesa's software GPU complains in every process.
  process.env.XDG_RUNTIME_DIR ??= tmpdir();
  const addonStale = addonAge() < newest(ADDON_SOURCES);
  await checkTools(rust || addonStale);
  const packagesStale = !packagesInstalled();
  if (packagesStale) await step("Installing npm packages", npm("install", "--no-save", "--loglevel=error"));
  if (addonStale) await buildAddon();
  const distStale = modified(DIST_STAMP) < newest([...COMPILED_SOURCES, ...COMPILER_PROJECTS]);
  if (distStale || !existsSync(inRoot("dist/index.js"))) await compile();
  else return packagesStale || addonStale;
  return true;
}

/** Options of cargo commands that share what they compile with the addon, which its builder compiles for a named target. */
export async function sharedTarget() {
  const { output } = await execute("rustc", ["-vV"]);
  return ["--release", "--target", /^host: (.*)$/m.exec(output)[1]];
}

/** Runs a compiled program of this repository in this process, as `node FILE ARGUMENTS…` would. */
export async function runCompiled(file) {
  process.argv[1] = inRoot(file);
  await import(pathToFileURL(process.argv[1]).href);
}

async function checkTools(rust) {
  const missing = [];
  const leastNode = /\d+\.\d+/.exec(JSON.parse(readFileSync(inRoot("package.json"), "utf8")).engines.node)[0];
  if (!atLeast(process.versions.node, leastNode)) {
    missing.push(`Node.js ${process.versions.node} is too old: install Node.js ${leastNode} or newer.`);
  }
  if (rust) {
    const leastRust = /^rust-version = "(.*)"$/m.exec(readFileSync(inRoot("Cargo.toml"), "utf8"))[1];
    const advice = `install Rust ${leastRust} or newer (https://rustup.rs), then open a new terminal.`;
    for (const tool of ["cargo", "rustc"]) {
      const { code, output } = await execute(tool, ["--version"]);
      const version = /^\w+ (\d+\.\d+\.\d+)/.exec(output)?.[1];
      if (code === undefined) missing.push(`Rust is missing (no ${tool} on PATH): ${advice}`);
      else if (code !== 0 || !version) missing.push(`${tool} does not run (${output.trim()}): ${advice}`);
      else if (!atLeast(version, leastRust)) missing.push(`${tool} ${version} is too old: ${advice}`);
    }
    // On Windows rustc finds the linker of Visual Studio by itself.
    if (process.platform !== "win32" && (await execute("cc", ["--version"])).code !== 0) {
      missing.push(
        "A C linker is missing (no working cc on PATH): install one, with `apt install gcc libc6-dev` on Debian or " +
          "Ubuntu, `dnf install gcc` on Fedora, `xcode-select --install` on macOS.",
      );
    }
  }
  if (missing.length > 0) fail(missing.join("\n"));
}

function atLeast(version, least) {
  const [major, minor] = version.split(".").map(Number);
  const [leastMajor, leastMinor] = least.split(".").map(Number);
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

/** Whether npm's record of what it installed has every package of the lock file at its version. */
function packagesInstalled() {
  const record = inRoot("node_modules/.package-lock.json");
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, "utf8")).packages;
  const wanted = Object.entries(JSON.parse(readFileSync(inRoot("package-lock.json"), "utf8")).packages);
  return wanted.every(
    ([path, { version, optional }]) => path === "" || optional || installed[path]?.version === version,
  );
}

/** npm's command line, run by this Node where npm itself started the command. */
export function npm(...args) {
  const script = process.env.npm_execpath;
  if (script?.endsWith("npm-cli.js")) return [process.execPath, [script, ...args]];
  return process.platform === "win32" ? ["cmd", ["/c", "npm", ...args]] : ["npm", args];
}

const addonFiles = () =>
  readdirSync(inRoot(".")).filter((name) => name.startsWith(`tslip.${process.platform}-${process.arch}`));

/** When the addon of this platform was last built, in milliseconds; 0 where there is none. */
function addonAge() {
  const files = [...addonFiles(), "addon.d.ts"];
  return files.length < 2 ? 0 : Math.min(...files.map((file) => modified(inRoot(file))));
}

async function buildAddon() {
  const start = new Date();
  const args = [
    "build",
    "--platform",
    "--release",
    "--no-js",
    "--dts",
    "addon.d.ts",
    "--manifest-path",
    "crates/node/Cargo.toml",
  ];
  args.push("--package-json-path", "package.json", "--output-dir", ".");
  await step("Building the native addon (minutes at first)", [process.execPath, [tools.napi, ...args]], {
    env: CARGO_PROGRESS,
    statusOf: cargoStatus,
  });
  // Sources edited while it was built are newer than the result.
  for (const file of [...addonFiles(), "addon.d.ts"]) utimesSync(inRoot(file), start, start);
}

async function compile() {
  const start = new Date();
  rmSync(inRoot("dist"), { recursive: true, force: true });
  await step("Compiling TypeScript", [process.execPath, [tools.tsc, "-p", "tsconfig.build.json"]]);
  await step("Compiling examples and tools", [process.execPath, [tools.tsc, "-p", "tsconfig.tools.json"]]);
  mkdirSync(dirname(DIST_STAMP), { recursive: true });
  writeFileSync(DIST_STAMP, "");
  utimesSync(DIST_STAMP, start, start);
}

const modified = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Latest modification of the files and folders, in milliseconds; a folder's own time tells of removed files. */
function newest(paths) {
  const times = paths.map((path) => {
    const own = modified(inRoot(path));
    if (own === 0 || !statSync(inRoot(path)).isDirectory()) return own;
    return Math.max(own, newest(readdirSync(inRoot(path)).map((name) => join(path, name))));
  });
  return Math.max(0, ...times);
}
