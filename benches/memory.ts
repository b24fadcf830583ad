// node dist/benches/memory.js DEVICE: trains a few steps of 4,096 images of Fashion-MNIST there and prints the most memory that this process ever held, in bytes.
import { readFileSync } from "node:fs";
import { type Device, setDefaultDevice } from "tslip";
import { training } from "./measure.js";
import { reference } from "./networks.js";
import { Bench } from "./works.js";

const [device = "cpu"] = process.argv.slice(2);
setDefaultDevice(device as Device);
const { train } = await new Bench().data();
await training(reference.build(), train, { batch: 4096, steps: 4, repeats: 1, warmUp: 0 });
process.stdout.write(`${mostResident()}\n`);

/** A process starts with its parent's figure in `resourceUsage()`; Linux keeps one of the process's own. */
function mostResident(): number {
  try {
    const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (kilobytes !== undefined) return 1024 * Number(kilobytes);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  return 1024 * process.resourceUsage().maxRSS;
}
