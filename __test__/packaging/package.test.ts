// What would be published: the tarballs' contents, and their use where there is no Rust and no compiler.
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blocks, documents, links, read } from "./documents.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const consumer = fileURLToPath(new URL("consumer", import.meta.url));
/** Packing and installing are processes of their own, slow beside other work. */
const PROCESS_TIMEOUT_MS = 120_000;
/** Packed size of the package, of which the shipped data subset is most. */
const MAIN_LIMIT_BYTES = 8e6;
/** Packed size of an addon, symbol names included. */
const ADDON_LIMIT_BYTES = 10e6;

let folder: string;
let tarballs: { main: string; platform: string };

/** npm as its script, for this Node: the one that runs the tests, or the first on PATH. */
function npmScript(): string {
  const running = process.env["npm_execpath"];
  if (running?.endsWith("npm-cli.js")) return running;
  const found = (process.env["PATH"] ?? "").split(delimiter).find((place) => existsSync(join(place, "npm")));
  if (found === undefined) throw new Error("npm is not on PATH");
  return realpathSync(join(found, "npm"));
}

/** The environment of a machine with Node and npm and nothing else; the settings of an npm that runs us left out. */
function bareEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(package|lifecycle)_|npm_config_local_prefix|NODE_(ENV|OPTIONS|PATH)$|VITEST|CARGO|RUST)/.test(name),
  );
  return { ...Object.fromEntries(kept), PATH: join(folder, "bin") };
}

