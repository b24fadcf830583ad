// Each kind of addition is one file and one line of a list, made here in a scratch copy; what is forgotten is told.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const fixtures = fileURLToPath(new URL("fixtures", import.meta.url));
let scratch = "";

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "tslip-additions-"));
  const copied = (source: string): boolean => !["target", "node_modules", "fixtures"].includes(basename(source));
  const parts = ["src", "crates", "__test__", "scripts", "Cargo.toml", "Cargo.lock", "package.json", "addon.d.ts"];
  const settings = ["tsconfig.json", "vitest.config.ts", "conformance", "examples", "benches", "trials", "data"];
  const addons = readdirSync(root).filter((name) => name.endsWith(".node"));
  for (const part of [...parts, ...settings, ...addons]) {
    cpSync(join(root, part), join(scratch, part), { recursive: true, filter: copied });
  }
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"), "junction");
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** Puts a fixture where it belongs, and a line into a list, before the line that contains `mark` or at the end. */
function add(fixture: string, to: string, list: string, line: string, mark?: string): void {
  mkdirSync(dirname(join(scratch, to)), { recursive: true });
  cpSync(join(fixtures, `${fixture}.txt`), join(scratch, to));
  const path = join(scratch, list);
  const lines = readFileSync(path, "utf8").split("\n");
  const at = mark === undefined ? lines.length - 1 : lines.findIndex((one) => one.includes(mark));
  expect(at).toBeGreaterThan(0);
  writeFileSync(path, lines.toSpliced(at, 0, line).join("\n"));
}

/** Exit code and all output of a command in the scratch copy. */
function run(command: string, ...args: string[]): Promise<{ code: number; output: string }> {
  // What other crates need is not compiled again.
  const env = { ...process.env, CARGO_TARGET_DIR: join(root, "target"), NO_COLOR: "1", FORCE_COLOR: undefined };
  const options = { cwd: scratch, env, maxBuffer: 64 * 2 ** 20 };
  return new Promise((resolve) => {
    const child = execFile(command, args, options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode ?? -1, output: stdout + stderr });
    });
  });
}

const node = (tool: string, ...args: string[]) => run(process.execPath, join(root, "node_modules", tool), ...args);
const typeCheck = () => node("typescript/bin/tsc", "--noEmit", "-p", "tsconfig.json");

it("a layer, a loss, an attack and an exporter are one file and one line each", async () => {
  add("half.ts", "src/nn/layers/half.ts", "src/nn/layers/index.ts", 'export { Half } from "./half.js";');
  add("huber.ts", "src/losses/huber.ts", "src/losses/index.ts", 'export { HuberLoss } from "./huber.js";');
  add("dot.ts", "src/export/dot.ts", "src/export/index.ts", 'export { exportDot } from "./dot.js";');
  add("noise.ts", "src/attacks/noise.ts", "src/attacks/index.ts", 'export { NoiseAttack } from "./noise.js";');
  // What every layer, loss and attack has to pass is not passed by one that is not there.
  const forgotten = await typeCheck();
  expect(forgotten.code).not.toBe(0);
  const lists = {
    Half: "__test__/nn/every-layer.test.ts",
    HuberLoss: "__test__/losses/every-loss.test.ts",
    NoiseAttack: "__test__/attacks/examples.ts",
  };
  for (const [type, list] of Object.entries(lists)) {
    const file = list.split("/").at(-1)?.replaceAll(".", "\\.");
    expect(forgotten.output).toMatch(new RegExp(`${file}.*\\n?.*'?${type}'?`));
  }
  const exemplify = (type: keyof typeof lists, example: string, before: string): void => {
    const path = join(scratch, lists[type]);
    const examples = readFileSync(path, "utf8").replace(`  ${before}: [`, `  ${type}: [${example}],\n  ${before}: [`);
    writeFileSync(path, examples.replace(`  ${before},\n`, `  ${before},\n  ${type},\n`));
  };
  exemplify("Half", "[() => new Half(), [3]]", "ReLU");
  exemplify("HuberLoss", "[(more) => new HuberLoss({ ...more }), 3, shares]", "MSELoss");
  // Before the first one, which the first half of the examples has.
  exemplify("NoiseAttack", "{ make: () => new NoiseAttack(), weak: true }", "DDNAttack");
  expect(await typeCheck()).toEqual({ code: 0, output: "" });
  mkdirSync(join(scratch, "__test__/additions"), { recursive: true });
  cpSync(join(fixtures, "additions.test.ts.txt"), join(scratch, "__test__/additions/additions.test.ts"));
  // Of the lists what is new: all that was there before has its own runs.
  const added = ["--testNamePattern", Object.keys(lists).join("|")];
  const runs = [lists.Half, lists.HuberLoss, "__test__/attacks/every-attack-first.test.ts"];
  for (const [files, ...options] of [[["__test__/additions"]], [runs, ...added]] as const) {
    const tested = await node("vitest/vitest.mjs", "run", ...files, ...options);
    expect(tested.output).toMatch(new RegExp(`Test Files .*${files.length} passed`));
    expect(tested.code, tested.output).toBe(0);
  }
}, 600_000);

it("an op is one folder and one line", async () => {
  const list = "crates/ops/src/elementwise/mod.rs";
  add(
    "cube.rs",
    "crates/ops/src/elementwise/cube/mod.rs",
    list,
    '    cube: "cube" => Unary::<cube::Cube>::make,',
    "div:",
  );
  const { output } = await run("rustc", "-vV");
  const target = ["--release", "--target", /^host: (.*)$/m.exec(output)?.[1] ?? ""];
  // With the addon, whose crates ask for more features of others than the ops alone: those would be compiled once more.
  const test = ["test", "-p", "tslip-ops", "-p", "tslip-node", "--lib", ...target];
  const tested = await run("cargo", ...test, "--", "testing::every_op");
  expect(tested.output).toMatch(/test result: ok\. [1-9]/);
  expect(tested.code).toBe(0);
  // One that does not say how exact it is does not compile.
  const path = join(scratch, "crates/ops/src/elementwise/cube/mod.rs");
  writeFileSync(path, readFileSync(path, "utf8").replace(/.*const ACCURACY.*\n/, ""));
  const forgotten = await run("cargo", ...test, "--no-run");
  expect(forgotten.output).toMatch(/missing.*ACCURACY/);
  expect(forgotten.code).not.toBe(0);
}, 1_200_000);
