// npm run bench:enforcement -- [--epochs N] [--only NAMES]: trains the reference network under each way of enforcing its constant.
import { cpus } from "node:os";
import { Command } from "commander";
import { Adam, accuracy, type Certificate, certify, type Dataset, fit, type Module, TslipError } from "tslip";
import { oneOrMoreOf, Unusable } from "../command.js";
import { hkr } from "../networks.js";
import { table } from "../table.js";
import { Bench } from "../works.js";
import { ENFORCEMENTS, LAYERS, NORMS, type Way } from "./ways.js";

const WAYS = [...ENFORCEMENTS, ...NORMS, ...LAYERS];
const NAMES = WAYS.map(({ name }) => name);
const RADII = [0.25, 0.5];
const CERTIFIED_AT_ONCE = 2000;
const UNUSABLE_ARGUMENTS = 2;

interface Options {
  epochs: number;
  only: string[];
}

const command = new Command("bench:enforcement")
  .description(
    "Trains the reference network under each way of enforcing its Lipschitz constant, and certifies all test images.",
  )
  .option("--epochs <n>", "passes over the training images", Number, 10)
  .option("--only <names>", `which, separated by commas: ${NAMES.join(", ")}`, oneOrMoreOf(NAMES), NAMES)
  .allowExcessArguments(false)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : UNUSABLE_ARGUMENTS));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof Unusable || error instanceof TslipError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = UNUSABLE_ARGUMENTS;
}

async function main({ epochs, only }: Options): Promise<void> {
  const { train, test } = await new Bench().data();
  const rows: string[][] = [];
  for (const way of WAYS.filter(({ name }) => only.includes(name))) {
    process.stderr.write(`${way.name} … `);
    const row = await measured(way, epochs, train, test);
    process.stderr.write(`${row.slice(1).join(", ")}\n`);
    rows.push(row);
  }
  const header = ["way", "accuracy", ...RADII.map((r) => `certified at ${r}`), "proved bound", "s an epoch"];
  const day = new Date().toISOString().slice(0, 10);
  process.stdout.write(
    `${cpus()[0]?.model ?? "unknown"}, ${cpus().length} threads, ${epochs} epochs, ${day}\n\n${table(header, rows)}\n`,
  );
}

/** Accuracy, certified accuracy, proved bound, time. */
async function measured(
  { name, build, enforced }: Way,
  epochs: number,
  train: Dataset,
  test: Dataset,
): Promise<string[]> {
  const model = build();
  const optimizer = new Adam({ lr: 1e-4 });
  const { epochs: records } = await fit(model, train, {
    epochs,
    batchSize: 4096,
    loss: hkr(),
    optimizer,
    metrics: { acc: accuracy() },
    verbose: false,
    ...enforced,
  });
  const certificates = await certified(model, test);
  const right = certificates.map(({ predicted }, i) => predicted === test.labelsRaw[i]);
  const share = (holds: (certificate: Certificate) => boolean): string =>
    `${((100 * certificates.filter((one, i) => right[i] && holds(one)).length) / test.length).toFixed(1)} %`;
  const seconds = records.map((record) => record.seconds).sort((a, b) => a - b);
  return [
    name,
    share(() => true),
    ...RADII.map((r) => share(({ radius }) => radius >= r)),
    (certificates[0]?.lipschitz ?? Number.NaN).toPrecision(5),
    (seconds[Math.floor(seconds.length / 2)] ?? Number.NaN).toFixed(2),
  ];
}

/** Of all images of a data set. */
async function certified(model: Module, dataset: Dataset): Promise<Certificate[]> {
  const vanilla = model.vanillaExport();
  const all: Certificate[] = [];
  for (let first = 0; first < dataset.length; first += CERTIFIED_AT_ONCE) {
    const count = Math.min(CERTIFIED_AT_ONCE, dataset.length - first);
    const { images } = dataset.select(Array.from({ length: count }, (_, i) => first + i));
    all.push(...(await certify(vanilla, images)));
  }
  return all;
}
