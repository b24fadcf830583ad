// npm run bench:peers -- [--python PATH] [--device cpu|gpu] [--rounds N] [--only NAME,…] [--json FILE]: PyTorch and tslip in turn.
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import { type ChosenDevice, type DeviceInfo, devices, TslipError, versions } from "tslip";
import { machine } from "#tslip/native.js";
import { oneOrMoreOf, positive, Report, Unusable } from "../command.js";
import { shareOfOthers, warningOf } from "../load.js";
import { milliseconds, table } from "../table.js";
import { type Spread, spreadOf } from "../timing.js";
import { Bench } from "../works.js";
import { type Contest, contestsOf, DEVICES, goalOf, NAMES, type Variant, type Where } from "./contests.js";
import { peerGpu, peerTimes, peerVersions, tcmalloc, timesOf } from "./python.js";

const UNUSABLE_ARGUMENTS = 2;
const WORKER = fileURLToPath(new URL("worker.js", import.meta.url));

/** What the goals of a table mean. */
const GOAL: Readonly<Record<Where, string>> = {
  cpu: "goal: times faster than the better of both, at least (if all goes well)",
  gpu:
    "goal: times faster than eager, at least. tslip's inference takes images from the host and gives logits back to it, while\n" +
    "PyTorch's stay on the GPU; PyTorch's convolutions may be TF32, tslip's are f32",
};

interface Options {
  python: string;
  device: Where;
  rounds: number;
  only: string[];
  json?: string;
}

const command = new Command("bench:peers")
  .description(
    "Runs PyTorch with torchlip and foolbox, and tslip, in turn on the same works, and compares their times.",
  )
  .option("--python <path>", "interpreter that has the packages of benches/peers/requirements.txt", "python3")
  .addOption(
    new Option(
      "--device <name>",
      "where both run; on a GPU, PyTorch with its defaults for CUDA: TF32 in convolutions, f32 in products of matrices",
    )
      .choices(DEVICES)
      .default("cpu"),
  )
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

async function main({ python, device, rounds, only, json }: Options): Promise<void> {
  const peers = await peerVersions(python);
  const gpu = device === "gpu" ? sameGpu(await peerGpu(python)) : undefined;
  const report = json === undefined ? undefined : await Report.open(json);
  try {
    const preload = tcmalloc();
    const othersShare = await shareOfOthers();
    const needed = [...(await surroundings(only)), "--device", gpu === undefined ? "cpu" : "cuda"];
    const spreads: Record<string, Record<string, Spread>> = {};
    for (const contest of contestsOf(only, device)) {
      Object.assign(
        spreads,
        await compare(contest, rounds, gpu?.device ?? "cpu", (variant) =>
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
      device,
      processor: cpus()[0]?.model ?? "unknown",
      threads,
      simd,
      ...(gpu === undefined ? {} : { gpu: `${gpu.name}, ${gpu.driver}` }),
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

/** The GPU of tslip that PyTorch calls by that name. */
function sameGpu(name: string): DeviceInfo {
  const gpus = devices().filter(({ kind }) => kind !== "cpu");
  const found = gpus.find((gpu) => gpu.name.includes(name) || name.includes(gpu.name));
  if (found === undefined) {
    const ours = gpus.length === 0 ? "none" : gpus.map((gpu) => gpu.name).join(", ");
    throw new Unusable(
      `PyTorch computes on ${name}, of GPUs tslip finds ${ours}: install the Vulkan driver of ${name}`,
    );
  }
  if (found.error !== undefined) throw new Unusable(`${found.name} cannot be used: ${found.error}`);
  return found;
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
  device: ChosenDevice,
  peerRun: (variant: Variant) => Promise<number[]>,
): Promise<Record<string, Record<string, Spread>>> {
  const times: Record<string, number[]> = {};
  const runs: [string, () => Promise<number[]>][] = [
    ...ours.map((name): [string, () => Promise<number[]>] => [
      name,
      () => timesOf(process.execPath, [WORKER, name, device]),
    ]),
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
  device: Where;
  processor: string;
  threads: number;
  gpu?: string;
  othersShare: number;
  tcmalloc: boolean;
  versions: Readonly<Record<string, string>>;
}

function describe({ works, device, processor, threads, gpu, othersShare, ...other }: Conditions): string {
  const cell = (spread: Spread | undefined): string =>
    spread === undefined ? "" : [spread.min, spread.median, spread.max].map(milliseconds).join(" / ");
  const rows = Object.entries(works).map(([name, { tslip, eager, compiled }]) => {
    const theirs = [eager, compiled].filter((spread) => spread !== undefined);
    const ratio = (to: readonly (Spread | undefined)[], of: (spread: Spread) => number): string => {
      const known = to.filter((spread) => spread !== undefined);
      return tslip === undefined || known.length === 0 ? "" : (Math.min(...known.map(of)) / of(tslip)).toFixed(2);
    };
    return [
      name,
      ...[tslip, eager, compiled].map(cell),
      ...[[eager], [compiled]].map((one) => ratio(one, ({ median }) => median)),
      ratio(theirs, ({ min }) => min),
      goalOf(name, device),
    ];
  });
  const list = Object.entries(other.versions).map(([name, version]) => `${name} ${version}`);
  const lines = [`${gpu ?? `${processor}, ${threads} threads`}; ${list.join(", ")}`];
  if (!other.tcmalloc) {
    lines.push("tcmalloc is not installed (Debian: libtcmalloc-minimal4): PyTorch is slower than it can be");
  }
  const warning = warningOf(othersShare);
  if (warning !== undefined) lines.push(warning);
  const peers = ["PyTorch eager", "PyTorch compiled", "than eager", "than compiled"];
  lines.push(
    "",
    table(["ms: min / median / max", "tslip", ...peers, "by minima", "goal"], rows),
    "",
    `than eager, than compiled: how many times faster tslip is by medians; by minima: than the better of both;\n${GOAL[device]}`,
  );
  return lines.join("\n");
}
