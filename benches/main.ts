// npm run bench -- [--json FILE] [--only NAME,…] [--device cpu] [--checkpoint FILE]: figures of this machine.
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Command } from "commander";
import { type Device, type DeviceInfo, devices, setDefaultDevice, TslipError, versions } from "tslip";
import { machine, multiplyAddPeak } from "#tslip/native.js";
import { oneOrMoreOf, Report, reason, Unusable } from "./command.js";
import { shareOfOthers, warningOf } from "./load.js";
import type { Measured } from "./measure.js";
import { milliseconds, table } from "./table.js";
import { type Spread, spreadOf } from "./timing.js";
import { Bench, OTHER_WORKS, REFERENCE_WORKS } from "./works.js";

const UNUSABLE_ARGUMENTS = 2;
const MEMORY = "rss";
const WORKS = { ...REFERENCE_WORKS, ...OTHER_WORKS };
const BY_DEFAULT = [...Object.keys(REFERENCE_WORKS), MEMORY];
const NAMES = [...BY_DEFAULT, ...Object.keys(OTHER_WORKS)];

interface Options {
  json?: string;
  only: string[];
  device: Device;
  checkpoint?: string;
}

const command = new Command("bench")
  .description("Measures training, inference and attacks of the reference network on Fashion-MNIST.")
  .option("--json <file>", "where the figures go")
  .option("--only <names>", `which works, separated by commas: ${NAMES.join(", ")}`, oneOrMoreOf(NAMES), BY_DEFAULT)
  .option("--device <name>", "where to run: auto, cpu, gpu or gpu:N", "auto")
  .option("--checkpoint <file>", "model after ten epochs, as saveModel writes it; by default it is made once and kept")
  .allowExcessArguments(false)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : UNUSABLE_ARGUMENTS));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof Unusable || error instanceof TslipError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = UNUSABLE_ARGUMENTS;
}

async function main({ json, only, device, checkpoint }: Options): Promise<void> {
  setDefaultDevice(device);
  if (checkpoint !== undefined) await readable(checkpoint);
  const report = json === undefined ? undefined : await Report.open(json);
  try {
    const figures = await measure(only, checkpoint, gpuOf(device));
    process.stdout.write(`${describe(figures)}\n`);
    await report?.write(figures);
  } finally {
    await report?.close();
  }
}

type Figures = Awaited<ReturnType<typeof measure>>;

/** The GPU that a name means, if it means one. */
function gpuOf(device: Device): DeviceInfo | undefined {
  return devices().find((known) => known.kind !== "cpu" && (known.device === device || `${device}:0` === known.device));
}

async function measure(only: readonly string[], checkpoint: string | undefined, gpu: DeviceInfo | undefined) {
  const othersShare = await shareOfOthers();
  const bench = new Bench(checkpoint);
  const spread: Record<string, Spread> = {};
  const gflops: Record<string, number> = {};
  // Beside other load the first loop may be a slow one: the fastest of all counts.
  let peak = multiplyAddPeak();
  let rssMb: number | undefined;
  for (const name of only) {
    process.stderr.write(`${name} … `);
    if (name === MEMORY) {
      rssMb = await trainingMemory();
      process.stderr.write(`${rssMb.toFixed(0)} MB\n`);
      continue;
    }
    const { times, flops }: Measured = await work(name)(bench);
    const found = spreadOf(times);
    spread[name] = found;
    if (flops !== undefined) gflops[name] = flops / found.median / 1e6;
    process.stderr.write(`${milliseconds(found.median)} ms\n`);
    peak = Math.max(peak, multiplyAddPeak());
  }
  const peakGflops = peak / 1e9;
  return {
    ms: mapped(spread, ({ median }) => median),
    gflops,
    // The peak is that of the processor; nothing is known of a GPU's.
    peakShare: gpu === undefined ? mapped(gflops, (speed) => speed / peakGflops) : {},
    ...(rssMb === undefined ? {} : { rssMb }),
    spread,
    peakGflops,
    date: new Date().toISOString(),
    machine: {
      processor: cpus()[0]?.model ?? "unknown",
      processors: cpus().length,
      memoryMb: totalmem() / 1e6,
      othersShare,
      ...(gpu === undefined ? {} : { gpu: `${gpu.name}, ${gpu.driver}` }),
      ...machine(),
    },
    versions: versions(),
  };
}

function work(name: string): (typeof WORKS)[string] {
  const found = WORKS[name];
  if (found === undefined) throw new Unusable(`there is no work "${name}"`);
  return found;
}

/** Megabytes (10^6 bytes) that training took at most, in a process of its own. */
async function trainingMemory(): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(new URL("memory.js", import.meta.url)),
  ]);
  return Number(stdout) / 1e6;
}

function describe({
  spread,
  gflops,
  peakShare,
  rssMb,
  peakGflops,
  machine: { processor, threads, simd, othersShare, gpu },
}: Figures): string {
  const rows = Object.entries(spread).map(([name, { median, min, max, samples }]) => [
    name,
    ...[median, min, max].map(milliseconds),
    String(samples),
    gflops[name]?.toFixed(1) ?? "",
    peakShare[name] === undefined ? "" : `${(100 * peakShare[name]).toFixed(0)} %`,
  ]);
  const lines = [
    gpu ?? `${processor}, ${threads} threads, ${simd}, multiply-add peak ${peakGflops.toFixed(0)} GFLOP/s`,
    "",
    table(["work", "median ms", "min", "max", "samples", "GFLOP/s", "of peak"], rows),
  ];
  if (rssMb !== undefined) lines.push("", `peak resident memory of training at 4096: ${rssMb.toFixed(0)} MB`);
  const warning = warningOf(othersShare);
  if (warning !== undefined) lines.push("", warning);
  return lines.join("\n");
}

async function readable(path: string): Promise<void> {
  try {
    await access(path, constants.R_OK);
  } catch (error) {
    throw new Unusable(`--checkpoint ${path} cannot be read: ${reason(error)}`);
  }
}

function mapped<A, B>(record: Readonly<Record<string, A>>, of: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, of(value)]));
}
