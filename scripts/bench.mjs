// npm run bench -- ARGUMENTS: installs and builds, then measures training, inference and attacks on this machine.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/benches/main.js");
