// npm run trials -- [--count N] [--seed N] …: installs and builds, then tries certificates on random tiny networks.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/trials/main.js");
