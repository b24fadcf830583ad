// TypeScript tests: each file in a process of its own, so that a crash of the addon stays in it.
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// As scripts/lib/bootstrap.mjs does, for vitest called by hand: without it Mesa's software GPU complains in every process.
process.env["XDG_RUNTIME_DIR"] ??= tmpdir();

export default defineConfig({
  resolve: { alias: { tslip: fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
  test: { pool: "forks", include: ["__test__/**/*.test.ts"], testTimeout: 30_000 },
});
