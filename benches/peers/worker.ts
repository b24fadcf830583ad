// node dist/benches/peers/worker.js WORK [CHECKPOINT]: times one work of tslip and prints the milliseconds as JSON.
import { Bench, OTHER_WORKS, REFERENCE_WORKS } from "../works.js";

const [name = "", checkpoint] = process.argv.slice(2);
const work = { ...REFERENCE_WORKS, ...OTHER_WORKS }[name];
if (work === undefined) throw new Error(`there is no work "${name}"`);
const { times } = await work(new Bench(checkpoint));
process.stdout.write(`${JSON.stringify({ times })}\n`);
