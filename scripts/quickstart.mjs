// npm run quickstart -- ARGUMENTS: installs and builds, then runs the example of the reference notebook.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/examples/hkr-multiclass.js");
