// Finding, downloading and caching the known data sets, against a server on this machine.
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Archive, type ArchiveFile, FASHION_MNIST } from "../../src/data/archive.js";
import { loadArchive, type Surroundings } from "../../src/data/node/datasets.js";
import { sha256 } from "../../src/data/node/download.js";
import { cacheFolder } from "../../src/data/node/locate.js";
import { idxBytes } from "./idx-bytes.js";

const SUBSET = fileURLToPath(new URL("../../data/fashion-mnist-subset", import.meta.url));

function idx(shape: number[], value: (i: number) => number): Uint8Array {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  return idxBytes(
    0x08,
    shape,
    Uint8Array.from({ length: size }, (_, i) => value(i)),
  );
}

const contents: Record<string, Uint8Array> = {
  "train-images-idx3-ubyte": idx([40, 28, 28], (i) => (i * 7919) % 251),
  "train-labels-idx1-ubyte": idx([40], (i) => i % 10),
  "t10k-images-idx3-ubyte": idx([20, 28, 28], (i) => (i * 104_729) % 249),
  "t10k-labels-idx1-ubyte": idx([20], (i) => i % 10),
};

function file(name: string): ArchiveFile {
  const content = contents[name] as Uint8Array;
  return { name, bytes: content.length, compressedBytes: gzipSync(content).length, sha256: sha256(content) };
}

function archive(mirrors: string[], more: Partial<Archive> = {}): Archive {
  return {
    title: "Tiny-MNIST",
    folder: "tiny",
    classNames: FASHION_MNIST.classNames,
    files: {
      trainImages: file("train-images-idx3-ubyte"),
      trainLabels: file("train-labels-idx1-ubyte"),
      testImages: file("t10k-images-idx3-ubyte"),
      testLabels: file("t10k-labels-idx1-ubyte"),
    },
    systemFolders: [],
    hint: "no hint",
    mirrors,
    ...more,
  };
}

/** Serves the four files as gzip, as a mirror does. */
const intact: RequestListener = (request, response) => {
  const content = contents[(request.url ?? "").split("/").at(-1)?.replace(/\.gz$/, "") ?? ""];
  if (content === undefined) response.writeHead(404).end();
  else response.writeHead(200, { "content-type": "application/octet-stream" }).end(gzipSync(content));
};

