// npm run bench:growth -- [--out DIR] [--axes NAME,…] [--threads N,…]: how cost grows with the network and the batch.
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Command, InvalidArgumentError } from "commander";
import { versions } from "tslip";
import { machine } from "#tslip/native.js";
import { rasterize } from "#tslip/report/node/raster.js";
import { oneOrMoreOf, reason, Unusable } from "../command.js";
import { shareOfOthers, warningOf } from "../load.js";
import { drawGrowth } from "./plot.js";
import { type Axis, type Cost, TITLES } from "./points.js";
import { tablesOf, withTables } from "./tables.js";

const UNUSABLE_ARGUMENTS = 2;
/** Pixels of the PNG for each CSS pixel. */
const ZOOM = 2;
const WORKER = fileURLToPath(new URL("worker.js", import.meta.url));
const AXES = Object.keys(TITLES) as Axis[];

interface Options {
  out: string;
  axes: string[];
  threads: number[];
  redraw: boolean;
}

const command = new Command("bench:growth")
  .description(
    "Measures how training and inference grow with batch, width, image size and depth; writes figures and a plot.",
  )
  .option("--out <dir>", "folder of growth.json, growth.svg, growth.png and of the page with the tables", "docs")
  .option("--axes <names>", `what to vary, separated by commas: ${AXES.join(", ")}`, oneOrMoreOf(AXES), AXES)
  .option("--threads <counts>", "numbers of threads, separated by commas", counts, [1, 2])
  .option("--redraw", "draw the figures of the last run again", false)
  .allowExcessArguments(false)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : UNUSABLE_ARGUMENTS));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof Unusable)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = UNUSABLE_ARGUMENTS;
}

async function main({ out, axes, threads, redraw }: Options): Promise<void> {
  const at = (name: string): string => join(out, name);
  const before = await read(at("growth.json"));
  if (redraw && before === undefined)
    throw new Unusable(`${at("growth.json")} is not there: run without --redraw first`);
  // Written before anything is measured too, so that a folder that is not there is known at once.
  await write(at("growth.json"), before ?? "{}\n");
  const run = redraw && before !== undefined ? (JSON.parse(before) as Run) : await measure(axes, threads);
  const svg = drawGrowth(run.costs, captionOf(run));
  await write(at("growth.json"), `${JSON.stringify(run, null, 1)}\n`);
  await write(at("growth.svg"), svg);
  await write(at("growth.png"), await rasterize(svg, ZOOM));
  const page = withTables(
    (await read(at("performance.md"))) ?? "# Performance\n",
    `${captionOf(run)}\n\n![How cost grows](growth.png)\n\n${tablesOf(run.costs)}`,
  );
  await write(at("performance.md"), page);
  process.stdout.write(`${tablesOf(run.costs)}\n`);
}

/** What growth.json holds. */
interface Run {
  processor: string;
  simd: string;
  othersShare: number;
  date: string;
  versions: Readonly<Record<string, string>>;
  costs: Cost[];
}

/** A process for each axis and number of threads, one after another. */
async function measure(axes: readonly string[], threads: readonly number[]): Promise<Run> {
  const othersShare = await shareOfOthers();
  const costs: Cost[] = [];
  for (const axis of axes) {
    for (const count of threads) {
      process.stderr.write(`${axis}, ${count === 1 ? "1 thread" : `${count} threads`} …\n`);
      const env = { ...process.env, TSLIP_THREADS: String(count) };
      const { stdout } = await promisify(execFile)(process.execPath, [WORKER, axis], { env });
      const found = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Omit<Cost, "threads">);
      costs.push(...found.map((cost) => ({ ...cost, threads: count })));
    }
  }
  const processor = cpus()[0]?.model ?? "unknown processor";
  const { simd } = machine();
  return { processor, simd, othersShare, date: new Date().toISOString().slice(0, 10), versions: versions(), costs };
}

function captionOf({ processor, simd, othersShare, date, versions: all }: Run): string {
  const warning = warningOf(othersShare);
  const conditions = `Medians in ms on ${processor} (${simd}), tslip ${all["tslip"]}, ${date}.`;
  return warning === undefined ? conditions : `${conditions} ${warning}`;
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new Unusable(`${path} cannot be read: ${reason(error)}`);
  }
}

async function write(path: string, content: string | Uint8Array): Promise<void> {
  try {
    await writeFile(path, content);
  } catch (error) {
    throw new Unusable(`${path} cannot be written: ${reason(error)}`);
  }
}

function counts(text: string): number[] {
  const values = text.split(",").map(Number);
  if (values.every((value) => Number.isSafeInteger(value) && value > 0)) return [...new Set(values)];
  throw new InvalidArgumentError("expected positive integers, separated by commas.");
}
