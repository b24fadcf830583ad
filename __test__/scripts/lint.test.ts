// The rules of the linter that keep the core free of its host, tried on modules that break them.
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const fromRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const BIOME = fromRoot("node_modules/@biomejs/biome/bin/biome");

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-lint-"));
  await copyFile(fromRoot("biome.json"), join(folder, "biome.json"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** The rules that a module breaks which would stand at `path`. */
async function broken(path: string, text: string): Promise<string[]> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
  const args = [BIOME, "lint", "--vcs-enabled=false", "--error-on-warnings", "--reporter=json", path];
  const report = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { cwd: folder }, (_, stdout) => resolve(stdout));
  });
  const { diagnostics } = JSON.parse(report) as { diagnostics: { category: string }[] };
  return diagnostics.map(({ category }) => category);
}

describe("a module of the core is refused that", () => {
  const refused: [string, string, string][] = [
    [
      "imports of Node",
      'import { join } from "node:path";\nexport const x = join;\n',
      "lint/correctness/noNodejsModules",
    ],
    ["uses process", "export const x = process.pid;\n", "lint/style/noRestrictedGlobals"],
    ["uses Buffer", "export const x = Buffer.alloc(1);\n", "lint/style/noRestrictedGlobals"],
    ["uses globalThis.process", "export const x = globalThis.process.pid;\n", "lint/style/noRestrictedGlobals"],
    ["uses globalThis.Buffer", 'export const x = globalThis["Buffer"].alloc(1);\n', "lint/style/noRestrictedGlobals"],
    ["uses global.process", "export const x = global.process.pid;\n", "lint/style/noRestrictedGlobals"],
    [
      "takes process out of globalThis",
      "const { process } = globalThis;\nexport const x = process.pid;\n",
      "lint/style/noRestrictedGlobals",
    ],
    [
      "has the type of a global of Node",
      "export type X = typeof globalThis.process;\n",
      "lint/style/noRestrictedGlobals",
    ],
    [
      "reaches into a folder for Node",
      'import { createProgress } from "../node/progress.js";\nexport const x = createProgress;\n',
      "lint/style/noRestrictedImports",
    ],
    [
      "imports the data sets that are files",
      'import { datasets } from "../data/index.js";\nexport const x = datasets;\n',
      "lint/style/noRestrictedImports",
    ],
  ];
  it.each(refused)("%s", async (_, text, rule) => {
    expect(await broken("src/train/module.ts", text)).toEqual([rule]);
  });

  it("imports what imports it", async () => {
    await broken("src/train/one.ts", 'import { two } from "./two.js";\nexport const one = (): number => two() - 1;\n');
    const text = 'import { one } from "./one.js";\nexport const two = (): number => one() + 1;\n';
    expect(await broken("src/train/two.ts", text)).toEqual(["lint/suspicious/noImportCycles"]);
  });

  it("imports types of what imports its own", async () => {
    await broken("src/train/a.ts", 'import type { B } from "./b.js";\nexport interface A {\n  b?: B;\n}\n');
    const text = 'import type { A } from "./a.js";\nexport interface B {\n  a?: A;\n}\n';
    expect(await broken("src/train/b.ts", text)).toEqual(["lint/suspicious/noImportCycles"]);
  });
});

describe("a module is accepted that", () => {
  it("uses Node in a folder called node", async () => {
    const text = 'import { join } from "node:path";\nexport const x = join(process.cwd(), "x");\n';
    expect(await broken("src/data/node/module.ts", text)).toEqual([]);
  });

  it("asks src/node/index.ts for what the core needs", async () => {
    const text = 'import { print } from "../node/index.js";\nexport const x = print;\n';
    expect(await broken("src/train/module.ts", text)).toEqual([]);
  });
});
