// Files of records: a line an epoch, whole at any moment.
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accuracy, type Callback, CrossEntropyLoss, CsvLogger, fit, JsonlLogger, type Metrics, SGD } from "tslip";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clouds, codeOf, smallNetwork } from "./subset.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-loggers-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const train = async (
  callbacks: readonly Callback[],
  epochs = 3,
  initialEpoch = 0,
  metrics: Metrics = { "acc, all": accuracy() },
) =>
  (
    await fit(smallNetwork(), clouds(), {
      epochs,
      initialEpoch,
      batchSize: 20,
      loss: new CrossEntropyLoss(),
      optimizer: new SGD({ lr: 0.1 }),
      metrics,
      validation: clouds(9, 3),
      callbacks,
      verbose: false,
    })
  ).epochs;

/** The cells of a CSV file, as RFC 4180 has them read. */
function cells(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain = "", end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\n]*))([,\n])/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === "\n") rows.push([]);
  }
  return rows.slice(0, -1);
}

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

  it("write any name of a metric so that it reads as one cell, and go on behind it", async () => {
    const path = join(folder, "c.csv");
    const names = ["a\nb", 'c "d"', "e,f", "g\r", "7"];
    const metrics = Object.fromEntries(names.map((name) => [name, accuracy()]));
    await train([new CsvLogger(path)], 1, 0, metrics);
    await train([new CsvLogger(path, { append: true })], 2, 1, metrics);
    const [header = [], ...rows] = cells(await readFile(path, "utf8"));
    expect(header).toEqual([
      ...["epoch", "loss", ...Object.keys(metrics), "seconds", "imagesPerSecond"],
      ...["val_loss", ...Object.keys(metrics).map((name) => `val_${name}`)],
    ]);
    expect(rows.map((row) => [row[0], row.length])).toEqual([
      ["1", header.length],
      ["2", header.length],
    ]);
    const other = train([new CsvLogger(path, { append: true })], 1, 0, {
      ...metrics,
      "a\nb": accuracy(),
      z: accuracy(),
    });
    await expect(other).rejects.toMatchObject({ code: "INVALID_FILE" });
  });

  it("go on in a second fit, without a second header, and refuse other columns before they train", async () => {
    const [csv, jsonl] = [new CsvLogger(join(folder, "d.csv")), new JsonlLogger(join(folder, "d.jsonl"))];
    await writeFile(csv.path, "of an earlier program\n");
    const epochs = [...(await train([csv, jsonl], 2)), ...(await train([csv, jsonl], 1))];
    const text = await readFile(csv.path, "utf8");
    expect(cells(text).map(([first]) => first)).toEqual(["epoch", "1", "2", "1"]);
    const objects = (await readFile(jsonl.path, "utf8")).trimEnd().split("\n");
    expect(objects.map((line) => JSON.parse(line))).toEqual(epochs);
    let steps = 0;
    const count: Callback = { onProgress: () => void steps++ };
    const message =
      /has the columns epoch,loss,"acc, all",.* and this training epoch,loss,seconds,.* take a new CsvLogger/;
    await expect(train([csv, count], 1, 0, {})).rejects.toThrow(message);
    expect([steps, await readFile(csv.path, "utf8")]).toEqual([0, text]);
    await rm(csv.path);
    await train([csv], 1, 0, {});
    expect(cells(await readFile(csv.path, "utf8"))).toHaveLength(2);
  });

  it("end training where they cannot be written, and are refused without a path", async () => {
    expect(await codeOf(() => train([new JsonlLogger(join(folder, "no", "such.jsonl"))]))).toBe("IO");
    expect(await codeOf(() => new CsvLogger(undefined as never))).toBe("INVALID_ARGUMENT");
    expect(await codeOf(() => new CsvLogger("a", { appendix: true } as never))).toBe("INVALID_ARGUMENT");
  });
});
