// npm run bench:enforcement -- ARGUMENTS: installs and builds, then trains under each way of enforcing a constant.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/benches/enforcement/main.js");
