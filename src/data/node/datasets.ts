// The known data sets: found on the machine, or downloaded once into the user's cache.

import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TslipError } from "../../errors.js";
import { createProgress, type TextStream } from "../../node/progress.js";
import { abortSignal, knownOptions, type Names } from "../../options.js";
import { type Archive, type ArchiveFiles, FASHION_MNIST, MNIST } from "../archive.js";
import type { Dataset } from "../dataset.js";
import { datasetFromIdx } from "../from-idx.js";
import { isGzip, parseIdx } from "../idx.js";
import { type Download, download } from "./download.js";
import {
  type Contents,
  cacheFolder,
  type Environment,
  type Found,
  findFolder,
  readFolder,
  readIntact,
  shippedFolder,
} from "./locate.js";

export interface DownloadableOptions {
  /** Folder with the four IDX files (.gz or not). Where it does not hold the data set, that is an error. */
  dir?: string;
  /** Ends a download; what had arrived whole stays in the cache. */
  signal?: AbortSignal;
}

const OPTIONS: Names<DownloadableOptions> = { dir: true, signal: true };

/** Where a data set was taken from. */
export interface Source {
  kind: "dir" | "TSLIP_DATA" | "cache" | "system" | "download" | "subset";
  /** The folder, or the mirrors it was downloaded from. */
  from: string;
}

export interface TrainAndTest {
  train: Dataset;
  test: Dataset;
  source: Source;
}

/** What `loadArchive` reads of its surroundings; tests put others in. */
export interface Surroundings {
  environment: Environment;
  stream: TextStream;
  idleTimeoutMs: number;
}

const SURROUNDINGS: Surroundings = { environment: process.env, stream: process.stderr, idleTimeoutMs: 15_000 };
const MEGABYTE = 1e6;

/**
 * Data sets by name. Each is looked for in `dir`, the folder that the environment variable TSLIP_DATA names, the user's cache
 * (`$XDG_CACHE_HOME/tslip`, `~/.cache/tslip`, `~/Library/Caches/tslip` or `%LOCALAPPDATA%\tslip\Cache`) and the folders of
 * system packages, and downloaded into the cache where none has it. Every file is checked by SHA-256. `dir` and TSLIP_DATA are
 * binding: what they name must hold the data set.
 */
export const datasets = {
  /**
   * Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv:1708.07747): 60,000 + 10,000 images `[1, 28, 28]` of 10 classes. Where it is
   * neither there nor to be downloaded, the shipped subset of 6,000 + 1,000 images is given, and stderr says so.
   * @throws TslipError IO or INVALID_FILE where `dir` or TSLIP_DATA does not hold it; the signal's reason once it is aborted.
   */
  fashionMnist(options: DownloadableOptions = {}): Promise<TrainAndTest> {
    return loadArchive(FASHION_MNIST, options);
  },

  /**
   * MNIST (LeCun, Cortes and Burges): 60,000 + 10,000 images `[1, 28, 28]` of the digits.
   * @throws TslipError as fashionMnist, and IO where it is neither there nor to be downloaded (no subset is shipped).
   */
  mnist(options: DownloadableOptions = {}): Promise<TrainAndTest> {
    return loadArchive(MNIST, options);
  },
};

/** What `datasets` does, for any archive in any surroundings. */
export async function loadArchive(
  archive: Archive,
  options: DownloadableOptions,
  surroundings: Surroundings = SURROUNDINGS,
): Promise<TrainAndTest> {
  const { dir, signal } = knownOptions(`the data set ${archive.title}`, OPTIONS, options);
  abortSignal.read("signal", signal)?.throwIfAborted();
  const { environment, stream } = surroundings;
  if (dir !== undefined) return assemble(archive, await required(dir, "dir", archive), "dir");
  const named = environment["TSLIP_DATA"];
  if (named) return assemble(archive, await required(named, "TSLIP_DATA", archive), "TSLIP_DATA");

  const cache = join(cacheFolder(environment), archive.folder);
  const cached = await optional(cache, archive, stream);
  if (cached) return assemble(archive, cached, "cache");
  for (const folder of archive.systemFolders) {
    const found = await optional(folder, archive, stream);
    if (found) return assemble(archive, found, "system");
  }

  try {
    const { contents, mirrors } = await downloadAll(archive, cache, signal, surroundings);
    return assemble(archive, { contents, whole: true, folder: mirrors.join(", ") }, "download");
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof TslipError) || error.code !== "IO") throw error;
    const advice = `To get all of ${archive.title}: connect to the network and run again, or set TSLIP_DATA to a folder with \
its four IDX files (${archive.hint}).`;
    if (archive.subset === undefined) throw new TslipError("IO", `${error.message}\n${advice}`);
    const found = await readFolder(await shippedFolder(archive), archive);
    stream.write(`tslip: ${error.message}\n${subsetWarning(archive, archive.subset)}tslip: ${advice}\n`);
    return assemble(archive, found, "subset");
  }
}