const contents = (tarball: string): string[] =>
  execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((path) => path.replace(/^package\//, ""))
    .sort();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tslip-packaging-"));
  const script = join(root, "scripts", "package.mjs");
  const printed = execFileSync(process.execPath, [script, join(folder, "tarballs")], { encoding: "utf8" });
  const [platform, main] = printed.trim().split("\n");
  if (main === undefined || platform === undefined) throw new Error(`expected two tarballs, got: ${printed}`);
  tarballs = { main, platform };
}, PROCESS_TIMEOUT_MS);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("the tarballs", () => {
  it("hold in the main package only what is compiled, the binding, the data and the documents", () => {
    const files = contents(tarballs.main);
    expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json", "addon.d.ts"]));
    expect(files).toEqual(expect.arrayContaining(["dist/index.js", "dist/index.d.ts"]));
    expect(files.some((path) => path.startsWith("data/fashion-mnist-subset/"))).toBe(true);
    const allowed =
      /^(dist\/(?!examples\/|conformance\/|benches\/|trials\/).*\.(c?js|d\.c?ts)|data\/.*|docs\/[^/]*\.(md|png|schema\.json)|[^/]*)$/;
    expect(files.filter((path) => !allowed.test(path))).toEqual([]);
    expect(files.filter((path) => !path.includes("/"))).toEqual(["LICENSE", "README.md", "addon.d.ts", "package.json"]);
    expect(statSync(tarballs.main).size).toBeLessThan(MAIN_LIMIT_BYTES);
  });

  it("hold documents whose links lead to the network or to files of the package", () => {
    const files = contents(tarballs.main);
    const packed = (path: string): string =>
      execFileSync("tar", ["-xzOf", tarballs.main, `package/${path}`], { encoding: "utf8" });
    const relative = (path: string): string[] =>
      links(packed(path))
        .map(({ target }) => target)
        .filter((target) => !/^(https:|#)/.test(target));
    for (const path of documents(root)) {
      const missing = relative(path).filter(
        (target) => !files.includes(join(dirname(path), target.replace(/#.*/, ""))),
      );
      expect(missing, path).toEqual([]);
    }
    // npm's page resolves them by the repository, and knows those of three hosts.
    const { repository } = JSON.parse(packed("package.json")) as { repository?: string | { url: string } };
    const url = typeof repository === "string" ? repository : (repository?.url ?? "");
    if (!/github|gitlab|bitbucket/.test(url)) expect(relative("README.md")).toEqual([]);
  });

  it("hold in the platform's package the addon and its licence, nothing else", () => {
    const files = contents(tarballs.platform);
    expect(files).toHaveLength(4);
    expect(files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "package.json"]));
    expect(files.at(-1)).toMatch(new RegExp(`^tslip\\.${process.platform}-${process.arch}.*\\.node$`));
    expect(statSync(tarballs.platform).size).toBeLessThan(ADDON_LIMIT_BYTES);
  });
});

describe("the packages installed where there is neither Rust nor a compiler", () => {
  let project: string;

  /** What the compiler says of files of the project, which has no types but those of tslip. */
  function compile(...args: string[]): string {
    const options = [
      "--strict",
      "--module",
      "nodenext",
      "--target",
      "es2023",
      "--skipLibCheck",
      "false",
      "--types",
      "",
    ];
    const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
    const run = spawnSync(process.execPath, [tsc, ...options, ...args], { cwd: project, encoding: "utf8" });
    return run.stdout + run.stderr;
  }

  beforeAll(() => {
    mkdirSync(join(folder, "bin"));
    symlinkSync(process.execPath, join(folder, "bin", "node"));
    symlinkSync(npmScript(), join(folder, "bin", "npm"));
    project = join(folder, "project");
    mkdirSync(project);
    for (const name of ["train.cjs", "import.mjs", "require.cjs", "typed.ts"]) {
      copyFileSync(join(consumer, name), join(project, name));
    }
    const args = [
      npmScript(),
      "install",
      "--prefer-offline",
      "--no-audit",
      "--no-fund",
      tarballs.main,
      tarballs.platform,
    ];
    const install = spawnSync(process.execPath, args, { cwd: project, env: bareEnvironment(), encoding: "utf8" });
    expect(install.status, install.stderr).toBe(0);
  }, PROCESS_TIMEOUT_MS);

  it("find no compiler, so that nothing can have been built", () => {
    for (const tool of ["cargo", "rustc", "cc", "gcc", "make"]) {
      expect(spawnSync(tool, ["--version"], { env: bareEnvironment() }).error).toMatchObject({ code: "ENOENT" });
    }
  });

  it.each(["import.mjs", "require.cjs"])("train and certify a network from %s without a warning", (script) => {
    const run = spawnSync(process.execPath, [script], { cwd: project, env: bareEnvironment(), encoding: "utf8" });
    expect(run.stderr).toBe("");
    expect(run.status).toBe(0);
    const result: unknown = JSON.parse(run.stdout);
    expect(result).toMatchObject({ accuracy: 1 });
    expect(result).toMatchObject({ radius: expect.toSatisfy((radius: number) => radius > 0 && radius < 2) });
  });

  it("give a strict TypeScript project their types, all of them sound without those of Node", () => {
    expect(compile("typed.ts", "--noEmit")).toBe("");
  });

  describe("do what the documents show", () => {
    const snippets = documents(root).flatMap((path) => {
      const all = blocks(read(root, path)).map((block, i, blocks) => ({ path, ...block, next: blocks[i + 1] }));
      // What is for a test runner, which the project has not, is run by a test of its own.
      return all.filter(({ language, text }) => language === "ts" && !text.includes('from "vitest"'));
    });
    const file = (index: number): string => `snippet-${index}.mts`;

    beforeAll(() => {
      for (const [i, { text }] of snippets.entries()) writeFileSync(join(project, file(i)), text);
    });

    const snippet = (text: string): number =>
      snippets.findIndex((one) => one.path === "README.md" && one.text.includes(text));

    /** What a module of the project prints, once compiled. */
    function run(module: string): string {
      expect(compile(module)).toBe("");
      const args = [module.replace(".mts", ".mjs")];
      const ended = spawnSync(process.execPath, args, { cwd: project, env: bareEnvironment(), encoding: "utf8" });
      expect(ended.stderr).toBe("");
      expect(ended.status).toBe(0);
      return ended.stdout;
    }

    it("in snippets that compile as they stand", () => {
      expect(snippets.length).toBeGreaterThanOrEqual(5);
      expect(compile(...snippets.map((_, i) => file(i)), "--noEmit")).toBe("");
    });

    it("in the first minute, with the numbers that are printed there", () => {
      const index = snippet("two rings");
      const [printed, shown] = [run(file(index)), snippets[index]?.next?.text];
      const numbers = (text = ""): number[] => (text.match(/\d+(\.\d+)?/g) ?? []).map(Number);
      const words = (text = ""): string => text.replace(/\d+(\.\d+)?/g, "");
      expect(words(printed)).toBe(words(shown));
      // The low bits differ between machines, and training makes more of them.
      for (const [i, number] of numbers(shown).entries()) expect(numbers(printed)[i]).toBeCloseTo(number, 1);
      const [, proved = 0, attacked = 0] = numbers(printed);
      expect(proved).toBeGreaterThan(0.2);
      expect(attacked).toBeGreaterThanOrEqual(proved);
    });

    it("in a training that goes on where its file ends", () => {
      const index = snippets.findIndex(({ path }) => path === "docs/training.md");
      expect(run(file(index))).toMatch(/^from the start: rings\.safetensors cannot be read.*\n\{\n {2}epoch: \d+,/);
      // How many epochs it takes until none is better depends on low bits; none is done again.
      expect(run(file(index))).not.toMatch(/from the start/);
      expect(run(file(index))).toBe("nothing was left to train\n");
      const [header, ...epochs] = read(project, "rings.csv").trimEnd().split("\n");
      expect(header).toBe("epoch,loss,acc,seconds,imagesPerSecond,val_loss,val_acc");
      expect(epochs.map((line) => Number(line.split(",")[0]))).toEqual(epochs.map((_, i) => i + 1));
      expect(epochs.length).toBeGreaterThan(10);
    });

    it("in a function that is compiled", () => {
      expect(run(file(snippet("compile(")))).toMatch(/^\d+\.\d+ .*stage 0: segment of 64 samples/s);
    });

    it("in a layer of one's own, which is certified, and believed where it promises too much", () => {
      const printed = (name: string, text: string): number => Number(new RegExp(`${name}: ([\\d.]+)`).exec(text)?.[1]);
      const index = snippet("extends Module");
      const right = run(file(index));
      expect(printed("lipschitz", right)).toBeCloseTo(1, 5);
      const wrong = (snippets[index]?.text ?? "").replace("return 1;", "return 0.1;");
      writeFileSync(join(project, "wrong.mts"), wrong);
      const ratio = printed("radius", run("wrong.mts")) / printed("radius", right);
      expect(ratio).toBeGreaterThan(9.9);
      expect(ratio).toBeLessThan(10.1);
    });
  });
});
