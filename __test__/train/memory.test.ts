// Training again and again in one process leaves its memory where it was.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const CHILD = fileURLToPath(new URL("memory-child.mjs", import.meta.url));
/** A share of some 110 MB: less than six megabytes, fourteen weights of the two hundred models. */
const FLAT = 0.05;

it("two hundred trainings after a warm-up of fifty leave resident memory flat", async () => {
  // The young generation of V8 grows with whatever a program allocates; it is kept small so that leaks are seen.
  const flags = ["--expose-gc", "--max-semi-space-size=1"];
  // glibc raises the size from which freed blocks go back to the system as blocks are freed; fixed, it does not.
  const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: "65536" };
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, CHILD], { env });
  const resident = JSON.parse(stdout) as number[];
  expect(resident).toHaveLength(5);
  const [warm = 0] = resident;
  const largest = Math.max(...resident);
  expect(largest / warm, `resident bytes after each 50 calls: ${resident.join(", ")}`).toBeLessThan(1 + FLAT);
});
