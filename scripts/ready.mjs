// npm run ready: all that a change must pass, as in CI. --node FILE (repeatable) runs the TypeScript tests under that
// Node too.
import { parseArgs } from "node:util";
import { bootstrap, sharedTarget, tools } from "./lib/bootstrap.mjs";
import { execute } from "./lib/process.mjs";
import { runTests } from "./lib/tests.mjs";

const { values } = parseArgs({ options: { node: { type: "string", multiple: true, default: [] } } });
await bootstrap({ rust: true });

const target = await sharedTarget();
const deny = ["--", "-D", "warnings"];
const checks = {
  rustfmt: [process.execPath, "scripts/rustfmt.mjs", "--check"],
  clippy: ["cargo", "clippy", "--workspace", "--exclude", "tslip-node", "--all-targets", ...target, ...deny],
  // Its test build would be all unused code: the exports exist only in a module of Node.
  "clippy of the addon": ["cargo", "clippy", "-p", "tslip-node", ...target, ...deny],
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
