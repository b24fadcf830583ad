// The benches as a user runs them: their file, their exit codes, their sentences.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeGpu } from "../gpu/gpu.js";
import { SUBSET_FOLDER } from "../train/subset.js";

const PROGRAM = fileURLToPath(new URL("../../dist/benches/main.js", import.meta.url));
const LIMIT = 120_000;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-bench-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Outcome {
  code: number | string;
  stdout: string;
  stderr: string;
}

function bench(...args: string[]): Promise<Outcome> {
  const env = { ...process.env, TSLIP_DATA: SUBSET_FOLDER };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

describe("the benches", () => {
  it(
    "print a table and write the same figures to a file",
    async () => {
      const { code, stdout, stderr } = await bench("--only", "infer1,infer1Sync", "--json", "figures.json");
      expect(code, stderr).toBe(0);
      const text = await readFile(join(folder, "figures.json"), "utf8");
      const figures = JSON.parse(text) as Record<"ms" | "gflops" | "peakShare", Record<string, number>>;
      const number = expect.any(Number);
      const both = { infer1: number, infer1Sync: number };
      const spread = { median: number, min: number, max: number, samples: 2000 };
      expect(figures).toEqual({
        ms: both,
        gflops: both,
        peakShare: both,
        spread: { infer1: spread, infer1Sync: spread },
        peakGflops: number,
        date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        machine: expect.objectContaining({
          threads: number,
          othersShare: number,
          simd: expect.stringMatching(/^(portable|avx2|avx512)$/),
        }),
        versions: expect.objectContaining({ tslip: expect.any(String), node: process.version }),
      });
      expect(stdout).toMatch(/work +median ms +min +max +samples +GFLOP\/s +of peak/);
      const share = figures.peakShare["infer1Sync"] ?? Number.NaN;
      expect(share).toBeGreaterThan(0);
      expect(share).toBeLessThan(1);
    },
    LIMIT,
  );

  it(
    "count the operations of the products of the network, to the last one",
    async () => {
      const { code, stderr } = await bench("--only", "infer1Sync", "--json", "flops.json");
      expect(code, stderr).toBe(0);
      const { ms, gflops } = JSON.parse(await readFile(join(folder, "flops.json"), "utf8"));
      const multiplyAdds = 784 * 16 * 9 + 196 * 32 * 16 * 9 + 1568 * 64 + 64 * 10;
      expect(gflops.infer1Sync * ms.infer1Sync * 1e6).toBeCloseTo(2 * multiplyAdds, 0);
    },
    LIMIT,
  );

  it(
    "measure the memory of training in a process of its own",
    async () => {
      const { code, stdout, stderr } = await bench("--only", "rss", "--json", "memory.json");
      expect(code, stderr).toBe(0);
      const { rssMb } = JSON.parse(await readFile(join(folder, "memory.json"), "utf8"));
      // Node alone has some 40 MB; the outcome demands less than 400.
      expect(rssMb).toBeGreaterThan(40);
      expect(rssMb).toBeLessThan(400);
      expect(stdout).toContain("peak resident memory");
    },
    LIMIT,
  );

  const refused: [string, string[], RegExp][] = [
    ["a work that does not exist", ["--only", "infer1,train5000"], /no "train5000"; expected train4096, /],
    ["an empty list of works", ["--only", ""], /no ""/],
    ["a device that does not exist", ["--device", "tpu"], /no device "tpu"/],
    ["a GPU that does not exist", ["--device", "gpu:99"], /no device "gpu:99"|no GPU was found/],
    [
      "a file in a folder that is not there",
      ["--json", "nowhere/figures.json"],
      /nowhere.figures\.json cannot be written/,
    ],
    ["a folder in place of a file", ["--json", "taken"], /taken cannot be written: it is a folder/],
    ["a checkpoint that is not there", ["--checkpoint", "nothing.safetensors"], /nothing\.safetensors cannot be read/],
    ["an argument it does not take", ["quickly"], /too many arguments/],
    ["an option it does not have", ["--rounds", "3"], /unknown option '--rounds'/],
  ];
  it.each(refused)(
    "say one sentence, measure nothing and exit with 2 for %s",
    async (_, args, sentence) => {
      await mkdir(join(folder, "taken"), { recursive: true });
      const before = await readdir(folder);
      const { code, stdout, stderr } = await bench(...args);
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(sentence);
      expect(stderr.trim().split("\n"), stderr).toHaveLength(1);
      expect(stdout).toBe("");
      expect(await readdir(folder)).toEqual(before);
    },
    LIMIT,
  );
});

describeGpu("the benches on a GPU", () => {
  it(
    "give shares of its peak and of its bandwidth, both measured",
    async () => {
      const { code, stdout, stderr } = await bench("--device", "gpu", "--only", "infer1Sync", "--json", "gpu.json");
      expect(code, stderr).toBe(0);
      const figures = JSON.parse(await readFile(join(folder, "gpu.json"), "utf8"));
      const { ms, gflops, peakShare, peakGflops, megabytes, bandwidthShare, bandwidthGbs } = figures;
      expect(figures.machine.gpu).toEqual(expect.any(String));
      expect(stdout).toMatch(/multiply-add peak \d+ GFLOP\/s, memory [\d.]+ GB\/s\n/);
      expect(stdout).toMatch(/work +median ms .* of peak +MB +of bandwidth\n/);
      expect(peakShare.infer1Sync).toBeCloseTo(gflops.infer1Sync / peakGflops, 9);
      expect(bandwidthShare.infer1Sync).toBeCloseTo(megabytes.infer1Sync / ms.infer1Sync / bandwidthGbs, 9);
      for (const share of [peakShare.infer1Sync, bandwidthShare.infer1Sync]) {
        expect(share).toBeGreaterThan(0);
        expect(share).toBeLessThan(1);
      }
      // All weights are read: 4 bytes each.
      expect(megabytes.infer1Sync).toBeGreaterThan((4 * (16 * 9 + 32 * 16 * 9 + 1568 * 64 + 64 * 10)) / 1e6);
    },
    LIMIT,
  );
});
