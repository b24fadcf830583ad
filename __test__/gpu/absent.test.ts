// A machine without any GPU driver: the addon loads, says so, and the CPU works.
import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";

const NO_DRIVERS = { VK_DRIVER_FILES: "/nonexistent.json", VK_ICD_FILENAMES: "/nonexistent.json" };
const BUILT = new URL("../../dist/index.js", import.meta.url).href;

it("without a driver the CPU is the only device, and a GPU that is asked for is an error that says what to do", () => {
  const script = `
    const { devices, ones, setDefaultDevice } = await import(${JSON.stringify(BUILT)});
    const { gpus } = await import(${JSON.stringify(BUILT.replace("index.js", "native.js"))});
    const list = process.platform === "linux" ? devices().map(({ device }) => device) : ["cpu"];
    let refusal = "";
    try { setDefaultDevice("gpu:" + gpus(false).length); } catch (error) { refusal = error.code + " " + error.message; }
    console.log(JSON.stringify({ list, refusal, sum: Array.from(ones([3]).add(1).dataSync()) }));
  `;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...process.env, ...NO_DRIVERS },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const { list, refusal, sum } = JSON.parse(output);
  expect([list, sum]).toEqual([["cpu"], [2, 2, 2]]);
  expect(refusal).toMatch(/^UNKNOWN_DEVICE .*(install a Vulkan|gpu:0)/);
});

/** Runs a file of GPU tests on a machine without drivers: the exit code, and all that is printed. */
function testsWithoutDriver(required: string): Promise<{ code: number | null; text: string }> {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "__test__/gpu/attacks.test.ts"];
  const env = { ...process.env, ...NO_DRIVERS, TSLIP_REQUIRE_GPU: required };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, vitest, { cwd: root, env }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, text: stripVTControlCharacters(stdout + stderr) }),
    );
  });
}

// Only there do the variables hide all drivers.
describe.runIf(process.platform === "linux")("tests of GPUs without a driver", { timeout: 120_000 }, () => {
  it("are skipped with a sentence that says how to have them run", async () => {
    const { code, text } = await testsWithoutDriver("");
    expect(text).toMatch(/GPU tests are skipped: no Vulkan.*mesa-vulkan-drivers.*TSLIP_REQUIRE_GPU=1/);
    expect(text).toMatch(/Tests +(\d+) skipped \(\1\)/);
    expect(code).toBe(0);
  });

  it("fail where a GPU is required", async () => {
    const { code, text } = await testsWithoutDriver("1");
    expect(text).toMatch(/TSLIP_REQUIRE_GPU is set, but there is no GPU: no Vulkan/);
    expect(code).toBe(1);
  });
});
