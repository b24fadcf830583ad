// npm run bench:attacks -- ARGUMENTS: installs and builds, then runs attacks of tslip beside those of foolbox.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/benches/peers/attacks.js");
