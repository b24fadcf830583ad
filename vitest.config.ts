// TypeScript tests: each file in a process of its own, so that a crash of the addon stays in it.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { alias: { tslip: fileURLToPath(new URL("src/index.ts", import.meta.url)) } },
  test: { pool: "forks", include: ["__test__/**/*.test.ts"], testTimeout: 30_000 },
});
