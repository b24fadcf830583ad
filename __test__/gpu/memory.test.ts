// Training, predicting and compiling on a GPU again and again in one process leaves its memory, and the process's, where it was.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { describeGpu } from "./gpu.js";

const CHILD = fileURLToPath(new URL("memory-child.mjs", import.meta.url));
/** Half of what one of the 32 models after the warm-up takes on the GPU: its weight and the two moments of Adam. */
const WORDS = (3 * 400 * 256) / 2;
/** What the four rounds after the warm-up may leave in the process: a quarter of the weights and moments of their models. */
const BYTES = (32 * 3 * 400 * 256 * 4) / 4;

interface Round {
  wordsInUse: number;
  pipelines: number;
  resident: number;
}

describeGpu("forty models on a GPU, each dropped after use,", () => {
  it("leave no tensors there, no kernels that were not known, and resident memory flat", {
    timeout: 180_000,
  }, async () => {
    // As in the test of memory on the CPU: a small young generation, and blocks that go back to the system.
    const flags = ["--expose-gc", "--max-semi-space-size=1"];
    const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: "65536" };
    const { stdout } = await promisify(execFile)(process.execPath, [...flags, CHILD], { env });
    const rounds = JSON.parse(stdout) as Round[];
    expect(rounds).toHaveLength(5);
    const [warm, ...others] = rounds;
    if (warm === undefined) throw new Error("there is no first round");
    expect(warm.wordsInUse).toBeGreaterThan(0);
    for (const { wordsInUse, pipelines, resident } of others) {
      expect(wordsInUse - warm.wordsInUse, stdout).toBeLessThan(WORDS);
      expect(pipelines, stdout).toBe(warm.pipelines);
      expect(resident - warm.resident, stdout).toBeLessThan(BYTES);
    }
  });
});
