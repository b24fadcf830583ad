// Running folders of vector files: what is counted as passed, failed and skipped, and what is refused.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ErrorCode, TslipError } from "tslip";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MalformedFile, readCases } from "../../conformance/case.js";
import { runFile, runFolders, type Topic, Unusable } from "../../conformance/run.js";

let folder: string;
let lines: string[];
const print = (line: string): number => lines.push(line);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "vectors-"));
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const list = (data: (number | string)[], dtype = "float64") => ({ shape: [data.length], data, dtype });
const head = { config: {}, inputs: {}, grads: {}, rtol: 1e-9, atol: 1e-12 };
const margin = (name: string, radius: number | string, config: object = {}) => ({
  ...head,
  name,
  config: { kind: "disjoint", lipschitz: 2, ...config },
  inputs: { logits: { shape: [1, 3], data: [1, 7, 3], dtype: "float64" } },
  outputs: { class: list([1], "int32"), radius: list([radius]) },
});
const write = (name: string, cases: unknown): void => {
  const file = join(folder, name);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, typeof cases === "string" ? cases : JSON.stringify(cases));
};

describe("Running a folder", () => {
  it("counts what is right and names what is wrong with its numbers", async () => {
    write("certificates.json", [margin("right", 1), margin("wrong", 1.5)]);
    expect(await runFolders([folder], print)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(lines[0]).toContain("certificates.json: wrong\n  radius[0]: got 1, wanted 1.5, allowed 1.5e-9");
    expect(lines.at(-1)).toBe("1 passed, 1 failed, 0 skipped");
  });

  it("does not take a finite radius for one without limit", async () => {
    write("certificates.json", [margin("unlimited", "Infinity")]);
    expect(await runFolders([folder], print)).toMatchObject({ passed: 0, failed: 1 });
  });

  it("skips by name what tslip does not have, never as passed", async () => {
    write("certificates.json", [margin("other", 1, { kind: "simplex" })]);
    const loss = { ...head, outputs: { loss: list([1]) }, config: { loss: "TripletLoss" } };
    write("losses.json", [
      { ...loss, name: "one" },
      { ...loss, name: "two" },
    ]);
    write("norms.json", [{ ...head, name: "GhostNorm_1", outputs: { y: list([1]) } }]);
    expect(await runFolders([folder], print)).toEqual({ passed: 0, failed: 0, skipped: 4 });
    const skipped = lines.filter((line) => line.includes("  skipped: "));
    expect(skipped).toEqual(["  skipped: TripletLoss (2)", "  skipped: GhostNorm (1)", "  skipped: simplex (1)"]);
  });

  it("skips the cases of a topic it does not know", async () => {
    write("quantization.json", [margin("a", 1), margin("b", 1)]);
    expect(await runFolders([folder], print)).toEqual({ passed: 0, failed: 0, skipped: 2 });
    expect(lines).toContain("  skipped: topic quantization (2)");
  });

  it("adds up several folders", async () => {
    write("certificates.json", [margin("right", 1)]);
    expect(await runFolders([folder, folder], print)).toEqual({ passed: 2, failed: 0, skipped: 0 });
  });

  it("fails a case whose inputs are missing and goes on", async () => {
    write("certificates.json", [{ ...margin("empty", 1), inputs: {} }, margin("right", 1)]);
    expect(await runFolders([folder], print)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(lines[0]).toContain("the case has no input logits");
  });

  it("compares gradients with those of the sum, or of the product with a cotangent", async () => {
    const relu = (name: string, cotangent: number[], grad: number[]) => ({
      ...head,
      name,
      config: { layer: "ReLU" },
      inputs: { x: list([-1, 2], "float32"), cotangent: list(cotangent, "float32") },
      outputs: { y: list([0, 2], "float32") },
      grads: { x: list(grad, "float32") },
    });
    write("activations.json", [relu("right", [5, 7], [0, 7]), relu("wrong", [5, 7], [0, 1])]);
    expect(await runFolders([folder], print)).toEqual({ passed: 1, failed: 1, skipped: 0 });
    expect(lines[0]).toContain("gradient of x[1]: got 7, wanted 1");
  });

  it("refuses folders without vector files", async () => {
    await expect(runFolders([join(folder, "nowhere")], print)).rejects.toThrow(Unusable);
    await expect(runFolders([folder], print)).rejects.toThrow(/holds no vector files \(losses\.json/);
  });

  it("refuses a malformed file before it runs anything", async () => {
    write("certificates.json", [margin("right", 1)]);
    write("interop/interop.json", "{");
    await expect(runFolders([folder], print)).rejects.toThrow(MalformedFile);
    await expect(runFolders([folder], print)).rejects.toThrow(/interop\.json is not JSON/);
    expect(lines).toEqual([]);
  });
});

describe("An error of tslip", () => {
  const run = async (code: ErrorCode, defect: boolean) => {
    const topic: Topic = async () => {
      throw new TslipError(code, "reflect padding is not 1-Lipschitz");
    };
    const cases = readCases(JSON.stringify([{ ...margin("a", 1), reference_defect: defect }]), "some.json");
    return await runFile({ file: "some.json", topic, cases }, print);
  };

  it("is a right answer where the reference is wrong, and is named", async () => {
    expect(await run("UNSUPPORTED", true)).toEqual({ passed: 1, failed: 0, skipped: 0 });
    expect(lines.at(-1)).toBe("  passed by refusing what the reference gets wrong: a (1)");
  });

  it("is a failure everywhere else", async () => {
    expect(await run("UNSUPPORTED", false)).toMatchObject({ passed: 0, failed: 1 });
    expect(lines[0]).toContain("UNSUPPORTED: reflect padding is not 1-Lipschitz");
  });

  it.each(["INTERNAL", "SHAPE_MISMATCH", "TRACE"] as const)("of code %s is no refusal", async (code) => {
    expect(await run(code, true)).toMatchObject({ passed: 0, failed: 1 });
  });
});
