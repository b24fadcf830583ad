// TypeScript tests: each file in a process of its own, so that a crash of the addon stays in it.
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// As scripts/lib/bootstrap.mjs does, for vitest called by hand: without it Mesa's software GPU complains in every process.
process.env["XDG_RUNTIME_DIR"] ??= tmpdir();

/** What compilers say of additions, minutes of building crates: the same under every Node, and run under the first. */
const ADDITIONS = "__test__/additions/**/*.test.ts";
const elsewhere = process.env["TSLIP_ANOTHER_NODE"] === undefined ? [] : [ADDITIONS];
const TIMED = "__test__/timed/**/*.test.ts";

export default defineConfig({
  resolve: { alias: { tslip: fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
  test: {
    pool: "forks",
    // Some compute norms in float64 for seconds, on machines that do other work besides.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: "tests", include: ["__test__/**/*.test.ts"], exclude: [TIMED, ...elsewhere] } },
      // What takes the time of something has the machine to itself, one file after another.
      {
        extends: true,
        test: { name: "timed", include: [TIMED], maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
