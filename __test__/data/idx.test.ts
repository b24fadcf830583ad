// The IDX reader against files that are damaged in every way a file can be.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseIdx } from "../../src/data/idx.js";
import { readIdx } from "../../src/data/node/read-idx.js";
import { idxBytes } from "./idx-bytes.js";

const U8 = 0x08;
const F32 = 0x0d;

const good = idxBytes(
  U8,
  [2, 2, 3],
  Uint8Array.from({ length: 12 }, (_, i) => i),
);
const HEADER = 16;

async function failure(bytes: Uint8Array): Promise<unknown> {
  return readIdx(bytes, "file").then(
    () => undefined,
    (error: unknown) => error,
  );
}

function invalidAt(offset: number, problem: RegExp) {
  return expect.objectContaining({
    code: "INVALID_FILE",
    message: expect.stringMatching(
      new RegExp(`^file(?: \\(decompressed\\))?, byte ${offset}: .*(?:${problem.source})`),
    ),
  });
}

describe("readIdx", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tslip-idx-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test("gives shape and elements, plain or gzip, from bytes or a path", async () => {
    const path = join(folder, "images.gz");
    await writeFile(path, gzipSync(good));
    for (const source of [good, gzipSync(good), path]) {
      const { type, shape, data } = await readIdx(source);
      expect({ type, shape, data: [...data] }).toEqual({
        type: "u8",
        shape: [2, 2, 3],
        data: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
      });
    }
  });

  test("turns big-endian elements into host order", async () => {
    const elements = Buffer.alloc(8);
    elements.writeFloatBE(1.5, 0);
    elements.writeFloatBE(-0.25, 4);
    expect((await readIdx(idxBytes(F32, [2], elements))).data).toEqual(Float32Array.of(1.5, -0.25));
    expect((await readIdx(idxBytes(0x0b, [1], Uint8Array.of(0xff, 0xfe)))).data).toEqual(Int16Array.of(-2));
    expect((await readIdx(idxBytes(0x09, [1], Uint8Array.of(0xff)))).data).toEqual(Int8Array.of(-1));
  });

  test("refuses a file cut at any byte, and says where it ends", async () => {
    for (let length = 0; length < good.length; length += 1) {
      expect(await failure(good.subarray(0, length))).toEqual(invalidAt(length, /truncated/));
    }
  });

  test("refuses a gzip file whose content is cut at any byte", async () => {
    for (let length = 0; length < good.length; length += 1) {
      expect(await failure(gzipSync(good.subarray(0, length)))).toEqual(invalidAt(length, /truncated/));
    }
  });

  test("refuses data after the last element, plain or gzip", async () => {
    const long = Buffer.concat([good, Uint8Array.of(0)]);
    expect(await failure(long)).toEqual(invalidAt(good.length, /data after the last element/));
    expect(await failure(gzipSync(long))).toEqual(invalidAt(good.length, /data after the last element/));
  });

  test("refuses what does not start as an IDX file", async () => {
    expect(await failure(Buffer.from("<!DOCTYPE html>"))).toEqual(invalidAt(0, /0x3c .*not an IDX file/));
    expect(await failure(Uint8Array.of(0, 7, 8, 1, 0, 0, 0, 0))).toEqual(invalidAt(1, /not an IDX file/));
  });

  test("refuses an unknown element type and a rank that no array has", async () => {
    expect(await failure(idxBytes(0x0a, [1], Uint8Array.of(0)))).toEqual(invalidAt(2, /0x0a.*0x08 \(u8\)/));
    expect(await failure(Uint8Array.of(0, 0, 8, 0, 1))).toEqual(invalidAt(3, /rank 0/));
    expect(await failure(Uint8Array.of(0, 0, 8, 200, 1))).toEqual(invalidAt(3, /rank 200/));
  });

  test("refuses dimensions that overflow memory at the dimension that does, without allocating for them", async () => {
    const huge = idxBytes(U8, [60_000, 4_000_000_000, 28], new Uint8Array(0));
    const before = process.memoryUsage.rss();
    expect(await failure(huge)).toEqual(invalidAt(8, /damaged/));
    expect(await failure(gzipSync(huge))).toEqual(invalidAt(8, /damaged/));
    // 3 GB announced, within the limit: refused for being absent, still not allocated.
    expect(await failure(idxBytes(U8, [3_000_000_000], new Uint8Array(3)))).toEqual(invalidAt(11, /truncated/));
    expect(process.memoryUsage.rss() - before).toBeLessThan(256 * 1024 * 1024);
  });

  test("refuses an empty image", async () => {
    expect(await failure(idxBytes(U8, [5, 0, 28], new Uint8Array(0)))).toEqual(invalidAt(8, /dimension 1 is 0/));
  });

  test("refuses gzip data cut anywhere, damaged, or followed by something else", async () => {
    const packed = gzipSync(good);
    for (let length = 2; length < packed.length; length += 1) {
      expect(await failure(packed.subarray(0, length))).toMatchObject({ code: "INVALID_FILE" });
    }
    const damaged = Buffer.from(packed);
    damaged[packed.length - 6] = (damaged[packed.length - 6] ?? 0) ^ 0xff;
    expect(await failure(damaged)).toMatchObject({
      code: "INVALID_FILE",
      message: expect.stringMatching(/^file, byte \d+: bad gzip data/),
    });
    expect(await failure(Buffer.concat([packed, Buffer.from("tail")]))).toMatchObject({ code: "INVALID_FILE" });
    expect(await failure(Buffer.concat([packed, Buffer.alloc(4)]))).toMatchObject({ code: "INVALID_FILE" });
  });

  test("says which file cannot be read, and why", async () => {
    const absent = join(folder, "absent");
    await expect(readIdx(absent)).rejects.toMatchObject({ code: "IO", message: expect.stringContaining(absent) });
  });

  test("announces where the elements start with the header it read", () => {
    const { data } = parseIdx(good, "file");
    expect(data.byteOffset - good.byteOffset).toBe(HEADER);
  });
});
