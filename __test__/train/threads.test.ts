// The number of threads changes no bit of a training run: segments, slots of sums and shared-out kernels together.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const CHILD = fileURLToPath(new URL("threads-child.mjs", import.meta.url));

it("training gives the same bits on 1, 2 and 7 threads", () => {
  const bits = ["1", "2", "7"].map((threads) =>
    execFileSync(process.execPath, [CHILD], { env: { ...process.env, TSLIP_THREADS: threads }, encoding: "utf8" }),
  );
  expect(bits[0]).toMatch(/^[0-9a-f]{64}$/);
  expect(new Set(bits).size).toBe(1);
});
