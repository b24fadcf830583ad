// npm run ready: all that a change must pass, as in CI. --node FILE (repeatable) runs the TypeScript tests under that
// Node too.
import { parseArgs } from "node:util";
import { bootstrap, sharedTarget, tools } from "./lib/bootstrap.mjs";
import { execute } from "./lib/process.mjs";
import { runTests } from "./lib/tests.mjs";

const { values } = parseArgs({ options: { node: { type: "string", multiple: true, default: [] } } });
await bootstrap({ rust: true });

const target = await sharedTarget();
// All of them, but that which has no tests (the addon) is not built as if it had.
const targets = ["--lib", "--bins", "--tests", "--benches"];
const deny = ["--", "-D", "warnings"];
const checks = {
  rustfmt: [process.execPath, "scripts/rustfmt.mjs", "--check"],
  clippy: ["cargo", "clippy", "--workspace", ...targets, ...target, ...deny],
  "circles of Rust files": [process.execPath, "scripts/circles.mjs"],
  biome: [process.execPath, tools.biome, "check", "--error-on-warnings"],
  tsc: [process.execPath, tools.tsc],
  "the committed addon.d.ts": ["git", "diff", "--exit-code", "--", "addon.d.ts"],
};
const failedChecks = [];
for (const [name, [command, ...args]] of Object.entries(checks)) {
  const { code, output } = await execute(command, args);
  console.error(code === 0 ? `${name}: passed` : `${name}: FAILED\n${output}`);
  if (code !== 0) failedChecks.push(name);
}
await runTests({ nodes: values.node, failedChecks });
