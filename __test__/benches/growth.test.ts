// How cost grows: the page and the drawing of given figures, and what the program says of arguments it cannot use.
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decode } from "fast-png";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Cost } from "../../benches/growth/points.js";
import { tablesOf, withTables } from "../../benches/growth/tables.js";

const PROGRAM = fileURLToPath(new URL("../../dist/benches/growth/main.js", import.meta.url));
const LIMIT = 60_000;

/** Two threads are twice as fast; a training step takes three times as long as inference. */
const COSTS: Cost[] = (["batch", "width", "size", "depth"] as const).flatMap((axis) =>
  [1, 2].flatMap((threads) =>
    (["training", "inference"] as const).flatMap((work) =>
      [4, 16, 28].map((at) => {
        const median = ((work === "training" ? 3 : 1) * at) / threads;
        return { axis, at, work, threads, median, min: median, max: median, flops: 1e9 * at };
      }),
    ),
  ),
);

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-growth-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function growth(...args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { cwd: folder }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

describe("the tables of how cost grows", () => {
  it("show for each point milliseconds by threads, what more threads bring, and the speed", () => {
    const lines = tablesOf(COSTS.filter(({ axis }) => axis === "depth")).split("\n");
    expect(lines[0]).toBe(
      "| convolutions | training, 1 thread | training, 2 threads | faster | GFLOP/s | inference, 1 thread | inference, 2 threads | faster | GFLOP/s |",
    );
    expect(lines[3]).toBe("| 16 | 48.00 | 24.00 | 2.00 | 667 | 16.00 | 8.00 | 2.00 | 2000 |");
    expect(lines).toHaveLength(5);
  });

  it("replace the tables that a page has and leave its words alone", () => {
    const first = withTables("# Performance\n\nwords\n", "old");
    const second = withTables(`${first}\nmore words\n`, "new");
    expect(first).toContain("words\n\n<!--");
    expect(second).toBe(`${first.replace("old", "new")}\nmore words\n`);
  });
});

describe("the program that measures how cost grows", () => {
  it(
    "draws the figures of an earlier run again",
    async () => {
      const run = {
        processor: "CPU",
        simd: "avx2",
        othersShare: 0,
        date: "2026-01-01",
        versions: { tslip: "1" },
        costs: COSTS,
      };
      await writeFile(join(folder, "growth.json"), JSON.stringify(run));
      const { code, stderr } = await growth("--redraw", "--out", ".");
      expect(code, stderr).toBe(0);
      expect((await readdir(folder)).sort()).toEqual(["growth.json", "growth.png", "growth.svg", "performance.md"]);
      expect(JSON.parse(await readFile(join(folder, "growth.json"), "utf8"))).toEqual(run);
      const page = await readFile(join(folder, "performance.md"), "utf8");
      expect(page).toContain("Medians in ms on CPU (avx2), tslip 1, 2026-01-01.\n");
      const image = decode(await readFile(join(folder, "growth.png")));
      // A blank drawing would have one or two values.
      expect(new Set(image.data).size).toBeGreaterThan(20);
      const svg = await readFile(join(folder, "growth.svg"), "utf8");
      for (const title of ["images in a batch", "convolutions", "pixels on a side"]) expect(svg).toContain(title);
    },
    LIMIT,
  );

  const refused: [string, string[], RegExp][] = [
    ["an axis that does not exist", ["--axes", "batch,colour"], /no "colour"; expected batch, width, size, depth/],
    ["no threads", ["--threads", "0"], /expected positive integers/],
    ["a folder that is not there", ["--out", "nowhere"], /nowhere.growth\.json cannot be written/],
    ["figures that are not there", ["--redraw", "--out", "nowhere"], /growth\.json is not there: run without --redraw/],
    ["an argument it does not take", ["batch"], /too many arguments/],
  ];
  it.each(refused)(
    "says one sentence, measures nothing and exits with 2 for %s",
    async (_, args, sentence) => {
      const { code, stdout, stderr } = await growth(...args);
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(sentence);
      expect(stderr.trim().split("\n"), stderr).toHaveLength(1);
      expect(stdout).toBe("");
    },
    LIMIT,
  );
});
