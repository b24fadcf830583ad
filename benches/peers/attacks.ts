// npm run bench:attacks -- [--python PATH] [--rounds N] [--only NAME,…] [--json FILE]: attacks of foolbox and of tslip in turn.
import { cpus } from "node:os";
import { Command } from "commander";
import { type Module, setDefaultDevice, type Tensor, TslipError, versions } from "tslip";
import { machine } from "#tslip/native.js";
import { oneOrMoreOf, positive, Report, Unusable } from "../command.js";
import { shareOfOthers, warningOf } from "../load.js";
import { milliseconds, table } from "../table.js";
import { spreadOf } from "../timing.js";
import { Bench } from "../works.js";
import { DUELS, type Duel } from "./duels.js";
import { peerVersions } from "./python.js";
import { type Answer, Foolbox, Ours, type Side } from "./sides.js";

/** Images of a batch: few, as one attacks a handful, and many. */
const BATCHES = [10, 256];
const NAMES = Object.keys(DUELS);
/** Seconds after which an attack has been measured often enough. */
const LONG = 10;

interface Options {
  python: string;
  rounds: number;
  only: string[];
  json?: string;
}

const command = new Command("bench:attacks")
  .description(
    "Attacks the reference network after ten epochs with foolbox and with tslip, in turn, on the same images.",
  )
  .option("--python <path>", "interpreter that has the packages of benches/peers/requirements.txt", "python3")
  .option(
    "--rounds <n>",
    "how often each attack is run by each side; the first run of each does not count",
    positive,
    3,
  )
  .option("--only <names>", `which attacks, separated by commas: ${NAMES.join(", ")}`, oneOrMoreOf(NAMES), NAMES)
  .option("--json <file>", "where the figures go")
  .allowExcessArguments(false);

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof Unusable || error instanceof TslipError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 2;
}

async function main({ python, rounds, only, json }: Options): Promise<void> {
  const peers = await peerVersions(python);
  const report = json === undefined ? undefined : await Report.open(json);
  let foolbox: Foolbox | undefined;
  try {
    setDefaultDevice("cpu");
    const othersShare = await shareOfOthers();
    const bench = new Bench();
    const model = (await bench.trained()).vanillaExport().eval();
    const { images, labels } = await wellClassified(bench, model, Math.max(...BATCHES));
    foolbox = await Foolbox.of(python, model, images, labels);
    const ours = new Ours(model, images, labels);
    const figures: Figures[] = [];
    for (const name of only) {
      for (const batch of BATCHES) {
        const found = await compare(name, batch, rounds, ours, foolbox);
        figures.push(found);
        process.stderr.write(`${name}, ${batch} images: ${found.faster.toFixed(1)} times faster\n`);
      }
    }
    const { threads, simd } = machine();
    const processor = cpus()[0]?.model ?? "unknown";
    const conditions = { processor, threads, simd, othersShare, versions: { ...versions(), ...peers } };
    process.stdout.write(`${describe(figures, conditions)}\n`);
    await report?.write({ attacks: figures, rounds, date: new Date().toISOString(), ...conditions });
  } finally {
    await foolbox?.close();
    await report?.close();
  }
}

/** The first test images that the model classifies well. */
async function wellClassified(
  bench: Bench,
  model: Module,
  count: number,
): Promise<{ images: Tensor; labels: Int32Array }> {
  const { test } = await bench.data();
  const { images, labels } = test.batch(0, Math.min(test.length, 4 * count));
  const predicted = await model.classify(images);
  const right = Array.from(predicted.keys()).filter((i) => predicted[i] === labels[i]);
  if (right.length < count)
    throw new Unusable(`the model classifies only ${right.length} of ${predicted.length} images well`);
  const chosen = test.select(right.slice(0, count));
  return { images: chosen.images, labels: Int32Array.from(chosen.labels) };
}

interface Figures {
  attack: string;
  batch: number;
  epsilon: number | null;
  /** Milliseconds of a step, or of a run where an attack ends by itself: the middle of the rounds. */
  ms: { tslip: number; foolbox: number };
  /** How many times faster tslip is. */
  faster: number;
  /** Shares of images that were fooled, and median distances, failures counting as Infinity. */
  fooled: { tslip: number; foolbox: number };
  median: { tslip: number | null; foolbox: number | null };
}

async function compare(attack: string, batch: number, rounds: number, ours: Side, theirs: Side): Promise<Figures> {
  const duel = DUELS[attack] as Duel;
  const sides = { tslip: ours, foolbox: theirs };
  const last: Partial<Record<keyof typeof sides, Answer>> = {};
  const seconds: Record<keyof typeof sides, number[]> = { tslip: [], foolbox: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const side of ["tslip", "foolbox"] as const) {
      // A run that takes long needs no other one to settle, and none beside it.
      if (sum(seconds[side]) > LONG) continue;
      const answer = await sides[side].run(attack, duel, batch);
      last[side] = answer;
      if (round > 0 || sum(answer.seconds) > LONG) seconds[side].push(...answer.seconds);
    }
  }
  const of = <T>(figure: (side: keyof typeof sides) => T) => ({ tslip: figure("tslip"), foolbox: figure("foolbox") });
  const distances = of((side) => last[side]?.distances ?? []);
  const ms = of((side) => (1000 * spreadOf(seconds[side]).median) / duel.steps);
  return {
    attack,
    batch,
    epsilon: duel.epsilon,
    ms,
    faster: ms.foolbox / ms.tslip,
    fooled: of((side) => distances[side].filter((distance) => distance >= 0).length / batch),
    median: of((side) => middle(distances[side])),
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The median, where half of the images or more were fooled. */
function middle(distances: readonly number[]): number | null {
  const sorted = distances
    .map((distance) => (distance < 0 ? Number.POSITIVE_INFINITY : distance))
    .toSorted((a, b) => a - b);
  const { median } = spreadOf(sorted);
  return Number.isFinite(median) ? median : null;
}

interface Conditions {
  processor: string;
  threads: number;
  othersShare: number;
  versions: Readonly<Record<string, string>>;
}

function describe(figures: readonly Figures[], { processor, threads, othersShare, versions }: Conditions): string {
  const rows = figures.map(({ attack, batch, epsilon, ms, faster, fooled, median }) => {
    const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
    const quality = ({ tslip, foolbox }: Figures["median"]): string[] =>
      [tslip, foolbox].map((d) => d?.toPrecision(4) ?? "none");
    return [
      `${attack} ${batch}`,
      milliseconds(ms.tslip),
      milliseconds(ms.foolbox),
      faster.toFixed(1),
      ...(epsilon === null ? quality(median) : [fooled.tslip, fooled.foolbox].map(percent)),
      epsilon === null ? "median" : `within ${epsilon}`,
    ];
  });
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const warning = warningOf(othersShare);
  return [
    `${processor}, ${threads} threads; ${list.join(", ")}`,
    ...(warning === undefined ? [] : [warning]),
    "",
    table(["attack, images", "tslip ms", "foolbox ms", "faster", "tslip", "foolbox", "distance or fooled"], rows),
    "",
    "ms: a step of the whole batch, or a run of an attack that ends by itself (DeepFool). Distances are medians by the norm of the attack;\n" +
      "within an epsilon, the share of images that are fooled.",
  ].join("\n");
}
