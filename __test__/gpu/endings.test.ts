// A process or a worker that ends while it trains on a GPU: it ends soon and as it was told to, and others go on.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { describeGpu } from "./gpu.js";

const CHILD = fileURLToPath(new URL("endings-child.mjs", import.meta.url));
/** Some seconds to start, to open a GPU and to compile kernels on a busy machine; a training left running never ends. */
const HANGS_AFTER = 60_000;

interface Ending {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

function ending(how: string): Promise<Ending> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [CHILD, how], { timeout: HANGS_AFTER }, (_, stdout, stderr) => {
      expect(stderr).not.toMatch(/panicked|fault/i);
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr });
    });
  });
}

describeGpu("a training on a GPU", { timeout: 2 * HANGS_AFTER }, () => {
  it("does not keep process.exit from ending the process with its code", async () => {
    expect(await ending("exit")).toMatchObject({ code: 7, signal: null });
  });

  it("does not keep an exception that nobody catches from ending the process", async () => {
    const { code, signal, stderr } = await ending("exception");
    expect([code, signal]).toEqual([1, null]);
    expect(stderr).toContain("Error: not caught");
  });

  it("in a worker that is terminated ends with it, and the GPU is there for others", async () => {
    const { code, signal, stdout } = await ending("terminate");
    expect([code, signal]).toEqual([0, null]);
    const [ended, weights] = JSON.parse(stdout) as [number, number[][]];
    expect(ended).toBe(1);
    expect(weights.flat().every(Number.isFinite)).toBe(true);
  });

  it("in several workers at once gives each the bits that it gives alone", async () => {
    const { code, signal, stdout } = await ending("together");
    expect([code, signal]).toEqual([0, null]);
    const trained = JSON.parse(stdout) as number[][][];
    expect(trained).toHaveLength(4);
    for (const weights of trained) expect(weights).toEqual(trained[0]);
    expect(trained[0]?.flat().every(Number.isFinite)).toBe(true);
  });
});
