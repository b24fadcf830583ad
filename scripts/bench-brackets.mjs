// npm run bench:brackets -- ARGUMENTS: installs and builds, then certifies and attacks the reference network.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/benches/brackets/main.js");
