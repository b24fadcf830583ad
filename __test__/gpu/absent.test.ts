// A machine without any GPU driver: the addon loads, says so, and the CPU works.
import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";

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
