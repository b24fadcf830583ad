// npm run build: the addon (release) and dist/, stale parts only.
import { bootstrap } from "./lib/bootstrap.mjs";

if (!(await bootstrap())) console.error("Everything is up to date.");
