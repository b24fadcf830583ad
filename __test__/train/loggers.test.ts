// Files of records: a line an epoch, whole at any moment.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accuracy, type Callback, CrossEntropyLoss, CsvLogger, fit, JsonlLogger, SGD } from "tslip";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clouds, codeOf, smallNetwork } from "./subset.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-loggers-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const train = async (callbacks: readonly Callback[], epochs = 3, initialEpoch = 0) =>
  (
    await fit(smallNetwork(), clouds(), {
      epochs,
      initialEpoch,
      batchSize: 20,
      loss: new CrossEntropyLoss(),
      optimizer: new SGD({ lr: 0.1 }),
      metrics: { "acc, all": accuracy() },
      validation: clouds(9, 3),
      callbacks,
      verbose: false,
    })
  ).epochs;

describe("loggers", () => {
  it("write records as they are", async () => {
    const [csv, jsonl] = [join(folder, "a.csv"), join(folder, "a.jsonl")];
    const epochs = await train([new CsvLogger(csv), new JsonlLogger(jsonl)]);
    const objects = (await readFile(jsonl, "utf8")).trimEnd().split("\n");
    expect(objects.map((text) => JSON.parse(text))).toEqual(epochs);
    const [header, ...rows] = (await readFile(csv, "utf8")).trimEnd().split("\n");
    expect(header).toBe('epoch,loss,"acc, all",seconds,imagesPerSecond,val_loss,"val_acc, all"');
    expect(rows.map((row) => row.split(",").map(Number))).toEqual(epochs.map((record) => Object.values(record)));
    expect((await readdir(folder)).sort()).toEqual(["a.csv", "a.jsonl"]);
  });

  it("are whole after each epoch, and go on where they are to", async () => {
    const path = join(folder, "b.csv");
    const lines: number[] = [];
    const look = { onEpochEnd: async () => void lines.push((await readFile(path, "utf8")).split("\n").length - 1) };
    await train([new CsvLogger(path), look], 2);
    await train([new CsvLogger(path, { append: true }), look], 4, 2);
    expect(lines).toEqual([2, 3, 4, 5]);
    const text = await readFile(path, "utf8");
    expect(text.split("\n").map((row) => row.split(",")[0])).toEqual(["epoch", "1", "2", "3", "4", ""]);
    await train([new CsvLogger(path)], 1);
    expect((await readFile(path, "utf8")).split("\n")).toHaveLength(3);
    await writeFile(path, "epoch,other");
    expect(await codeOf(() => train([new CsvLogger(path, { append: true })]))).toBe("INVALID_FILE");
    expect(await readFile(path, "utf8")).toBe("epoch,other");
  });

  it("end training where they cannot be written, and are refused without a path", async () => {
    expect(await codeOf(() => train([new JsonlLogger(join(folder, "no", "such.jsonl"))]))).toBe("IO");
    expect(await codeOf(() => new CsvLogger(undefined as never))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => new CsvLogger("a", { appendix: true } as never))).toBe("INVALID_ARGUMENT");
  });
});
