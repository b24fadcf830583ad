// Runs the vector files of folders and reports what passed, what failed and why, and what was skipped.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ErrorCode, TslipError } from "tslip";
import { type Case, MalformedFile, readCases } from "./case.js";
import { type Answer, mistakes } from "./compare.js";
import { attacks } from "./topics/attacks.js";
import { certificates } from "./topics/certificates.js";
import { interop } from "./topics/interop.js";
import { layers } from "./topics/layers.js";
import { losses } from "./topics/losses.js";
import { modules } from "./topics/modules.js";
import { normalizers } from "./topics/normalizers.js";
import { optim } from "./topics/optim.js";
import { training } from "./topics/training.js";

/** Answers one case; `all` are those of its file. */
export type Topic = (c: Case, all: readonly Case[], file: string) => Promise<Answer>;

/** Vector files of a folder and what answers them. */
export const topics: Readonly<Record<string, Topic>> = {
  "losses.json": losses,
  "normalizers.json": normalizers,
  "layers.json": layers,
  "activations.json": modules,
  "pooling.json": modules,
  "norms.json": modules,
  "optim.json": optim,
  "training.json": training,
  "attacks.json": attacks,
  "certificates.json": certificates,
  "interop/interop.json": interop,
};

/** Errors by which tslip refuses a configuration; any other one is a failure even where a refusal is allowed. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(["INVALID_ARGUMENT", "UNSUPPORTED", "NOT_LIPSCHITZ", "NON_FINITE"]);

/** Arguments with which nothing can be run. */
export class Unusable extends Error {}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

interface VectorFile {
  readonly file: string;
  readonly topic: Topic;
  readonly cases: readonly Case[];
}

type Outcome = { skipped: string } | { refused: string } | { wrong: string[]; notCompared: readonly string[] };

/**
 * Runs all vector files, whose format is checked before anything is computed; the last line printed is the sum.
 * @throws Unusable for a missing folder or one without vector files, {@link MalformedFile} for a file's content.
 */
export async function runFolders(folders: readonly string[], print: (line: string) => void): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const one of folders.flatMap(vectorFiles)) {
    const counts = await runFile(one, print);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
  print(sentence(total));
  return total;
}

/** Runs one file. */
export async function runFile({ file, topic, cases }: VectorFile, print: (line: string) => void): Promise<Counts> {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  const groups = { skipped: [] as string[], refused: [] as string[], notCompared: [] as string[] };
  for (const c of cases) {
    const outcome = await attempt(topic, c, cases, file);
    if ("skipped" in outcome) {
      counts.skipped += 1;
      groups.skipped.push(outcome.skipped);
    } else if ("refused" in outcome) {
      counts.passed += 1;
      groups.refused.push(outcome.refused);
    } else {
      groups.notCompared.push(...outcome.notCompared);
      if (outcome.wrong.length === 0) counts.passed += 1;
      else {
        counts.failed += 1;
        print([`FAILED ${file}: ${c.name}`, ...outcome.wrong].join("\n  "));
      }
    }
  }
  print(`${file}: ${sentence(counts)}`);
  if (groups.skipped.length > 0) print(`  skipped: ${grouped(groups.skipped)}`);
  if (groups.refused.length > 0)
    print(`  passed by refusing what the reference gets wrong: ${grouped(groups.refused)}`);
  if (groups.notCompared.length > 0) print(`  outputs not compared: ${grouped(groups.notCompared)}`);
  return counts;
}

async function attempt(topic: Topic, c: Case, all: readonly Case[], file: string): Promise<Outcome> {
  try {
    const answer = await topic(c, all, file);
    if ("skipped" in answer) return answer;
    return { wrong: mistakes(c, answer), notCompared: answer.notCompared ?? [] };
  } catch (error) {
    if (error instanceof TslipError) {
      if (c.referenceDefect && REFUSALS.has(error.code)) return { refused: c.name };
      return { wrong: [`${error.code}: ${error.message}`], notCompared: [] };
    }
    return { wrong: [error instanceof Error ? (error.stack ?? error.message) : String(error)], notCompared: [] };
  }
}

/** The vector files of a folder: the known ones, then others that are lists of cases. */
function vectorFiles(folder: string): VectorFile[] {
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new Unusable(`there is no folder ${folder}`);
  const present = [...jsonFiles(folder), ...jsonFiles(join(folder, "interop")).map((name) => `interop/${name}`)];
  const known = Object.keys(topics).filter((name) => present.includes(name));
  const others = present.filter((name) => !(name in topics));
  const found = [...known, ...others].map((name) => {
    const file = join(folder, name);
    const topic: Topic = topics[name] ?? (async () => ({ skipped: `topic ${name.replace(/\.json$/, "")}` }));
    return { file, topic, cases: readCases(readFileSync(file, "utf8"), file) };
  });
  if (found.length === 0) throw new Unusable(`${folder} holds no vector files (${Object.keys(topics).join(", ")})`);
  return found;
}

function jsonFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
  return files.map(({ name }) => name).filter((name) => name.endsWith(".json"));
}

/** Names with how often each occurs. */
function grouped(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, n]) => `${name} (${n})`).join(", ");
}

function sentence({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
