// npm run bench:peers -- ARGUMENTS: installs and builds, then times tslip beside PyTorch, torchlip and foolbox.
import { bootstrap, runCompiled } from "./lib/bootstrap.mjs";

await bootstrap();
await runCompiled("dist/benches/peers/main.js");
