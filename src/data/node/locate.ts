// Where the files of a data set may lie, and reading them from there, checked.
import { access } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { TslipError } from "../../errors.js";
import type { Archive, ArchiveFile, ArchiveFiles } from "../archive.js";
import { isGzip } from "../idx.js";
import { sha256 } from "./download.js";
import { inflateIdx, readBytes } from "./read-idx.js";

/** The contents of the four files, decompressed and checked. */
export type Contents = Record<keyof ArchiveFiles, Uint8Array>;

/** What a folder turned out to hold. */
export interface Found {
  contents: Contents;
  /** Whether it is the whole data set or the subset of it that is shipped. */
  whole: boolean;
  folder: string;
}

/** Variables of an environment, such as process.env. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The folder where a user's data sets are kept, after the conventions of the platform. */
export function cacheFolder(environment: Environment, platform: string = process.platform): string {
  if (environment["XDG_CACHE_HOME"]) return join(environment["XDG_CACHE_HOME"], "tslip");
  if (platform === "win32") {
    return join(environment["LOCALAPPDATA"] || join(homedir(), "AppData", "Local"), "tslip", "Cache");
  }
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "tslip");
  return join(homedir(), ".cache", "tslip");
}

/** The folder of the shipped subset: data/ lies beside the folder (src or dist) that this module is in. */
export async function shippedFolder(archive: Archive): Promise<string> {
  let parent = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const folder = join(parent, "data", `${archive.folder}-subset`);
    if (await exists(folder)) return folder;
    if (dirname(parent) === parent) {
      throw new TslipError("IO", `the shipped data/${archive.folder}-subset is missing; install the package again`);
    }
    parent = dirname(parent);
  }
}

/** `folder` or the place below it (this library's or torchvision's layout) that has a file of the data set. */
export async function findFolder(folder: string, archive: Archive): Promise<string | undefined> {
  const torchvision = archive.title.replaceAll("-", "");
  for (const candidate of [folder, join(folder, archive.folder), join(folder, torchvision, "raw")]) {
    for (const file of Object.values(archive.files)) {
      if ((await pathOf(candidate, file)) !== undefined) return candidate;
    }
  }
  return undefined;
}

/** The file's path in `folder`, with or without .gz. */
async function pathOf(folder: string, { name }: ArchiveFile): Promise<string | undefined> {
  for (const path of [join(folder, `${name}.gz`), join(folder, name)]) if (await exists(path)) return path;
  return undefined;
}

/** One file's content, where it is there and intact, else undefined. */
export async function readIntact(folder: string, file: ArchiveFile): Promise<Uint8Array | undefined> {
  const path = await pathOf(folder, file);
  if (path === undefined) return undefined;
  const content = await readContent(path);
  return sha256(content) === file.sha256 ? content : undefined;
}

async function readContent(path: string): Promise<Uint8Array> {
  const bytes = await readBytes(path);
  return isGzip(bytes) ? inflateIdx(bytes, path) : bytes;
}

/**
 * The data set, whole or the shipped subset of it, from `folder` as `findFolder` gives it.
 * @throws TslipError IO for missing files (all of them named), INVALID_FILE for a damaged file or one of another data set.
 */
export async function readFolder(folder: string, archive: Archive): Promise<Found> {
  const roles = Object.keys(archive.files) as (keyof ArchiveFiles)[];
  const paths = await Promise.all(roles.map((role) => pathOf(folder, archive.files[role])));
  const missing = roles.filter((_, i) => paths[i] === undefined).map((role) => `${archive.files[role].name}.gz`);
  if (missing.length > 0) throw new TslipError("IO", `${folder} lacks ${missing.join(", ")} of ${archive.title}`);

  const contents = {} as Contents;
  const versions = [archive.files, archive.subset].filter((version) => version !== undefined);
  let possible = versions;
  for (const [i, role] of roles.entries()) {
    const path = paths[i] as string;
    const content = await readContent(path);
    const digest = sha256(content);
    possible = possible.filter((version) => version[role].sha256 === digest);
    if (possible.length === 0) {
      const expected = versions.map((version) => version[role].sha256).join(" or ");
      throw new TslipError(
        "INVALID_FILE",
        `${path} is not the file of ${archive.title}: its content has SHA-256 ${digest}, expected ${expected}, as the ` +
          "other files of the folder; get the file again, or read files of your own with fromIdx(images, labels)",
      );
    }
    contents[role] = content;
  }
  return { contents, whole: possible.includes(archive.files), folder };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
