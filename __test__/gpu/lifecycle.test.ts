// The addon is loaded, used on a GPU and left again, in workers and in processes: nothing crashes, hangs or grows.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { describeGpu } from "./gpu.js";

const CHILD = fileURLToPath(new URL("lifecycle-child.mjs", import.meta.url));
const SHARING = fileURLToPath(new URL("sharing-child.mjs", import.meta.url));
const run = promisify(execFile);
const WORKERS = 80;
const PROCESSES = 20;
/** What the second half of the workers may leave: less than one of them needs. */
const MOST_GROWTH = 32 << 20;

describeGpu("a GPU used a hundred times", () => {
  it("by workers, one after another, leaves memory as it was", { timeout: 300_000 }, async () => {
    const { stdout } = await run(process.execPath, [CHILD, String(WORKERS)]);
    const resident: number[] = JSON.parse(stdout);
    expect(resident.length).toBe(WORKERS);
    const largest = (from: number, to: number): number => Math.max(...resident.slice(from, to));
    expect(largest(WORKERS / 2, WORKERS) - largest(WORKERS / 4, WORKERS / 2)).toBeLessThan(MOST_GROWTH);
  });

  it("by processes ends with each of them", { timeout: 300_000 }, async () => {
    for (let i = 0; i < PROCESSES; i++) {
      const { stderr } = await run(process.execPath, [CHILD], { timeout: 20_000 });
      expect(stderr).not.toMatch(/panicked|fault/i);
    }
  });
});

describeGpu("a GPU that threads share", () => {
  it("runs the steps of each, however long the others wait", { timeout: 120_000 }, async () => {
    const { stdout, stderr } = await run(process.execPath, [SHARING]);
    expect(JSON.parse(stdout)).toEqual([]);
    expect(stderr).not.toMatch(/panicked/);
  });
});
