// npm test: installs and builds, then runs all Rust and TypeScript tests; the last line counts them.
import { bootstrap } from "./lib/bootstrap.mjs";
import { runTests } from "./lib/tests.mjs";

await bootstrap({ rust: true });
await runTests();
