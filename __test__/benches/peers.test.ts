// The comparison with PyTorch: what it says to a user whose machine lacks something.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const PROGRAM = fileURLToPath(new URL("../../dist/benches/peers/main.js", import.meta.url));
const LIMIT = 60_000;

function compare(...args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
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
