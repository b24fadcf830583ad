// What the environment asks of the engine is followed or refused.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const LIBRARY = JSON.stringify(new URL("../../dist/index.js", import.meta.url).href);
const CHILD = `
  const { scalar } = await import(${LIBRARY});
  try {
    console.log(JSON.stringify({ value: scalar(1).add(1).dataSync()[0] }));
  } catch (error) {
    console.log(JSON.stringify({ code: error.code, message: error.message }));
  }`;

async function child(variables: Record<string, string>): Promise<Record<string, unknown>> {
  const env = { ...process.env, ...variables };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", CHILD], { env });
  return JSON.parse(stdout) as Record<string, unknown>;
}

it("computes with the instructions and the number of threads asked for", async () => {
  expect(await child({ TSLIP_SIMD: "portable", TSLIP_THREADS: "3" })).toEqual({ value: 2 });
  expect(await child({ TSLIP_SIMD: "", TSLIP_THREADS: "" })).toEqual({ value: 2 });
});

it.each([
  ["TSLIP_SIMD", "sse", "portable"],
  ["TSLIP_THREADS", "0", "from 1 to 256"],
  ["TSLIP_THREADS", "two", "from 1 to 256"],
])("refuses %s=%s and says what can be given", async (name, value, expected) => {
  const { code, message } = await child({ [name]: value });
  expect(code).toBe("INVALID_ARGUMENT");
  expect(message).toContain(`${name} is "${value}"`);
  expect(message).toContain(expected);
});