describe("data sets by name", () => {
  let home: string;
  let said: string;
  let surroundings: Surroundings;
  const servers: Server[] = [];

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), "tslip-data-"));
    said = "";
    const stream = new Writable({
      write(chunk, _, done) {
        said += String(chunk);
        done();
      },
    });
    surroundings = { environment: { XDG_CACHE_HOME: home }, stream, idleTimeoutMs: 300 };
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
    await rm(home, { recursive: true });
  });

  async function mirror(listener: RequestListener): Promise<string> {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/data/`;
  }
  /** A URL that refuses connections. */
  async function closed(): Promise<string> {
    const url = await mirror(intact);
    await new Promise((resolve) => servers.pop()?.close(resolve));
    return url;
  }
  const cached = async () => (await readdir(join(home, "tslip", "tiny")).catch(() => [])).sort();
  const whole = Object.keys(contents)
    .map((name) => `${name}.gz`)
    .sort();

  test("a download is parsed, kept in the cache, and not repeated", async () => {
    let requests = 0;
    const url = await mirror((request, response) => {
      requests += 1;
      intact(request, response);
    });
    const first = await loadArchive(archive([url]), {}, surroundings);
    expect(first.source).toEqual({ kind: "download", from: url });
    expect([first.train.length, first.test.length, first.train.shape]).toEqual([40, 20, [1, 28, 28]]);
    expect(first.train.imagesRaw).toEqual(
      new Uint8Array((contents["train-images-idx3-ubyte"] as Uint8Array).subarray(16)),
    );
    expect(await cached()).toEqual(whole);
    expect(said).toMatch(/downloading Tiny-MNIST: 100 %/);

    const second = await loadArchive(archive([url]), {}, surroundings);
    expect(second.source.kind).toBe("cache");
    expect(requests).toBe(4);
  });

  test("a mirror that has not the file, damages it, breaks off, stalls or lies is passed over for the next", async () => {
    const bad: RequestListener[] = [
      (_, response) => response.writeHead(404).end("gone"),
      (_, response) => response.writeHead(200).end(gzipSync(idx([40], () => 1))),
      (_, response) => response.writeHead(200).end("<html>not the file</html>"),
      (_, response) => {
        response.writeHead(200, { "content-length": "100000" }).write(Buffer.alloc(500));
        setTimeout(() => response.destroy(), 20);
      },
      (_, response) => {
        response.writeHead(200).write(Buffer.alloc(10));
      },
      (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end(),
    ];
    const urls = await Promise.all(bad.map(mirror));
    const good = await mirror(intact);
    const { source } = await loadArchive(archive([await closed(), ...urls, good]), {}, surroundings);
    expect(source).toEqual({ kind: "download", from: good });
    expect(await cached()).toEqual(whole);
  });

  test("a server that declares the compression as the transfer's is understood", async () => {
    const url = await mirror((request, response) => {
      response.setHeader("content-encoding", "gzip");
      intact(request, response);
    });
    await loadArchive(archive([url]), {}, surroundings);
    expect(await cached()).toEqual(Object.keys(contents).sort());
    expect((await loadArchive(archive([]), {}, surroundings)).source.kind).toBe("cache");
  });

  test("a damaged or missing file in the cache is fetched again, the others are not", async () => {
    const asked: string[] = [];
    const url = await mirror((request, response) => {
      asked.push(request.url ?? "");
      intact(request, response);
    });
    await loadArchive(archive([url]), {}, surroundings);
    await writeFile(join(home, "tslip", "tiny", "train-images-idx3-ubyte.gz"), "damaged");
    await rm(join(home, "tslip", "tiny", "t10k-labels-idx1-ubyte.gz"));
    asked.length = 0;
    await loadArchive(archive([url]), {}, surroundings);
    expect(asked.sort()).toEqual(["/data/t10k-labels-idx1-ubyte.gz", "/data/train-images-idx3-ubyte.gz"]);
  });

  test("an abort ends the download at once with the signal's reason and leaves no partial file", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const url = await mirror((request, response) => {
      if (request.url?.includes("images")) {
        response.writeHead(200).write(Buffer.alloc(10));
        setTimeout(() => abort.abort(reason), 20);
      } else intact(request, response);
    });
    const spare = await mirror(intact);
    const loading = loadArchive(archive([url, spare]), { signal: abort.signal }, surroundings);
    await expect(loading).rejects.toBe(reason);
    expect(await cached()).toEqual(["t10k-labels-idx1-ubyte.gz", "train-labels-idx1-ubyte.gz"]);
  });

  test("a signal aborted beforehand starts nothing", async () => {
    let requests = 0;
    const url = await mirror((_, response) => {
      requests += 1;
      response.end();
    });
    await expect(loadArchive(archive([url]), { signal: AbortSignal.abort() }, surroundings)).rejects.toThrow(/abort/i);
    expect(requests).toBe(0);
  });

  test("downloads at the same time do not disturb each other", async () => {
    const url = await mirror(intact);
    const all = await Promise.all(Array.from({ length: 5 }, () => loadArchive(archive([url]), {}, surroundings)));
    expect(all.map(({ test: set }) => set.length)).toEqual([20, 20, 20, 20, 20]);
    expect(await cached()).toEqual(whole);
  });

  test("a cache that cannot be written to is reported and does not stop the download", async () => {
    const url = await mirror(intact);
    await writeFile(join(home, "tslip"), "a file where the folder should be");
    const { train } = await loadArchive(archive([url]), {}, surroundings);
    expect(train.length).toBe(40);
    expect(said).toMatch(/cannot be kept/);
  });

  test("without network the shipped subset stands in, and stderr says what it is and how to get the whole", async () => {
    const offline = { ...FASHION_MNIST, systemFolders: [], mirrors: [await closed()] };
    const { train, test: testSet, source } = await loadArchive(offline, {}, surroundings);
    expect(source).toEqual({ kind: "subset", from: SUBSET });
    expect([train.length, testSet.length]).toEqual([6000, 1000]);
    const counts = new Array<number>(10).fill(0);
    for (const label of train.labelsRaw) counts[label] = (counts[label] ?? 0) + 1;
    expect(counts).toEqual(new Array(10).fill(600));
    expect(said).toMatch(/WARNING.*SUBSET of Fashion-MNIST.*6,000 of 60,000 training images and 1,000 of 10,000 test/);
    expect(said).toMatch(/TSLIP_DATA.*apt-get install dataset-fashion-mnist/);
    expect(said).toMatch(/ECONNREFUSED/);
  });

  test("without network and without a subset it is an error that says what to do", async () => {
    await expect(loadArchive(archive([await closed()]), {}, surroundings)).rejects.toMatchObject({
      code: "IO",
      message: expect.stringMatching(/ECONNREFUSED.*TSLIP_DATA/s),
    });
  });

  test("`dir` and TSLIP_DATA are binding: what is wrong there is an error, never a download", async () => {
    let requests = 0;
    const url = await mirror((request, response) => {
      requests += 1;
      intact(request, response);
    });
    const empty = join(home, "empty");
    await mkdir(empty);
    const named = { ...surroundings, environment: { XDG_CACHE_HOME: home, TSLIP_DATA: empty } };
    await expect(loadArchive(archive([url]), { dir: empty }, surroundings)).rejects.toMatchObject({ code: "IO" });
    await expect(loadArchive(archive([url]), {}, named)).rejects.toThrow(/TSLIP_DATA is .*empty/);

    await writeFile(join(empty, "train-labels-idx1-ubyte"), contents["train-labels-idx1-ubyte"] as Uint8Array);
    await expect(loadArchive(archive([url]), { dir: empty }, surroundings)).rejects.toThrow(
      /lacks train-images-idx3-ubyte\.gz, t10k-images-idx3-ubyte\.gz, t10k-labels-idx1-ubyte\.gz/,
    );
    for (const name of Object.keys(contents))
      await writeFile(join(empty, name), contents["train-labels-idx1-ubyte"] as Uint8Array);
    await expect(loadArchive(archive([url]), { dir: empty }, surroundings)).rejects.toMatchObject({
      code: "INVALID_FILE",
      message: expect.stringMatching(/train-images-idx3-ubyte is not the file of Tiny-MNIST.*SHA-256/),
    });
    expect(requests).toBe(0);
  });

  test("`dir` goes before TSLIP_DATA, which goes before the cache; files may lie a folder deeper and be decompressed", async () => {
    const nested = join(home, "mine", "tiny");
    await mkdir(nested, { recursive: true });
    for (const [name, content] of Object.entries(contents)) await writeFile(join(nested, name), content);
    const environment = { XDG_CACHE_HOME: home, TSLIP_DATA: join(home, "mine") };
    const byName = await loadArchive(archive([]), {}, { ...surroundings, environment });
    expect(byName.source).toEqual({ kind: "TSLIP_DATA", from: nested });
    const wrong = { ...surroundings, environment: { ...environment, TSLIP_DATA: "/nowhere" } };
    expect((await loadArchive(archive([]), { dir: nested }, wrong)).source.kind).toBe("dir");
  });

  test("a folder that mixes the whole data set with the subset is refused", async () => {
    const mixed = join(home, "mixed");
    await mkdir(mixed);
    const subset = archive([]).files;
    const files = {
      ...subset,
      trainLabels: { ...subset.trainLabels, sha256: "0" },
      testImages: { ...subset.testImages, sha256: "0" },
    };
    for (const [name, content] of Object.entries(contents)) await writeFile(join(mixed, name), content);
    const half = { ...subset, trainImages: { ...subset.trainImages, sha256: "1" } };
    await expect(loadArchive(archive([], { files, subset: half }), { dir: mixed }, surroundings)).rejects.toMatchObject(
      {
        code: "INVALID_FILE",
      },
    );
  });

  test("a system package's folder is used before the network, a damaged one is passed over", async () => {
    const system = join(home, "system");
    await mkdir(system);
    for (const [name, content] of Object.entries(contents))
      await writeFile(join(system, `${name}.gz`), gzipSync(content));
    expect((await loadArchive(archive([], { systemFolders: [system] }), {}, surroundings)).source.kind).toBe("system");
    await writeFile(join(system, "t10k-images-idx3-ubyte.gz"), "damaged");
    const url = await mirror(intact);
    const { source } = await loadArchive(archive([url], { systemFolders: [system] }), {}, surroundings);
    expect(source.kind).toBe("download");
    expect(said).toMatch(/passing over .*system/);
  });

  test("the shipped subset is intact and is read as an explicit folder without a warning", async () => {
    const { train, source } = await loadArchive(FASHION_MNIST, { dir: SUBSET }, surroundings);
    expect(source.kind).toBe("dir");
    expect(train.classNames[9]).toBe("Ankle boot");
    expect(said).toBe("");
    const licence = (await readdir(SUBSET)).includes("LICENSE");
    expect(licence).toBe(true);
  });

  test("the cache follows each platform's conventions", () => {
    expect(cacheFolder({ XDG_CACHE_HOME: "/x" }, "linux")).toBe(join("/x", "tslip"));
    expect(cacheFolder({}, "linux")).toMatch(/\.cache.tslip$/);
    expect(cacheFolder({}, "darwin")).toMatch(/Library.Caches.tslip$/);
    expect(cacheFolder({ LOCALAPPDATA: "C:\\L" }, "win32")).toMatch(/^C:\\L.tslip.Cache$/);
  });
});
