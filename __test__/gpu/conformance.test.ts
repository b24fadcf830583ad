// The conformance vectors on a GPU: `npm run conformance -- DIR --device gpu` but for what takes minutes.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setDefaultDevice } from "tslip";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readCases } from "../../conformance/case.js";
import { runFile, topics } from "../../conformance/run.js";
import { gpuCounters } from "../../src/native.js";
import { describeGpu } from "./gpu.js";

/** The folder of vector files, where there is one. */
const VECTORS = process.env["TSLIP_VECTORS"] ?? "";
const found = existsSync(VECTORS);
if (!found) {
  process.stderr.write(
    `Conformance on a GPU is skipped: TSLIP_VECTORS should name a folder of vectors, it is "${VECTORS}".\n`,
  );
}

/** Files that give logits and ask for radii, which no kernel computes. */
const WITHOUT_KERNELS = ["certificates.json"];
/** Whole searches of Carlini and Wagner: six times five hundred steps each, a minute on a software GPU. */
const TOO_LONG = /CarliniWagnerAttack/;
/** The longest file takes some 30 s on two busy cores. */
const TIMEOUT = 180_000;

describeGpu("on a GPU the answers of the reference implementations", () => {
  beforeAll(() => setDefaultDevice("gpu"));
  afterAll(() => setDefaultDevice("auto"));

  it.skipIf(!found).each(Object.entries(topics))("in %s are tslip's", { timeout: TIMEOUT }, async (name, topic) => {
    const file = join(VECTORS, name);
    const cases = readCases(readFileSync(file, "utf8"), file).filter((c) => !TOO_LONG.test(c.name));
    const lines: string[] = [];
    const before = gpuCounters(0).dispatches;
    const { passed, failed, skipped } = await runFile({ file, topic, cases }, (line) => lines.push(line));
    expect(failed, lines.join("\n")).toBe(0);
    expect(passed + skipped).toBe(cases.length);
    // Each answer is computed by at least one kernel: nothing went back to the CPU.
    const dispatches = gpuCounters(0).dispatches - before;
    if (!WITHOUT_KERNELS.includes(name)) expect(dispatches).toBeGreaterThanOrEqual(passed);
  });
});
