// npm run ready: all that a change must pass, as in CI. --node FILE (repeatable) runs the TypeScript tests under that
// Node too.
import { parseArgs } from "node:util";
import { bootstrap, sharedTarget, tools } from "./lib/bootstrap.mjs";
import { execute } from "./lib/process.mjs";
import { runTests } from "./lib/tests.mjs";

const { values } = parseArgs({ options: { node: { type: "string", multiple: true, default: [] } } });
await bootstrap({ rust: true });

// All targets but the test build of the addon, which has none: outside a module of Node most of it is unused.
const targets = ["--lib", "--bins", "--tests", "--benches", "--examples"];
const checks = {
  rustfmt: ["cargo", "fmt", "--all", "--check"],
  clippy: ["cargo", "clippy", "--workspace", ...targets, ...(await sharedTarget()), "--", "-D", "warnings"],
  biome: [process.execPath, tools.biome, "check", "--error-on-warnings"],
  tsc: [process.execPath, tools.tsc],
  "the committed index.js and index.d.ts": ["git", "diff", "--exit-code", "--", "index.js", "index.d.ts"],
};
const failedChecks = [];
for (const [name, [command, ...args]] of Object.entries(checks)) {
  const { code, output } = await execute(command, args);
  console.error(code === 0 ? `${name}: passed` : `${name}: FAILED\n${output}`);
  if (code !== 0) failedChecks.push(name);
}
await runTests({ nodes: values.node, failedChecks });
