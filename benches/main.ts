// npm run bench -- [--json FILE] [--only NAME,…] [--device cpu|gpu] [--checkpoint FILE]: figures of this machine.
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { cpus, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Command } from "commander";
import { type Device, type DeviceInfo, devices, setDefaultDevice, TslipError, versions } from "tslip";
import { gpuPeak, machine, multiplyAddPeak } from "#tslip/native.js";
import { oneOrMoreOf, Report, reason, Unusable } from "./command.js";
import { shareOfOthers, warningOf } from "./load.js";
import type { Measured } from "./measure.js";
import { milliseconds, table } from "./table.js";
import { type Spread, spreadOf } from "./timing.js";
import { Bench, METHOD_WORKS, OTHER_WORKS, REFERENCE_WORKS } from "./works.js";

const UNUSABLE_ARGUMENTS = 2;
const MEMORY = "rss";
const WORKS = { ...REFERENCE_WORKS, ...OTHER_WORKS, ...METHOD_WORKS };
const BY_DEFAULT = [...Object.keys(REFERENCE_WORKS), MEMORY];
const NAMES = [...BY_DEFAULT, ...Object.keys({ ...OTHER_WORKS, ...METHOD_WORKS })];

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

/** What the device does at best; how fast its memory is is known of a GPU alone. */
interface Peak {
  flops: number;
  bytesPerSecond?: number;
}

function peakOf(gpu: DeviceInfo | undefined): Peak {
  return gpu === undefined ? { flops: multiplyAddPeak() } : gpuPeak(Number(gpu.device.slice("gpu:".length)));
}

/** Beside other load, or on a clock that is still rising, a measurement may be a slow one: the best of all counts. */
function better(one: Peak, other: Peak): Peak {
  const flops = Math.max(one.flops, other.flops);
  if (one.bytesPerSecond === undefined || other.bytesPerSecond === undefined) return { flops };
  return { flops, bytesPerSecond: Math.max(one.bytesPerSecond, other.bytesPerSecond) };
}

async function measure(only: readonly string[], checkpoint: string | undefined, gpu: DeviceInfo | undefined) {
  const othersShare = await shareOfOthers();
  const bench = new Bench(checkpoint);
  const spread: Record<string, Spread> = {};
  const gflops: Record<string, number> = {};
  const megabytes: Record<string, number> = {};
  let peak = peakOf(gpu);
  let rssMb: number | undefined;
  for (const name of only) {
    process.stderr.write(`${name} … `);
    if (name === MEMORY) {
      rssMb = await trainingMemory(gpu?.device ?? "cpu");
      process.stderr.write(`${rssMb.toFixed(0)} MB\n`);
      continue;
    }
    const { times, flops, bytes }: Measured = await work(name)(bench);
    const found = spreadOf(times);
    spread[name] = found;
    gflops[name] = flops / found.median / 1e6;
    if (bytes !== undefined) megabytes[name] = bytes / 1e6;
    process.stderr.write(`${milliseconds(found.median)} ms\n`);
    peak = better(peak, peakOf(gpu));
  }
  const ms = mapped(spread, ({ median }) => median);
  const peakGflops = peak.flops / 1e9;
  return {
    ms,
    gflops,
    peakShare: mapped(gflops, (speed) => speed / peakGflops),
    ...(peak.bytesPerSecond === undefined ? {} : bandwidth(megabytes, ms, peak.bytesPerSecond / 1e9)),
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

/** What works move of a GPU's memory, in MB (10^6 bytes), and how near that comes to its bandwidth in GB/s. */
function bandwidth(megabytes: Record<string, number>, ms: Record<string, number>, bandwidthGbs: number) {
  const shares = Object.entries(megabytes).map(([name, mb]) => [name, mb / (ms[name] ?? Number.NaN) / bandwidthGbs]);
  return { megabytes, bandwidthShare: Object.fromEntries(shares) as Record<string, number>, bandwidthGbs };
}

function work(name: string): (typeof WORKS)[string] {
  const found = WORKS[name];
  if (found === undefined) throw new Unusable(`there is no work "${name}"`);
  return found;
}

/** Megabytes (10^6 bytes) of main memory that training took at most, in a process of its own. */
async function trainingMemory(device: Device): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(new URL("memory.js", import.meta.url)),
    device,
  ]);
  return Number(stdout) / 1e6;
}

function percent(share: number | undefined): string {
  return share === undefined ? "" : `${(100 * share).toFixed(0)} %`;
}

function describe(figures: Figures): string {
  const { spread, gflops, peakShare, megabytes, bandwidthShare, bandwidthGbs, peakGflops, rssMb } = figures;
  const { processor, threads, simd, othersShare, gpu } = figures.machine;
  const rows = Object.entries(spread).map(([name, { median, min, max, samples }]) => [
    name,
    ...[median, min, max].map(milliseconds),
    String(samples),
    gflops[name]?.toFixed(1) ?? "",
    percent(peakShare[name]),
    ...(bandwidthShare === undefined ? [] : [megabytes?.[name]?.toFixed(1) ?? "", percent(bandwidthShare[name])]),
  ]);
  const moved = bandwidthGbs === undefined ? [] : ["MB", "of bandwidth"];
  const peak = `multiply-add peak ${peakGflops.toFixed(0)} GFLOP/s`;
  const lines = [
    gpu === undefined
      ? `${processor}, ${threads} threads, ${simd}, ${peak}`
      : `${gpu}, ${peak}, memory ${bandwidthGbs?.toFixed(1)} GB/s`,
    "",
    table(["work", "median ms", "min", "max", "samples", "GFLOP/s", "of peak", ...moved], rows),
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
