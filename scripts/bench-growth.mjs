// npm run bench:growth -- ARGUMENTS: installs and builds, then measures how cost grows and writes it to docs/.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/benches/growth/main.js");
