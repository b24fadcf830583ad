// The command that holds certificates against attacks: its tables, what ends it, and what it says of arguments it cannot use.
import { execFile, spawn } from "node:child_process";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fit } from "tslip";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { audited } from "../../benches/brackets/all-images.js";
import { refuseBeaten } from "../../benches/brackets/subject.js";
import { codeOf, referenceNetwork, referenceOptions, SUBSET_FOLDER, subset } from "../train/subset.js";

const PROGRAM = fileURLToPath(new URL("../../dist/benches/brackets/main.js", import.meta.url));
const LIMIT = 300_000;
const ENVIRONMENT = { ...process.env, TSLIP_DATA: SUBSET_FOLDER };

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-brackets-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

function brackets(...args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { cwd: folder, env: ENVIRONMENT }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

/** An interpreter that says it has the packages, and to each request that it took 50 s and found nothing but the first image at 3. */
async function interpreter(): Promise<string> {
  const path = join(folder, "python");
  const script = `#!/bin/sh
case "$*" in
  *importlib.metadata*) echo '{"foolbox":"0.0"}' ;;
  *attack_bench.py*) while read -r request; do echo '{"seconds":[50],"distances":[3,-1]}'; done ;;
  *) echo "no $*" >&2; exit 1 ;;
esac
`;
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}

/** The cells of the rows of a Markdown table whose header starts so, without the header. */
function rowsOf(text: string, first: string): string[][] {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${first}`));
  expect(start, text).toBeGreaterThanOrEqual(0);
  const end = lines.findIndex((line, i) => i > start && !line.startsWith("|"));
  const rows = lines.slice(start + 2, end < 0 ? undefined : end);
  return rows.map((line) => line.slice(2, -2).split(" | "));
}

describe("the command that holds certificates against attacks", () => {
  it(
    "tells radii by each way of certifying, growing from one to the next but for rounding, below the nearest adversarial",
    async () => {
      const { code, stdout, stderr } = await brackets("--only", "certify,brackets", "--images", "12");
      expect(code, stderr).toBe(0);
      const [row = []] = rowsOf(stdout, "images");
      expect(row[0]).toBe("1000");
      const [accuracy = 0, ...certified] = row.slice(3, 7).map(Number.parseFloat);
      expect([accuracy, ...certified].toSorted((a, b) => b - a)).toEqual([accuracy, ...certified]);
      expect(accuracy).toBeGreaterThan(0);
      // One of the reference network, and one of dense layers.
      const [first = "", second = ""] = stdout.split("orthogonal: of the first 12 test images");
      for (const text of [first, second]) {
        const rows = rowsOf(text, "radius or distance");
        expect(rows).toHaveLength(6);
        const means = rows.map(([, mean]) => Number(mean));
        const [declared = 0, proved = 0, rounded = 0, byRows = 0, local = 0, nearest = 0] = means;
        expect(declared).toBeGreaterThan(0);
        expect(proved).toBeGreaterThanOrEqual(declared * (1 - 1e-4));
        expect(rounded).toBeLessThanOrEqual(proved);
        expect(byRows).toBeGreaterThanOrEqual(rounded);
        expect(local).toBeGreaterThanOrEqual(byRows);
        expect(nearest).toBeGreaterThanOrEqual(local);
      }
      expect(stderr).toMatch(/orthogonal, standardSuite on \d+ images: [\d.]+ s/);
    },
    LIMIT,
  );

  // The interpreter that stands in for Python is a shell script.
  it.skipIf(process.platform === "win32")(
    "attacks an image of each class by Carlini and Wagner's attack, beside foolbox's",
    async () => {
      const args = ["--only", "carlini-wagner", "--attack-steps", "100", "--python", await interpreter()];
      const { code, stdout, stderr } = await brackets(...args);
      expect(code, stderr).toBe(0);
      const [own = [], peer = []] = rowsOf(stdout, "L2CarliniWagnerAttack, 6 x 100 steps");
      expect([peer[0], peer[1]]).toEqual(["foolbox", "50.00"]);
      const faster = Number(/tslip ([\d.]+) times faster/.exec(peer[2] ?? "")?.[1]);
      expect(Math.abs(faster * Number(own[1]) - 50)).toBeLessThan(3);
      const rows = rowsOf(stdout, "class");
      expect(rows.map((row) => row[3])).toEqual(rows.map((_, i) => (i === 0 ? "3.0000" : "none")));
      for (const [name, radius, distance] of rows.filter((row) => row[2] !== "none")) {
        expect(Number(distance), name).toBeGreaterThanOrEqual(Number(radius));
      }
    },
    LIMIT,
  );

  it(
    "attacks all images with certificates held against what is found",
    async () => {
      const { train, test } = await subset();
      const model = referenceNetwork();
      await fit(model, train, { ...referenceOptions(), epochs: 2, batchSize: 600 });
      const few = test.subset(Array.from({ length: 20 }, (_, i) => i));
      const { signal } = new AbortController();
      const text = await audited({ name: "", model, network: model.vanillaExport(), test: few, signal });
      const rows = rowsOf(text, "20 images");
      expect(rows.map(([name]) => name?.split(",")[0])).toEqual([
        "L2PGD",
        "DDNAttack",
        "L2FMNAttack",
        "together",
        "certificates",
      ]);
      const [pgd = [], ddn = [], fmn = [], together = [], certificates = []] = rows;
      for (const column of [3, 4, 5]) {
        const [all, least] = [together, certificates].map((row) => Number.parseFloat(row[column] ?? ""));
        const each = [pgd, ddn, fmn].map((row) => Number.parseFloat(row[column] ?? "")).filter(Number.isFinite);
        expect(all).toBeLessThanOrEqual(Math.min(...each));
        expect(all).toBeGreaterThanOrEqual(least ?? Number.NaN);
      }
      // It looks within one radius alone.
      expect([pgd[3], pgd[5], pgd[6]]).toEqual(["", "", ""]);
    },
    LIMIT,
  );

  it("ends where an adversarial is nearer than a radius, and nowhere else", async () => {
    for (const [radius, distance] of [
      [0.5, 0.5],
      [0.5, -1],
      [0, 0],
    ] as const) {
      refuseBeaten("one", radius, distance);
    }
    expect(await codeOf(() => refuseBeaten("one", 0.5, 0.499))).toBe("VIOLATION");
  });

  it.skipIf(process.platform === "win32")(
    "ends at an interrupt with what was done so far",
    async () => {
      const program = spawn(
        process.execPath,
        [PROGRAM, "--only", "certify,carlini-wagner", "--attack-steps", "1000000"],
        {
          env: ENVIRONMENT,
        },
      );
      const [said, told] = [{ text: "" }, { text: "" }];
      program.stderr.on("data", (text) => {
        said.text += text;
      });
      program.stdout.on("data", (text) => {
        told.text += text;
        if (told.text.includes("| images |")) setTimeout(() => program.kill("SIGINT"), 500);
      });
      const code = await new Promise((resolve) => program.once("close", resolve));
      expect(code, said.text).toBe(130);
      expect(said.text.endsWith("interrupted\n"), said.text).toBe(true);
      expect(rowsOf(told.text, "images")).toHaveLength(1);
    },
    LIMIT,
  );

  const refused: [string, string[], RegExp][] = [
    ["a part that does not exist", ["--only", "certify,attacks"], /no "attacks"; expected certify, audit, carlini-w/],
    ["no images", ["--images", "0"], /expected a positive integer/],
    ["half an epoch", ["--epochs", "0.5"], /expected a positive integer/],
    [
      "an interpreter that is not there",
      ["--python", "./no-such-python"],
      /there is no \.\/no-such-python; give --python/,
    ],
    ["an argument it does not take", ["all"], /too many arguments/],
  ];
  it.each(refused)(
    "says one sentence, measures nothing and exits with 2 for %s",
    async (_, args, sentence) => {
      const { code, stdout, stderr } = await brackets(...args);
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(sentence);
      expect(stderr.trim().split("\n"), stderr).toHaveLength(1);
      expect(stdout).toBe("");
    },
    LIMIT,
  );
});
