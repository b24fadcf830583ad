// npm run bench:brackets -- [--only NAME,…] [--images N] [--epochs N] [--python PATH] …: what is claimed of certificates and attacks.
import { cpus } from "node:os";
import { Command } from "commander";
import { type Dataset, loadModel, Sequential, setDefaultDevice, TslipError, versions } from "tslip";
import { machine } from "#tslip/native.js";
import { checkpointOf, ORTHOGONAL, REFERENCE, type Recipe } from "../checkpoint.js";
import { INTERRUPTED, interruption, oneOrMoreOf, positive, Unusable } from "../command.js";
import { shareOfOthers, warningOf } from "../load.js";
import { peerVersions } from "../peers/python.js";
import { Bench } from "../works.js";
import { audited, certified } from "./all-images.js";
import { carliniWagner } from "./carlini-wagner.js";
import { bracketed } from "./rows.js";
import type { Subject } from "./subject.js";

const VIOLATED = 1;
const UNUSABLE_ARGUMENTS = 2;

interface Options {
  only: string[];
  images: number;
  epochs: number;
  attackSteps: number;
  python?: string;
}

/** A part of the command gives tables of the network, and of others that it asks for. */
type Part = (reference: Subject, other: (recipe: Recipe) => Promise<Subject>, options: Options) => Promise<string>;

const PARTS: Readonly<Record<string, Part>> = {
  certify: (reference) => certified(reference),
  audit: (reference) => audited(reference),
  "carlini-wagner": (reference, _, { attackSteps, python }) => carliniWagner(reference, { steps: attackSteps, python }),
  brackets: async (reference, other, { images }) =>
    [await bracketed(reference, images), await bracketed(await other(ORTHOGONAL), images)].join("\n\n"),
};
const NAMES = Object.keys(PARTS);

const command = new Command("bench:brackets")
  .description(
    "Certifies and attacks the reference network after some epochs, with certificates held against what attacks find, and says what it takes.",
  )
  .option("--only <names>", `which parts, separated by commas: ${NAMES.join(", ")}`, oneOrMoreOf(NAMES), NAMES)
  .option("--images <n>", "test images of the part brackets", positive, 256)
  .option("--epochs <n>", "passes over the training images", positive, 10)
  .option("--attack-steps <n>", "steps of each of the six searches of the part carlini-wagner", positive, 8000)
  .option(
    "--python <path>",
    "interpreter that has the packages of benches/peers/requirements.txt, to run foolbox beside it",
  )
  .allowExcessArguments(false)
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : UNUSABLE_ARGUMENTS));

const signal = interruption();

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (signal.aborted) {
    process.stderr.write("interrupted\n");
    process.exitCode = INTERRUPTED;
  } else {
    if (!(error instanceof Unusable || error instanceof TslipError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = error instanceof TslipError && error.code === "VIOLATION" ? VIOLATED : UNUSABLE_ARGUMENTS;
  }
}

async function main(options: Options): Promise<void> {
  const { only, python, epochs } = options;
  const peers = python === undefined ? {} : await peerVersions(python);
  setDefaultDevice("cpu");
  const warning = warningOf(await shareOfOthers());
  const { train, test } = await new Bench().data();
  const subject = (recipe: Recipe): Promise<Subject> => trained(recipe, { train, test, epochs, signal });
  const reference = await subject(REFERENCE);
  print(conditions(epochs, { ...versions(), ...peers }));
  if (warning !== undefined) print(warning);
  for (const name of only) print(`\n${await PARTS[name]?.(reference, subject, options)}`);
}

interface Training {
  readonly train: Dataset;
  readonly test: Dataset;
  readonly epochs: number;
  readonly signal: AbortSignal;
}

async function trained(recipe: Recipe, { train, test, epochs, signal }: Training): Promise<Subject> {
  const model = await loadModel(await checkpointOf(train, recipe, { epochs, signal }));
  if (!(model instanceof Sequential))
    throw new Unusable(`the checkpoint of ${recipe.name} is no Sequential: delete it`);
  return { name: recipe.name, model, network: model.vanillaExport().eval(), test, signal };
}

function conditions(epochs: number, software: Readonly<Record<string, string>>): string {
  const { threads, simd } = machine();
  const list = Object.entries(software).map(([name, version]) => `${name} ${version}`);
  const day = new Date().toISOString().slice(0, 10);
  return `${cpus()[0]?.model ?? "unknown"}, ${threads} threads, ${simd}; ${list.join(", ")}; ${epochs} epochs; ${day}`;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
