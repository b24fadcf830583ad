// npm run conformance -- DIR [DIR…] [--device cpu]: compares tslip with the answers of reference implementations.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { type Device, setDefaultDevice, TslipError } from "tslip";
import { type Answer, type Case, MalformedFile, mistakes, readCases } from "./case.js";
import { certificates } from "./topics/certificates.js";
import { layers, modules } from "./topics/layers.js";
import { losses } from "./topics/losses.js";
import { attacks, interop, training } from "./topics/network.js";
import { normalizers } from "./topics/normalizers.js";
import { optim } from "./topics/optim.js";

type Topic = (c: Case, all: readonly Case[], file: string) => Promise<Answer>;

const notBuilt: Topic = async (c) => ({ skipped: String(c.config["layer"] ?? c.name) });

/** Vector files of a folder and what answers them. */
const topics: Record<string, Topic> = {
  "losses.json": losses,
  "normalizers.json": normalizers,
  "layers.json": layers,
  "activations.json": modules,
  "pooling.json": modules,
  "norms.json": notBuilt,
  "optim.json": optim,
  "training.json": training,
  "attacks.json": attacks,
  "certificates.json": certificates,
  "interop/interop.json": interop,
};

class Unusable extends Error {}

const command = new Command("conformance")
  .description("Runs every vector file of the folders and names what fails.")
  .argument("<dir...>", "folders of vector files")
  .option("--device <name>", "where to run: auto or cpu", "auto")
  .exitOverride((end) => process.exit(end.exitCode === 0 ? 0 : 2));

try {
  command.parse();
  setDefaultDevice(command.opts<{ device: Device }>().device);
  process.exitCode = (await run(command.args)) ? 0 : 1;
} catch (error) {
  if (!(error instanceof Unusable || error instanceof MalformedFile || error instanceof TslipError)) throw error;
  process.stderr.write(`error: ${error.message}\n`);
  process.exitCode = 2;
}

/** Whether nothing failed. */
async function run(folders: readonly string[]): Promise<boolean> {
  const files = folders.flatMap(filesOf);
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { file, topic } of files) {
    const cases = readCases(readFileSync(file, "utf8"), file);
    const skipped = new Map<string, number>();
    const count = { passed: 0, failed: 0 };
    for (const c of cases) {
      const outcome = await attempt(topic, c, cases, file);
      if ("skipped" in outcome) skipped.set(outcome.skipped, (skipped.get(outcome.skipped) ?? 0) + 1);
      else if (outcome.wrong.length === 0) count.passed += 1;
      else {
        count.failed += 1;
        print(`FAILED ${file}: ${c.name}\n  ${outcome.wrong.join("\n  ")}`);
      }
    }
    const left = [...skipped.values()].reduce((sum, n) => sum + n, 0);
    print(`${file}: ${count.passed} passed, ${count.failed} failed, ${left} skipped`);
    if (left > 0) print(`  skipped, not built: ${[...skipped].map(([kind, n]) => `${kind} (${n})`).join(", ")}`);
    total.passed += count.passed;
    total.failed += count.failed;
    total.skipped += left;
  }
  print(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  return total.failed === 0;
}

async function attempt(
  topic: Topic,
  c: Case,
  all: readonly Case[],
  file: string,
): Promise<{ skipped: string } | { wrong: string[] }> {
  try {
    const answer = await topic(c, all, file);
    return "skipped" in answer ? answer : { wrong: mistakes(c, answer) };
  } catch (error) {
    if (!(error instanceof TslipError)) throw error;
    // A configuration in which the reference is wrong may be refused.
    return { wrong: c.referenceDefect ? [] : [`${error.code}: ${error.message}`] };
  }
}

function filesOf(folder: string): { file: string; topic: Topic }[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new Unusable(`there is no folder ${folder}`);
  const found = Object.entries(topics).map(([name, topic]) => ({ file: join(folder, name), topic }));
  const present = found.filter(({ file }) => existsSync(file));
  if (present.length === 0) throw new Unusable(`${folder} holds no vector files (${Object.keys(topics).join(", ")})`);
  return present;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
