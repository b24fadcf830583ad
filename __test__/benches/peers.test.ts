// The comparison with PyTorch: what it says to a user whose machine lacks something, and what it makes of figures.
import { execFile } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { gpus } from "../../src/native.js";
import { describeGpu } from "../gpu/gpu.js";
import { SUBSET_FOLDER } from "../train/subset.js";

const PROGRAM = fileURLToPath(new URL("../../dist/benches/peers/main.js", import.meta.url));
const LIMIT = 60_000;
/** The interpreter that stands in for Python is a shell script. */
const WINDOWS = process.platform === "win32";

interface Outcome {
  code: number | string;
  stdout: string;
  stderr: string;
}

function compare(...args: string[]): Promise<Outcome> {
  const env = { ...process.env, TSLIP_DATA: SUBSET_FOLDER };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-peers-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** An interpreter whose PyTorch finds the GPU of that name, or none, and takes 100, 200 and 300 ms for whatever it does there. */
async function interpreter(gpu: string | null): Promise<string> {
  const path = join(folder, "python");
  const script = `#!/bin/sh
case "$*" in
  *get_device_name*) echo '${JSON.stringify(gpu)}' ;;
  *importlib.metadata*) echo '{"torch":"0.0"}' ;;
  *--device\\ cuda*) echo '{"times":[300,100,200]}' ;;
  *) echo "no $*" >&2; exit 1 ;;
esac
`;
  await writeFile(path, script);
  await chmod(path, 0o755);
  return path;
}

describe("the comparison with PyTorch", () => {
  const refused: [string, string[], RegExp][] = [
    [
      "an interpreter that is not there",
      ["--python", "./no-such-python"],
      /there is no \.\/no-such-python; give --python/,
    ],
    // Node takes -c too, and what it is given there is no file.
    ["one without the packages", ["--python", process.execPath], /pip install -r benches.peers.requirements\.txt/],
    ["a work that does not exist", ["--only", "infer2"], /no "infer2"; expected train4096, /],
    ["a device that neither has", ["--device", "tpu"], /Allowed choices are cpu, gpu/],
    ["no rounds", ["--rounds", "0"], /expected a positive integer/],
    ["an argument it does not take", ["fast"], /too many arguments/],
  ];
  it.each(refused)(
    "says what to do, measures nothing and exits with 2 for %s",
    async (_, args, sentence) => {
      const { code, stdout, stderr } = await compare(...args);
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(sentence);
      expect(stderr).not.toMatch(/\n\s+at |round 1/);
      expect(stdout).toBe("");
    },
    LIMIT,
  );
});

describe.skipIf(WINDOWS)("the comparison on a GPU", () => {
  const refused: [string, string | null, RegExp][] = [
    ["a PyTorch without CUDA", null, /finds no GPU that it can use with CUDA: compare with --device cpu/],
    [
      "another GPU than tslip's",
      "GPU 2000",
      /PyTorch computes on GPU 2000, of GPUs tslip finds .*: install the Vulkan/,
    ],
  ];
  it.each(refused)(
    "says one sentence, runs nothing and exits with 2 for %s",
    async (_, gpu, sentence) => {
      const { code, stdout, stderr } = await compare("--device", "gpu", "--python", await interpreter(gpu));
      expect(code, stderr).toBe(2);
      expect(stderr).toMatch(sentence);
      expect(stderr.trim().split("\n"), stderr).toHaveLength(1);
      expect(stdout).toBe("");
    },
    LIMIT,
  );
});

describeGpu("the comparison on a GPU that both have", () => {
  it.skipIf(WINDOWS)(
    "runs tslip on it and PyTorch with CUDA, and divides their medians",
    async () => {
      const name = gpus(false)[0]?.name ?? "";
      const python = await interpreter(name);
      const file = join(folder, "figures.json");
      const args = ["--python", python, "--device", "gpu", "--only", "infer1Sync", "--rounds", "1", "--json", file];
      const { code, stdout, stderr } = await compare(...args);
      expect(code, stderr).toBe(0);
      const { device, gpu, works } = JSON.parse(await readFile(file, "utf8"));
      expect([device, gpu]).toEqual(["gpu", expect.stringContaining(name)]);
      const { tslip, eager, compiled } = works.infer1Sync;
      expect(eager).toEqual({ median: 200, min: 100, max: 300, samples: 3 });
      expect(compiled).toEqual(eager);
      expect(stdout).toMatch(/ PyTorch eager +PyTorch compiled +than eager +than compiled +by minima +goal\n/);
      const [faster, minima] = [(200 / tslip.median).toFixed(2), (100 / tslip.min).toFixed(2)];
      expect(stdout).toMatch(new RegExp(`^infer1Sync .* ${faster} +${faster} +${minima} *$`, "m"));
    },
    LIMIT,
  );
});
