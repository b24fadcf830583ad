// A machine that tslip cannot run on is told so in one sentence of ours, which names the machine, what runs and what to do.
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const MANIFEST = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  engines: { node: string };
  napi: { targets: string[] };
  dependencies: Record<string, string>;
};
const MACHINE = `${process.platform}-${process.arch}`;
const ADDON = readdirSync(root).find((name) => name.startsWith(`tslip.${MACHINE}`) && name.endsWith(".node")) ?? "";
/** The package of this machine's addon. */
const PACKAGE = ADDON.replace(".node", "").replace(".", "-");
const ON_GLIBC = ADDON.endsWith("linux-x64-gnu.node");

let project: string;
const installed = (...path: string[]): string => join(project, "node_modules", ...path);

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "tslip-loading-"));
  mkdirSync(installed("tslip"), { recursive: true });
  copyFileSync(join(root, "package.json"), installed("tslip", "package.json"));
  cpSync(join(root, "dist"), installed("tslip", "dist"), { recursive: true });
  for (const name of Object.keys(MANIFEST.dependencies)) {
    mkdirSync(join(installed(name), ".."), { recursive: true });
    symlinkSync(join(root, "node_modules", name), installed(name), "junction");
  }
  const tell = "(error) => console.log(JSON.stringify({ ...error, name: error.name, message: error.message }))";
  writeFileSync(join(project, "import.mjs"), `import("tslip").then(() => console.log('"loaded"'), ${tell});`);
  writeFileSync(
    join(project, "require.cjs"),
    `try { require("tslip"); console.log('"loaded"'); } catch (e) { (${tell})(e); }`,
  );
});
afterEach(() => {
  rmSync(installed(PACKAGE), { recursive: true, force: true });
  for (const name of readdirSync(installed("tslip"))) {
    if (name.endsWith(".node")) rmSync(installed("tslip", name));
  }
});
afterAll(() => rmSync(project, { recursive: true, force: true }));

/** What loading tslip comes to where `preload` has changed what Node says of the machine. */
function load(preload = "", script = "import.mjs", ...flags: string[]): unknown {
  const args = ["--import", `data:text/javascript,${encodeURIComponent(preload)}`, ...flags, script];
  const run = spawnSync(process.execPath, args, { cwd: project, encoding: "utf8" });
  expect(run.status, run.stderr).toBe(0);
  return JSON.parse(run.stdout);
}

/** The message of that, which is one sentence of a TslipError. */
function refusal(...how: Parameters<typeof load>): string {
  const error = load(...how);
  expect(error).toMatchObject({ name: "TslipError", code: "UNSUPPORTED", message: expect.any(String) });
  const { message } = error as { message: string };
  expect(message.length).toBeLessThanOrEqual(400);
  expect(message).not.toMatch(/\n|\. [A-Z]|npm has a bug/);
  return message;
}

/** Puts the package of this machine's addon in its place, with `content` as the addon. */
function install(content: Uint8Array): void {
  mkdirSync(installed(PACKAGE));
  writeFileSync(installed(PACKAGE, "package.json"), JSON.stringify({ name: PACKAGE, version: "0.1.0", main: ADDON }));
  writeFileSync(installed(PACKAGE, ADDON), content);
}

const pretend = (platform: string, arch: string): string =>
  `for (const [name, value] of Object.entries({ platform: "${platform}", arch: "${arch}" })) Object.defineProperty(process, name, { value });`;
const MUSL = "process.report.getReport = () => ({ header: {} });";

/** What the machine of a target of the addon's builder is called: "linux-x64 with glibc" is "x86_64-unknown-linux-gnu". */
function machineOf(target: string): string {
  const system = /linux-gnu|darwin|windows/.exec(target)?.[0] ?? "";
  const cpu = target.startsWith("x86_64") ? "x64" : "arm64";
  return { "linux-gnu": `linux-${cpu} with glibc`, darwin: `darwin-${cpu}`, windows: `win32-${cpu}` }[system] ?? target;
}

