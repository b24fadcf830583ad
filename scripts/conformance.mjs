// npm run conformance -- FOLDER…: installs and builds, then runs every vector file of the folders.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/conformance/main.js");
