// The notebook as a program: its files, its exit codes, its sentences.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decode } from "fast-png";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SUBSET_FOLDER } from "../train/subset.js";

const PROGRAM = fileURLToPath(new URL("../../dist/examples/hkr-multiclass.js", import.meta.url));
const LIMIT = 120_000;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-example-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(...args: string[]): { child: ChildProcess; ended: Promise<Outcome>; said: () => string } {
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { child, ended, said: () => stdout };
}

describe("the example", () => {
  it(
    "trains, certifies, attacks, and writes a figure and a summary",
    async () => {
      const out = join(folder, "run");
      const options = ["--epochs", "2", "--attack-steps", "20", "--data", SUBSET_FOLDER, "--out", out, "--seed", "3"];
      const { code, stdout, stderr } = await start(...options).ended;
      expect(code, stderr).toBe(0);
      expect(stdout).toContain("Epoch 2/2");
      expect(stdout).toMatch(
        /loss: \d+\.\d{4} - acc: 0\.\d{4} - KR: -?\d\.\d{4} - val_loss: \d+\.\d{4} - val_acc: 0\.\d{4} - val_KR: -?\d\.\d{4}/,
      );
      expect((await readdir(out)).sort()).toEqual(["adversarial.png", "summary.json"]);

      const image = decode(await readFile(join(out, "adversarial.png")));
      expect(image.width).toBeGreaterThan(200);
      expect(image.height).toBeGreaterThan(200);
      // A blank figure would have one or two values.
      expect(new Set(image.data).size).toBeGreaterThan(20);

      const summary: unknown = JSON.parse(await readFile(join(out, "summary.json"), "utf8"));
      const number = expect.any(Number);
      expect(summary).toEqual({
        epochs: [1, 2].map((epoch) => ({
          epoch,
          loss: number,
          acc: number,
          KR: number,
          seconds: number,
          val_loss: number,
          val_acc: number,
          val_KR: number,
        })),
        certified: { images: 1000, accuracy: number, meanRadius: number },
        table: expect.any(Array),
        device: "cpu",
        seed: 3,
        versions: expect.any(Object),
      });
      const { table, versions } = summary as { table: unknown[]; versions: Record<string, unknown> };
      expect(table.length).toBeGreaterThan(0);
      for (const row of table as { class: number; certificate: number; distance: number | null; success: boolean }[]) {
        expect(Object.keys(row).sort()).toEqual(["certificate", "class", "distance", "success"]);
        expect(Number.isInteger(row.class) && row.class >= 0 && row.class < 10).toBe(true);
        expect(row.certificate).toBeGreaterThanOrEqual(0);
        expect(row.distance === null).toBe(!row.success);
        if (row.distance !== null) expect(row.distance).toBeGreaterThanOrEqual(row.certificate);
      }
      expect(Object.values(versions).every((version) => typeof version === "string")).toBe(true);
    },
    LIMIT,
  );

  it(
    "trains the shipped subset in 20 epochs to an accuracy of .85 and a mean certified radius of .50",
    async () => {
      const out = join(folder, "subset");
      const options = ["--epochs", "20", "--attack-steps", "1", "--data", SUBSET_FOLDER, "--out", out];
      const { code, stdout, stderr } = await start(...options).ended;
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(/on all 1000 test images: accuracy 0\.\d{4}, mean certified radius 0\.\d{3} /);
      const { certified } = JSON.parse(await readFile(join(out, "summary.json"), "utf8"));
      expect(certified.accuracy).toBeGreaterThan(0.85);
      expect(certified.meanRadius).toBeGreaterThan(0.5);
    },
    LIMIT,
  );

  it(
    "trains as the notebook does with --reference",
    async () => {
      const options = ["--reference", "--epochs", "1", "--attack-steps", "1", "--data", SUBSET_FOLDER];
      const { code, stdout, stderr } = await start(...options, "--out", join(folder, "reference")).ended;
      expect(code, stderr).toBe(0);
      expect(stdout).toContain("batches of 4096, Adam at 0.0001");
      expect(stdout).toMatch(/as the notebook prints it: loss: \d+\.\d{4} - acc: 0\.\d{4} - KR: -?\d\.\d{4}\n/);
      // Two steps at that rate leave the network about where it was.
      expect(stdout).toMatch(/val_acc: 0\.[0-4]\d{3}/);
    },
    LIMIT,
  );

  it(
    "ends with a message and 130 when it is interrupted while training, and writes nothing",
    async () => {
      const out = join(folder, "interrupted");
      const { child, ended, said } = start("--epochs", "1000", "--data", SUBSET_FOLDER, "--out", out);
      while (!said().includes("Epoch 2/") && child.exitCode === null) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      const interrupted = performance.now();
      child.kill("SIGINT");
      const { code, stderr } = await ended;
      expect(code, stderr).toBe(130);
      expect(stderr).toMatch(/interrupted/);
      expect(stderr).not.toMatch(/\n\s+at /);
      // A step, and the end of a process, on a busy machine.
      expect(performance.now() - interrupted).toBeLessThan(10_000);
      await expect(readdir(out)).rejects.toThrow(/ENOENT/);
    },
    LIMIT,
  );

  const refused: [string, string[], RegExp][] = [
    ["an unknown option", ["--epoch-count", "3"], /unknown option '--epoch-count'/],
    ["a folder without data", ["--data", "nowhere"], /nowhere/],
    ["0 epochs", ["--epochs", "0"], /positive integer/],
    ["epochs that are no number", ["--epochs", "many"], /integer/],
    ["an unknown device", ["--data", SUBSET_FOLDER, "--device", "tpu"], /no device "tpu"/],
    ["an argument it does not take", ["quickly"], /too many arguments/],
  ];
  it.each(refused)(
    "says one sentence and exits with 1 for %s",
    async (_, args, sentence) => {
      const { code, stdout, stderr } = await start(...args).ended;
      expect(code, stderr).toBe(1);
      expect(stderr).toMatch(sentence);
      expect(stderr.trim().split("\n"), stderr).toHaveLength(1);
      expect(stdout).not.toContain("Epoch");
    },
    LIMIT,
  );
});