describe("a machine without a prebuilt addon", () => {
  it.each([
    ["freebsd", "x64", "freebsd-x64"],
    ["linux", "riscv64", "linux-riscv64 with glibc"],
    ["win32", "arm64", "win32-arm64"],
  ])("%s of %s is named, beside what is published and how to build", (platform, arch, named) => {
    const glibc = 'process.report.getReport = () => ({ header: { glibcVersionRuntime: "2.36" } });';
    const message = refusal(pretend(platform, arch) + glibc);
    expect(message).toMatch(new RegExp(`^tslip is not published for ${named}.*npm run build.* Rust`));
    const [, published = ""] = /only for (.*); use one of these/.exec(message) ?? [];
    expect(published.split(", ").sort()).toEqual(MANIFEST.napi.targets.map(machineOf).sort());
  });

  it("musl is named, whether or not an addon for glibc lies there", () => {
    const message = refusal(pretend("linux", "x64") + MUSL);
    expect(message).toMatch(/^tslip is not published for linux-x64 with musl, only for .*linux-x64 with glibc/);
    if (!ON_GLIBC) return;
    install(new TextEncoder().encode("an addon for another C library"));
    expect(refusal(MUSL)).toBe(message);
  });

  it("runs the addon that was built on it", () => {
    copyFileSync(join(root, ADDON), installed("tslip", `tslip.${MACHINE}-musl.node`));
    expect(load(MUSL)).toBe("loaded");
    writeFileSync(installed("tslip", `tslip.${MACHINE}-musl.node`), "no library");
    expect(refusal(MUSL)).toMatch(/^tslip's native addon for .* does not load \(.{10,}\): .* build it yourself/);
  });
});

describe("a machine with a prebuilt addon", () => {
  it("is told of an addon that is not installed", () => {
    const message = refusal();
    expect(message).toContain(`the package ${PACKAGE}, tslip's native addon for ${MACHINE}`);
    expect(message).toMatch(/npm install --include=optional.*a bundler must leave tslip external/);
  });

  it("is told of a package without its addon", () => {
    install(new Uint8Array());
    rmSync(installed(PACKAGE, ADDON));
    expect(refusal()).toMatch(/is not installed/);
  });

  it.each([
    ["is no library", new TextEncoder().encode("no library ".repeat(100))],
    ["is cut off", readFileSync(join(root, ADDON)).subarray(0, 40)],
    ["is empty", new Uint8Array()],
  ])("is told why an addon does not load that %s", (_, content) => {
    install(content);
    const message = refusal();
    expect(message).toContain(`native addon for ${MACHINE}`);
    expect(message).toMatch(/does not load \(.{10,}\): install tslip again, or build it yourself/);
    expect(message).not.toContain(project);
  });

  it("is told why where Node loads no addons at all", () => {
    install(readFileSync(join(root, ADDON)));
    expect(refusal("", "import.mjs", "--no-addons")).toMatch(/loading addons is disabled/);
  });

  it.runIf(ON_GLIBC)("is told of a glibc that is too old", () => {
    const text = readFileSync(join(root, ADDON)).toString("latin1");
    install(Buffer.from(text.replaceAll("\0GLIBC_2.34\0", "\0GLIBC_9.34\0"), "latin1"));
    const { glibcVersionRuntime } = (process.report.getReport() as unknown as { header: Record<string, string> })
      .header;
    const message = refusal();
    expect(message).toContain(`needs glibc 9.34 or later, but this is linux-x64 with glibc ${glibcVersionRuntime}`);
    expect(message).toMatch(/use a newer system, or build it yourself.* Rust/);
  });
});

describe("a Node.js", () => {
  const pretendNode = (version: string): string =>
    `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`;

  it("of the versions that package.json names can run tslip", () => {
    expect(MANIFEST.engines.node).toBe("^20.19 || >=22.13");
    for (const version of ["20.19.0", "20.20.2", "22.13.0", "22.22.1", "23.0.0", "26.1.0"]) {
      expect(refusal(pretendNode(version)), version).toMatch(/is not installed/);
    }
  });

  it("of others is told so before anything else", () => {
    for (const version of ["12.22.12", "18.20.8", "20.18.3", "21.7.3", "22.12.0"]) {
      expect(refusal(pretendNode(version))).toBe(
        `tslip needs Node.js 20.19 or a later 20, or 22.13 or later; this is ${version}: install a newer one (https://nodejs.org)`,
      );
    }
  });

  it("that cannot require an ES module is not told to import it", () => {
    const message = refusal(pretendNode("18.20.8"), "require.cjs", "--no-experimental-require-module");
    expect(message).toMatch(
      /^tslip is an ES module.* 18\.20\.8,.* install Node\.js 20\.19 or a later 20, or 22\.13 or later/,
    );
  });

  it("that requires tslip is told of a missing addon in the same words", () => {
    expect(refusal("", "require.cjs")).toBe(refusal());
  });
});
