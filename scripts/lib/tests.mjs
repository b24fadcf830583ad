// Runs the Rust and the TypeScript tests and counts what passed.
import { readFileSync, rmSync } from "node:fs";
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { sharedTarget, tools } from "./bootstrap.mjs";
import { execute, inRoot } from "./process.mjs";

const VITEST_REPORT = "node_modules/.cache/tslip/vitest.json";

/**
 * Runs all tests, prints the closing line and sets the exit code.
 * @param nodes further Node executables under which the TypeScript tests are run too.
 * @param failedChecks names of checks that failed before.
 */
export async function runTests({ nodes = [], failedChecks = [] } = {}) {
  const runs = [await rustTests()];
  for (const [i, node] of [process.execPath, ...nodes].entries()) {
    if (nodes.length > 0) console.log(`TypeScript tests under ${node}`);
    runs.push(await typescriptTests(node, i === 0 ? {} : { TSLIP_ANOTHER_NODE: "1" }));
  }
  const sum = (key) => runs.reduce((total, run) => total + run[key], 0);
  const failed = sum("failed");
  const names = runs.flatMap((run) => run.names);
  const { gpus } = await import("../../dist/native.js");
  if (gpus(false).length === 0) {
    console.log(
      "GPU tests were skipped: no Vulkan, Metal or DX12 driver was found. A software driver is enough (Debian: apt install " +
        "mesa-vulkan-drivers); TSLIP_REQUIRE_GPU=1 makes this a failure.",
    );
  }
  if (failedChecks.length > 0) console.log(`Checks that failed: ${failedChecks.join(", ")}`);
  // Named here too, as the end of a long output is what is kept and read.
  for (const name of names) console.log(`Failed: ${name}`);
  console.log(`${sum("passed")} passed, ${failed} failed, ${sum("skipped")} skipped`);
  if (failed > 0 || failedChecks.length > 0) process.exitCode = 1;
}

/** A runner that stops without naming a failed test has itself failed. */
function settle(counts, runner, code) {
  if (code === 0 || counts.failed > 0) return counts;
  return { ...counts, failed: 1, names: [`${runner} ended with ${code ?? "no code"} and named no failed test`] };
}

async function rustTests() {
  const nextest = (await execute("cargo", ["nextest", "--version"])).code === 0;
  const env = process.stderr.isTTY ? { ...process.env, CARGO_TERM_COLOR: "always" } : process.env;
  const args = nextest
    ? ["nextest", "run", "--no-tests=pass", "--no-fail-fast"]
    : ["test", "--lib", "--bins", "--tests", "--no-fail-fast"];
  args.push("--workspace", ...(await sharedTarget()));
  const { code, output } = await execute("cargo", args, { output: "tee", env });
  const text = stripVTControlCharacters(output);
  return settle(nextest ? countNextest(text) : countCargoTest(text), "the runner of Rust tests", code);
}

/** "Summary [ 0.01s] 10 tests run: 8 passed (1 slow), 1 failed, 1 timed out, 3 skipped" */
function countNextest(text) {
  const summary = text.split("\n").findLast((line) => /^\s*Summary \[/.test(line)) ?? "";
  const number = (pattern) => Number(pattern.exec(summary)?.[1] ?? 0);
  const passed = number(/(\d+) passed/);
  const failed = number(/(\d+)(?:\/\d+)? tests? run/) - passed;
  const names = new Set(
    Array.from(
      text.matchAll(/^\s*(?:FAIL|TIMEOUT|SIG\w+|LEAK-FAIL) \[.*?\]\s+(?:\(.*?\)\s+)?(.*)$/gm),
      ([, name]) => name,
    ),
  );
  return { passed, failed, skipped: number(/(\d+) skipped/), names: [...names] };
}

/** "test result: ok. 10 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out", a line for each test binary */
function countCargoTest(text) {
  const names = Array.from(text.matchAll(/^test (.*) \.\.\. FAILED$/gm), ([, name]) => name);
  const counts = { passed: 0, failed: 0, skipped: 0, names };
  for (const [, passed, failed, ignored] of text.matchAll(
    /^test result: .*?(\d+) passed; (\d+) failed; (\d+) ignored/gm,
  )) {
    counts.passed += Number(passed);
    counts.failed += Number(failed);
    counts.skipped += Number(ignored);
  }
  return counts;
}

/** `env` says which: see vitest.config.ts. */
async function typescriptTests(node, env) {
  rmSync(inRoot(VITEST_REPORT), { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${VITEST_REPORT}`];
  const { code } = await execute(node, [tools.vitest, "run", ...reporters], {
    output: "inherit",
    env: { ...process.env, ...env },
  });
  return settle(countVitest(), "vitest", code);
}

function countVitest() {
  let report;
  try {
    report = JSON.parse(readFileSync(inRoot(VITEST_REPORT), "utf8"));
  } catch {
    return { passed: 0, failed: 0, skipped: 0, names: [] };
  }
  const broken = report.testResults.filter(
    (results) => results.status === "failed" && results.assertionResults.length === 0,
  );
  const file = ({ name }) => relative(inRoot("."), name);
  const failures = report.testResults.flatMap((results) => {
    const failed = results.assertionResults.filter((test) => test.status === "failed");
    return failed.map((test) => `${file(results)}: ${test.fullName}`);
  });
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
    names: [...broken.map(file), ...failures],
  };
}
