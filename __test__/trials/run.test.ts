// Trials in a short form: no certificate is beaten, and radii that take float32 for exact are.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { fromJSON, tensor } from "tslip";
import { describe, expect, it } from "vitest";
import { KINDS } from "../../trials/networks.js";
import { type Asked, type Reproducible, run } from "../../trials/run.js";

const NAMES = KINDS.map(({ name }) => name);
const asked: Asked = { count: 1, seed: 0, from: 0, only: NAMES, withoutRounding: false };
/** Of each kind; a network gives some 700. */
const COUNT = 1000;

describe("Trials", () => {
  it.each(NAMES)("find no violation of certificates in networks of kind %s", async (name) => {
    const outcome = await run({ ...asked, count: COUNT, seed: 20, only: [name] });
    expect(outcome.violations).toBe(0);
    expect(outcome.trials).toBeGreaterThanOrEqual(COUNT);
    expect(Object.keys(outcome.kinds)).toEqual([name]);
  });

  it("find violations of radii that take float32 for exact, with all that it takes to find them again", async () => {
    const found: Reproducible[] = [];
    const options = { ...asked, count: 8000, seed: 20, withoutRounding: true };
    const outcome = await run({ ...options, onViolation: (one) => found.push(one) });
    expect(outcome.violations).toBeGreaterThan(0);
    expect(new Set(found.map(({ computed }) => computed))).toEqual(new Set(["float32", "exact"]));
    const one = JSON.parse(JSON.stringify(found.find(({ computed }) => computed === "float32"))) as Reproducible;
    expect(one.distance).toBeLessThanOrEqual(one.radius);
    const model = fromJSON(one.model).eval();
    const states = Object.entries(one.states).map(([key, { shape, data }]) => [key, tensor(data, shape)]);
    await model.loadStateDict(Object.fromEntries(states));
    const both = one.dtype === "u8" ? Uint8Array.of(...one.image, ...one.perturbed) : [...one.image, ...one.perturbed];
    const classes = await model.classify(tensor(both, [2, ...one.sample]));
    expect(Array.from(classes)).toEqual([one.predicted, one.found]);
    const again: Reproducible[] = [];
    await run({ ...options, count: 1, from: one.network, onViolation: (same) => again.push(same) });
    expect(again).toEqual(found.filter(({ network }) => network === one.network));
  });

  it("end between networks when they are aborted, and go on there", async () => {
    const stop = new AbortController();
    const options = { ...asked, count: 10_000, only: ["linear", "dense"] };
    const part = await run({
      ...options,
      signal: stop.signal,
      onProgress: ({ networks }) => networks === 2 && stop.abort(),
    });
    expect(part.networks).toBe(2);
    const rest = await run({ ...options, count: options.count - part.trials, from: part.next });
    expect(rest.trials + part.trials).toBe((await run(options)).trials);
  });
});

describe("The command", () => {
  const program = fileURLToPath(new URL("../../dist/trials/main.js", import.meta.url));
  const trials = (...args: string[]) =>
    new Promise<{ code: number | string; stdout: string; stderr: string }>((resolve) => {
      execFile(process.execPath, [program, "--device", "cpu", ...args], (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, stdout, stderr });
      });
    });

  it("ends with one line, and says where violations are found again", async () => {
    const sound = await trials("--count", "2000", "--seed", "3");
    expect(sound.code, sound.stderr).toBe(0);
    expect(sound.stdout.trimEnd().split("\n").at(-1)).toMatch(/^2\d{3} trials, 0 violations$/);
    const unsound = await trials("--count", "2000", "--seed", "3", "--without-rounding", "--only", "linear");
    expect(unsound.code, unsound.stderr).toBe(1);
    expect(unsound.stdout).toMatch(/again: npm run trials -- --seed 3 .*--without-rounding --from \d+ --count 1/);
    expect(unsound.stdout.trimEnd().split("\n").at(-1)).toMatch(/^\d+ trials, [1-9]\d* violations$/);
  });

  it("refuses what it does not know", async () => {
    for (const args of [["--count", "many"], ["--only", "quadratic"], ["more"]]) {
      const { code, stderr } = await trials(...args);
      expect(code).toBe(2);
      expect(stderr).toMatch(/error: /);
    }
  });
});
