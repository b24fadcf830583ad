// npm run bench:peers -- [--python PATH] [--rounds N] [--only NAME,…] [--json FILE]: PyTorch and tslip in turn.
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";
import { TslipError, versions } from "tslip";
import { machine } from "#tslip/native.js";
import { oneOrMoreOf, Report, Unusable } from "../command.js";
import { shareOfOthers, warningOf } from "../load.js";
import { milliseconds, table } from "../table.js";
import { type Spread, spreadOf } from "../timing.js";
import { Bench } from "../works.js";
import { type Contest, contestsOf, goalOf, NAMES, type Variant } from "./contests.js";
import { peerTimes, peerVersions, tcmalloc, timesOf } from "./python.js";

const UNUSABLE_ARGUMENTS = 2;
const WORKER = fileURLToPath(new URL("worker.js", import.meta.url));

interface Options {
  python: string;
  rounds: number;
  only: string[];
  json?: string;
}

const command = new Command("bench:peers")
  .description(
    "Runs PyTorch with torchlip and foolbox, and tslip, in turn on the same works, and compares their times.",
  )
  .option("--python <path>", "interpreter that has the packages of benches/peers/requirements.txt", "python3")
  .option("--rounds <n>", "how often each work is run by each side, in processes of their own", positive, 3)
  .option("--only <names>", `which works of tslip, separated by commas: ${NAMES.join(", ")}`, oneOrMoreOf(NAMES), NAMES)
  .option("--json <file>", "where the figures go")
  .allowExcessArguments(false)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : UNUSABLE_ARGUMENTS));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof Unusable || error instanceof TslipError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = UNUSABLE_ARGUMENTS;
}

async function main({ python, rounds, only, json }: Options): Promise<void> {
  const peers = await peerVersions(python);
  const report = json === undefined ? undefined : await Report.open(json);
  try {
    const preload = tcmalloc();
    const othersShare = await shareOfOthers();
    const needed = await surroundings(only);
    const spreads: Record<string, Record<string, Spread>> = {};
    for (const contest of contestsOf(only)) {
      Object.assign(
        spreads,
        await compare(contest, rounds, (variant) =>
          peerTimes(
            python,
            [...needed, "--work", contest.peer, ...(variant === "compiled" ? ["--compile"] : [])],
            preload,
          ),
        ),
      );
    }
    const { threads, simd } = machine();
    const conditions = {
      processor: cpus()[0]?.model ?? "unknown",
      threads,
      simd,
      othersShare,
      tcmalloc: preload !== undefined,
    };
    const figures = {
      works: spreads,
      rounds,
      date: new Date().toISOString(),
      ...conditions,
      versions: { ...versions(), ...peers },
    };
    process.stdout.write(`${describe(figures)}\n`);
    await report?.write(figures);
  } finally {
    await report?.close();
  }
}

/** Options of torch_bench.py that do not depend on the work: the folder of the images, the checkpoint. */
async function surroundings(only: readonly string[]): Promise<string[]> {
  if (!only.some((name) => /^(train|infer|attack)/.test(name))) return [];
  const bench = new Bench();
  const { source } = await bench.data();
  const folder = existsSync(source.from) ? source.from : undefined;
  if (folder === undefined) throw new Unusable("the data set has just been downloaded: run the same command again");
  return only.some((name) => name.endsWith("Trained10"))
    ? ["--data", folder, "--checkpoint", await bench.checkpointFile()]
    : ["--data", folder];
}

/** All measurements of a contest: in each round one process after another, never two at once. */
async function compare(
  { peer, ours, variants }: Contest,
  rounds: number,
  peerRun: (variant: Variant) => Promise<number[]>,
): Promise<Record<string, Record<string, Spread>>> {
  const times: Record<string, number[]> = {};
  const runs: [string, () => Promise<number[]>][] = [
    ...ours.map((name): [string, () => Promise<number[]>] => [name, () => timesOf(process.execPath, [WORKER, name])]),
    ...variants.map((variant): [string, () => Promise<number[]>] => [variant, () => peerRun(variant)]),
  ];
  for (let round = 1; round <= rounds; round++) {
    for (const [label, run] of runs) {
      const found = await run();
      times[label] = [...(times[label] ?? []), ...found];
      const who = ours.includes(label) ? `tslip ${label}` : `PyTorch ${label} ${peer}`;
      process.stderr.write(`round ${round} of ${rounds}: ${who} ${milliseconds(spreadOf(found).median)} ms\n`);
    }
  }
  const spread = (label: string): Spread => spreadOf(times[label] ?? []);
  const theirs = Object.fromEntries(variants.map((variant) => [variant, spread(variant)]));
  return Object.fromEntries(ours.map((name) => [name, { tslip: spread(name), ...theirs }]));
}

interface Conditions {
  works: Readonly<Record<string, Readonly<Record<string, Spread>>>>;
  processor: string;
  threads: number;
  othersShare: number;
  tcmalloc: boolean;
  versions: Readonly<Record<string, string>>;
}

function describe({ works, processor, threads, othersShare, tcmalloc: found, versions: all }: Conditions): string {
  const cell = (spread: Spread | undefined): string =>
    spread === undefined ? "" : [spread.min, spread.median, spread.max].map(milliseconds).join(" / ");
  const rows = Object.entries(works).map(([name, { tslip, eager, compiled }]) => {
    const theirs = [eager, compiled].filter((spread) => spread !== undefined);
    const ratio = (of: (spread: Spread) => number): string =>
      tslip === undefined ? "" : (Math.min(...theirs.map(of)) / of(tslip)).toFixed(2);
    return [
      name,
      ...[tslip, eager, compiled].map(cell),
      ratio(({ median }) => median),
      ratio(({ min }) => min),
      goalOf(name),
    ];
  });
  const list = Object.entries(all).map(([name, version]) => `${name} ${version}`);
  const lines = [`${processor}, ${threads} threads; ${list.join(", ")}`];
  if (!found) lines.push("tcmalloc is not installed (Debian: libtcmalloc-minimal4): PyTorch is slower than it can be");
  const warning = warningOf(othersShare);
  if (warning !== undefined) lines.push(warning);
  lines.push(
    "",
    table(
      ["ms: min / median / max", "tslip", "PyTorch eager", "PyTorch compiled", "faster", "by minima", "goal"],
      rows,
    ),
    "",
    "faster: the best median of PyTorch over tslip's; goal: at least (if all goes well)",
  );
  return lines.join("\n");
}

function positive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new InvalidArgumentError("expected a positive integer.");
}