function subsetWarning(archive: Archive, subset: ArchiveFiles): string {
  // A label file is a header of 8 bytes and a byte a label.
  const count = ({ bytes }: { bytes: number }) => (bytes - 8).toLocaleString("en-US");
  const { files } = archive;
  return (
    `tslip: WARNING: going on with the SUBSET of ${archive.title} that is shipped with tslip: ${count(subset.trainLabels)} of ` +
    `${count(files.trainLabels)} training images and ${count(subset.testLabels)} of ${count(files.testLabels)} test images.\n` +
    "tslip: WARNING: figures obtained with it are not comparable with those of the whole data set.\n"
  );
}

async function required(folder: string, origin: string, archive: Archive): Promise<Found> {
  const place = await findFolder(folder, archive);
  if (place === undefined) {
    const names = Object.values(archive.files).map(({ name }) => `${name}.gz`);
    throw new TslipError(
      "IO",
      `${origin} is ${folder}, where no file of ${archive.title} is; expected ${names.join(", ")}`,
    );
  }
  return readFolder(place, archive);
}

/** The whole data set from a folder that may lack it. What is damaged there is reported and passed over. */
async function optional(folder: string, archive: Archive, stream: TextStream): Promise<Found | undefined> {
  const place = await findFolder(folder, archive);
  if (place === undefined) return undefined;
  try {
    const found = await readFolder(place, archive);
    return found.whole ? found : undefined;
  } catch (error) {
    if (!(error instanceof TslipError)) throw error;
    stream.write(`tslip: passing over ${place}: ${error.message}\n`);
    return undefined;
  }
}

async function downloadAll(
  archive: Archive,
  cache: string,
  signal: AbortSignal | undefined,
  { stream, idleTimeoutMs }: Surroundings,
): Promise<{ contents: Contents; mirrors: string[] }> {
  // Small files first: a mirror that does not answer is found out soon.
  const roles = (Object.keys(archive.files) as (keyof ArchiveFiles)[]).sort(
    (a, b) => archive.files[a].bytes - archive.files[b].bytes,
  );
  const total = roles.reduce((sum, role) => sum + archive.files[role].compressedBytes, 0);
  const progress = createProgress({
    label: `downloading ${archive.title}`,
    total,
    stream,
    format: (bytes) => `${(bytes / MEGABYTE).toFixed(1)} MB`,
  });
  const contents = {} as Contents;
  const used = new Set<string>();
  let mirrors = archive.mirrors;
  let before = 0;
  try {
    for (const role of roles) {
      const file = archive.files[role];
      const kept = await readIntact(cache, file).catch(() => undefined);
      if (kept !== undefined) contents[role] = kept;
      else {
        const onBytes = (received: number) => progress.update(before + Math.min(received, file.compressedBytes));
        const result = await download(file, { mirrors, idleTimeoutMs, signal, onBytes });
        contents[role] = result.content;
        used.add(result.mirror);
        mirrors = [result.mirror, ...archive.mirrors.filter((mirror) => mirror !== result.mirror)];
        await keep(cache, file.name, result, stream);
      }
      before += file.compressedBytes;
      progress.update(before);
    }
  } finally {
    progress.stop();
  }
  return { contents, mirrors: [...used] };
}

/** Writes a checked file to the cache in one step; a cache that cannot be written to costs the next run a download. */
async function keep(cache: string, name: string, { served }: Download, stream: TextStream): Promise<void> {
  const target = join(cache, isGzip(served) ? `${name}.gz` : name);
  const temporary = `${target}.${randomUUID()}.part`;
  try {
    await mkdir(cache, { recursive: true });
    await writeFile(temporary, served);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    stream.write(`tslip: ${target} cannot be kept: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function assemble(archive: Archive, { contents, folder }: Found, kind: Source["kind"]): TrainAndTest {
  const { classNames, files } = archive;
  const part = (images: keyof ArchiveFiles, labels: keyof ArchiveFiles) =>
    datasetFromIdx(
      { ...parseIdx(contents[images], files[images].name), name: files[images].name },
      { ...parseIdx(contents[labels], files[labels].name), name: files[labels].name },
      { classNames },
    );
  return {
    train: part("trainImages", "trainLabels"),
    test: part("testImages", "testLabels"),
    source: { kind, from: folder },
  };
}
