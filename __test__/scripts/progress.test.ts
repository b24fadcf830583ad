// The progress of a build, as someone sees it who waits for it.
import { execFile } from "node:child_process";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";

const LIB = new URL("../../scripts/lib/", import.meta.url);
/** Parts of a module that uses what the scripts share. */
const IMPORTS = `
  import { step } from "${pathToFileURL(new URL("process.mjs", LIB).pathname).href}";
  import { cargoStatus, showStep } from "${pathToFileURL(new URL("progress.mjs", LIB).pathname).href}";
`;

function run(body: string): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ["--input-type=module", "-e", IMPORTS + body], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe("the progress of a build", () => {
  it("counts crates in what cargo prints, and says what cargo waits for", async () => {
    const lines = [
      "    Building [=====>                      ] 8/37: serde_core(build.rs), proc-macro2               ",
      "    Building [=========================>] 36/37",
      "    Blocking waiting for file lock on build directory",
      " Downloading 5 crates, remaining bytes: 1.2MB",
      "   Compiling serde_core v1.0.229",
      "error[E0425]: cannot find value `x` in this scope",
    ];
    const { stdout } = await run(
      `for (const line of ${JSON.stringify(lines)}) console.log(String(cargoStatus(line)));`,
    );
    expect(stdout.trim().split("\n")).toEqual([
      "8 of 37 crates compiled, now serde_core(build.rs), proc-macro2",
      "36 of 37 crates compiled",
      "Blocking waiting for file lock on build directory",
      "Downloading 5 crates, remaining bytes: 1.2MB",
      "undefined",
      "undefined",
    ]);
  });

  it("moves in one line on a terminal that is never longer than it", async () => {
    const { stdout } = await run(`
      process.stdout.isTTY = true;
      process.stdout.columns = 40;
      const display = showStep("Building", process.stdout);
      display.update("8 of 37 crates compiled, now a-crate-with-a-long-name");
      setTimeout(() => display.stop(), 1200);
    `);
    const frames = stdout.split("\r\u001b[2K");
    expect(frames.length).toBeGreaterThan(3);
    expect(stdout).toMatch(/… \d s, 8 of 37 crates/);
    for (const frame of frames.slice(0, -1)) expect(frame.length).toBeLessThan(40);
    expect(frames.at(-1)).toMatch(/^Building … 1\.\d s\n$/);
  });

  it("is a plain line now and then where there is no terminal", async () => {
    const { stdout } = await run(`
      const later = [];
      globalThis.setInterval = (show) => later.push(show);
      const display = showStep("Building", process.stdout);
      display.update("8 of 37 crates compiled");
      later.forEach((show) => show());
      display.update("9 of 37 crates compiled");
      later.forEach((show) => show());
      display.stop();
    `);
    expect(stdout).toMatch(
      /^Building … \n {2}0 s, 8 of 37 crates compiled\n {2}0 s, 9 of 37 crates compiled\nBuilding … 0\.\d s\n$/,
    );
  });

  it("shows what a failed step printed, without its progress, and ends with 1", async () => {
    const program = String.raw`process.stderr.write("  Building [> ] 1/2: a\r  Building [=>] 2/2\rerror: no such crate\n"); process.exit(101)`;
    const { code, stderr } = await run(
      `await step("Building", [process.execPath, ["-e", ${JSON.stringify(program)}]], { statusOf: cargoStatus });`,
    );
    expect(code).toBe(1);
    expect(stderr).toBe("Building … failed\nerror: no such crate\n\n");
  });
});
