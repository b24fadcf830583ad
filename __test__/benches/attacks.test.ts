// The comparison with foolbox's attacks: what it makes of answers, and what it says where an interpreter fails.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SUBSET_FOLDER } from "../train/subset.js";

const PROGRAM = fileURLToPath(new URL("../../dist/benches/peers/attacks.js", import.meta.url));
const LIMIT = 300_000;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-duels-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

interface Outcome {
  code: number | string;
  stdout: string;
  stderr: string;
}

function compare(...args: string[]): Promise<Outcome> {
  const env = { ...process.env, TSLIP_DATA: SUBSET_FOLDER };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { cwd: folder, env }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

/** An interpreter that says it has the packages, and answers each request for an attack as `answer` does. */
async function interpreter(answer: string): Promise<string> {
  const path = join(folder, "python");
  const script = `#!/bin/sh
case "$*" in
  *importlib.metadata*) echo '{"foolbox":"0.0"}' ;;
  *attack_bench.py*) while read -r request; do ${answer}; done ;;
  *) echo "no $*" >&2; exit 1 ;;
esac
`;
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}

const DUEL = ["--only", "L2FastGradientAttack,L2DeepFoolAttack", "--rounds", "1"];

// The interpreter that stands in for Python is a shell script.
describe.skipIf(process.platform === "win32")("the comparison with foolbox", () => {
  it(
    "tells times of a step, and shares or distances of both sides",
    async () => {
      const python = await interpreter(`echo '{"seconds":[0.5],"distances":[-1,2,3]}'`);
      const { code, stdout, stderr } = await compare("--python", python, ...DUEL, "--json", "figures.json");
      expect(code, stderr).toBe(0);
      const { attacks } = JSON.parse(await readFile(join(folder, "figures.json"), "utf8"));
      expect(attacks).toHaveLength(4);
      expect(attacks[0]).toMatchObject({
        attack: "L2FastGradientAttack",
        batch: 10,
        ms: { foolbox: 500 },
        fooled: { foolbox: 0.2 },
      });
      expect(attacks[2]).toMatchObject({ attack: "L2DeepFoolAttack", fooled: { tslip: 1 }, median: { foolbox: 3 } });
      expect(attacks[2].median.tslip).toBeGreaterThan(0);
      expect(attacks[2].faster).toBeCloseTo(500 / attacks[2].ms.tslip, 6);
      expect(stdout).toMatch(/L2DeepFoolAttack 256 .* median/);
    },
    LIMIT,
  );

  it(
    "names the attack at which foolbox ends, and what it said last",
    async () => {
      const python = await interpreter("echo 'no such attack' >&2; exit 1");
      const { code, stderr } = await compare("--python", python, ...DUEL);
      expect(code).toBe(2);
      expect(stderr).toMatch(/attack_bench\.py ended at L2FastGradientAttack:\s+no such attack/);
    },
    LIMIT,
  );

  it("refuses names of attacks that are not compared", async () => {
    const { stderr } = await compare("--only", "Nonsense");
    expect(stderr).toMatch(/there is no "Nonsense"; expected L1FastGradientAttack/);
  });
});
