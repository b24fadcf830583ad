// node dist/benches/peers/worker.js WORK DEVICE: times one work of tslip there and prints the milliseconds as JSON.
import { type Device, setDefaultDevice } from "tslip";
import { Bench, OTHER_WORKS, REFERENCE_WORKS } from "../works.js";

const [name = "", device = "cpu"] = process.argv.slice(2);
const work = { ...REFERENCE_WORKS, ...OTHER_WORKS }[name];
if (work === undefined) throw new Error(`there is no work "${name}"`);
setDefaultDevice(device as Device);
const { times } = await work(new Bench());
process.stdout.write(`${JSON.stringify({ times })}\n`);
