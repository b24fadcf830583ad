// node scripts/package.mjs OUT [ADDONS]: packs the npm package and one package for each platform whose addon lies in the
// folder ADDONS (default: the root, where a build leaves this machine's). Works in a copy, prints the tarballs' paths.
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative, resolve, sep } from "node:path";
import { npm, tools } from "./lib/bootstrap.mjs";
import { execute, fail, inRoot, root } from "./lib/process.mjs";

const [out, addons = root] = process.argv.slice(2);
if (!out) fail("Name the folder for the tarballs: node scripts/package.mjs OUT [ADDONS]");
if (!existsSync(inRoot("dist/index.js"))) fail("dist/ is missing: run npm run build first.");
const addonFiles = readdirSync(addons).filter((name) => /^tslip\..*\.node$/.test(name));
if (addonFiles.length === 0) fail(`${addons} holds no tslip.PLATFORM.node: run npm run build first.`);

const LEFT_OUT = new Set([".git", "node_modules", "target", "npm", "artifacts", "quickstart-out", ".venv"]);
const copy = mkdtempSync(join(tmpdir(), "tslip-package-"));
try {
  cpSync(root, copy, {
    recursive: true,
    filter: (path) => !LEFT_OUT.has(relative(root, path).split(sep)[0]) && !path.endsWith(".node"),
  });
  await pack();
} finally {
  rmSync(copy, { recursive: true, force: true });
}

async function pack() {
  // The builder demands an addon for every target that it is told of.
  const manifest = JSON.parse(readFileSync(join(copy, "package.json"), "utf8"));
  const platforms = addonFiles.map((name) => name.split(".")[1]);
  manifest.napi.targets = manifest.napi.targets.filter((target) => platforms.includes(platformOf(target)));
  if (manifest.napi.targets.length !== platforms.length)
    fail(`package.json has not all the targets of ${addonFiles.join(", ")}`);
  writeFileSync(join(copy, "package.json"), JSON.stringify(manifest, null, 2));
  if (manifest.repository === undefined) leaveOutRelative(join(copy, "README.md"));
  mkdirSync(join(copy, "artifacts"));
  for (const name of addonFiles) copyFileSync(join(addons, name), join(copy, "artifacts", name));

  await command(process.execPath, [tools.napi, "create-npm-dirs"]);
  await command(process.execPath, [tools.napi, "artifacts", "--output-dir", "artifacts", "--npm-dir", "npm"]);
  await command(process.execPath, [
    tools.napi,
    "prepublish",
    "--tag-style",
    "npm",
    "--no-gh-release",
    "--skip-optional-publish",
  ]);
  mkdirSync(out, { recursive: true });
  for (const platform of platforms) {
    copyFileSync(inRoot("LICENSE"), join(copy, "npm", platform, "LICENSE"));
    await tarball(join("npm", platform));
  }
  await tarball(".");
}

/** npm's page finds what is linked relatively in the package's repository; without one there are names of files instead, and no pictures. */
function leaveOutRelative(readme) {
  const text = readFileSync(readme, "utf8");
  const relative = String.raw`\((?!https?:|#)[^)]*\)`;
  const pictures = new RegExp(String.raw`^!\[[^\]]*\]${relative}\n\n?`, "gm");
  const links = new RegExp(String.raw`\[([^\]]*)\]${relative}`, "g");
  writeFileSync(readme, text.replace(pictures, "").replace(links, "$1"));
}

/** Name of a target in the addon's file name: "linux-x64-gnu" of "x86_64-unknown-linux-gnu". */
function platformOf(target) {
  const [cpu, , system, abi] = target.split("-");
  const name = { linux: "linux", darwin: "darwin", windows: "win32" }[system];
  return [name, { x86_64: "x64", aarch64: "arm64" }[cpu], abi].filter(Boolean).join("-");
}

async function tarball(folder) {
  const output = await command(...npm("pack", `./${folder}`, "--json", "--silent", "--pack-destination", resolve(out)));
  const start = output.indexOf("[");
  const [{ filename }] = JSON.parse(output.slice(start, output.lastIndexOf("]") + 1));
  console.log(join(resolve(out), basename(filename)));
}

async function command(name, args) {
  const { code, output } = await execute(name, args, { cwd: copy });
  if (code !== 0) throw new Error(`${name} ${args.join(" ")} failed:\n${output}`);
  return output;
}
