// The Python side: whether it has what it needs, the allocator that is fair to it, and its figures.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { reason, Unusable } from "../command.js";

/** From dist/benches/peers/ to the sources. */
export const SOURCES = fileURLToPath(new URL("../../../benches/peers/", import.meta.url));
const REQUIREMENTS = join("benches", "peers", "requirements.txt");
const VERSIONS = `import json, torch, foolbox
from importlib.metadata import version
from deel import torchlip
print(json.dumps({"torch": torch.__version__, "deel-torchlip": version("deel-torchlip"), "foolbox": foolbox.__version__}))`;

const GPU = `import json, torch
print(json.dumps(torch.cuda.get_device_name(0) if torch.cuda.is_available() else None))`;

/** Folders in which distributions keep tcmalloc. */
const LIBRARY_FOLDERS = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/local/lib",
];
const ALLOCATOR = "libtcmalloc_minimal.so.4";

/** tcmalloc, under which PyTorch is faster; undefined where it is not installed. */
export function tcmalloc(): string | undefined {
  return LIBRARY_FOLDERS.map((folder) => join(folder, ALLOCATOR)).find((path) => existsSync(path));
}

/** Versions of the packages. Refuses an interpreter that is not there or lacks one of them. */
export async function peerVersions(python: string): Promise<Record<string, string>> {
  const found = await run(python, ["-c", VERSIONS], process.env);
  if ("output" in found) return JSON.parse(found.output);
  if (found.code === "ENOENT") {
    throw new Unusable(`there is no ${python}; give --python the interpreter that has the packages of ${REQUIREMENTS}`);
  }
  // A traceback ends with what went wrong.
  const missing = found.message.split("\n").at(-1);
  throw new Unusable(
    `${python}: ${missing}; make an environment that has the packages and give it to --python:\n` +
      `  python3 -m venv .venv && .venv/bin/pip install -r ${REQUIREMENTS} && npm run bench:peers -- --python .venv/bin/python`,
  );
}

/** Name of the GPU that PyTorch computes on. Refuses a PyTorch without CUDA. */
export async function peerGpu(python: string): Promise<string> {
  const found = await run(python, ["-c", GPU], process.env);
  const name: unknown = "output" in found ? JSON.parse(found.output) : undefined;
  if (typeof name === "string") return name;
  throw new Unusable(`the PyTorch of ${python} finds no GPU that it can use with CUDA: compare with --device cpu`);
}

/** Milliseconds of the steps of a work of torch_bench.py. */
export async function peerTimes(python: string, options: readonly string[], preload?: string): Promise<number[]> {
  const env = preload === undefined ? process.env : { ...process.env, LD_PRELOAD: preload };
  return await timesOf(python, [join(SOURCES, "torch_bench.py"), ...options], env);
}

/** Milliseconds that a program prints as `{ "times": […] }`. */
export async function timesOf(program: string, args: readonly string[], env = process.env): Promise<number[]> {
  const found = await run(program, args, env);
  if (!("output" in found)) throw new Unusable(`${[program, ...args].join(" ")} failed:\n${found.message}`);
  try {
    const { times } = JSON.parse(found.output) as { times: unknown };
    if (Array.isArray(times) && times.length > 0 && times.every(Number.isFinite)) return times;
  } catch (error) {
    throw new Unusable(`${program} printed no figures: ${reason(error)}`);
  }
  throw new Unusable(`${program} printed no figures: ${found.output}`);
}

type Outcome = { output: string } | { code: unknown; message: string };

function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, args, { env, maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      if (error === null) resolve({ output: stdout });
      else resolve({ code: error.code, message: stderr.trim() || error.message });
    });
  });
}
