// Looks for files of a crate that import one another in a circle. What a module imports of the modules inside it does not count: it
// consists of them. A circle is let pass where one of its files says why it is there, in a comment "// Circle: …".
import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";

const CRATES = "crates";
const REASON = /^\s*\/\/ Circle: \S/m;

const crates = (await readdir(CRATES, { withFileTypes: true })).filter((entry) => entry.isDirectory());
let found = 0;
for (const { name } of crates) {
  const modules = await modulesOf(join(CRATES, name, "src"));
  for (const circle of circlesOf(modules)) {
    if (circle.some((path) => REASON.test(modules.get(path).text))) continue;
    found++;
    const files = circle.map((path) => modules.get(path).file).sort();
    console.error(`These files import one another in a circle:\n  ${files.join("\n  ")}`);
  }
}
if (found > 0) {
  console.error('Move what both need to a file of its own, or say in one of them why it must be so: "// Circle: …"');
  process.exitCode = 1;
}

/** The files below a folder by the paths of their modules. */
async function modulesOf(root) {
  const files = (await readdir(root, { recursive: true })).filter((file) => file.endsWith(".rs"));
  const modules = new Map();
  for (const file of files.sort()) {
    const parts = relative(".", file).slice(0, -".rs".length).split(sep);
    if (["mod", "lib"].includes(parts.at(-1))) parts.pop();
    modules.set(parts.join("::"), { file: join(root, file), text: await readFile(join(root, file), "utf8") });
  }
  return modules;
}

/** The modules that one of them imports, but for itself and what is inside it. */
function importsOf(path, modules) {
  const text = codeOf(modules.get(path).text);
  const uses = Array.from(text.matchAll(/\buse\s+([^;]+);/g), ([, tree]) => expand(tree)).flat();
  const inline = Array.from(text.matchAll(/\b(?:crate|super)(?:::\w+)+/g), ([written]) => written);
  const imports = [...uses, ...inline].map((written) => resolve(written, path, modules));
  return new Set(imports.filter((found) => found !== undefined && found !== path && !isInside(found, path)));
}

/** Without comments and without the tests at the end. */
function codeOf(text) {
  return text.replaceAll(/\/\/.*/g, "").split(/#\[cfg\(test\)\]\s*(?:mod|pub\(crate\) fn) /)[0];
}

/** The paths of `a::{b, c::{d, e}}`. */
function expand(tree) {
  const [, before, list] = /^([^{]*)\{([\s\S]*)\}\s*$/.exec(tree) ?? [];
  if (list === undefined) return [tree.trim()];
  const parts = [""];
  let depth = 0;
  for (const character of list) {
    if (character === "{") depth++;
    if (character === "}") depth--;
    if (character === "," && depth === 0) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts.filter((part) => part.trim() !== "").flatMap((part) => expand(before.trim() + part.trim()));
}

/** The module that a path names, or in which it names something; nothing where that is in another crate. */
function resolve(written, from, modules) {
  const segments = written.replace(/\s+as\s+\w+$/, "").split("::");
  let base = from === "" ? [] : from.split("::");
  if (segments[0] === "crate") {
    base = [];
    segments.shift();
  } else if (segments[0] === "super" || segments[0] === "self") {
    for (; segments[0] === "super" || segments[0] === "self"; segments.shift()) {
      if (segments[0] === "super") base.pop();
    }
  } else if (!modules.has([...base, segments[0]].join("::"))) {
    return undefined;
  }
  const path = [...base, ...segments];
  while (path.length > 0 && !modules.has(path.join("::"))) path.pop();
  return path.join("::");
}

function isInside(inner, outer) {
  return outer === "" || inner.startsWith(`${outer}::`);
}

/** Sets of modules each of which leads to all others of its set (Tarjan 1972). */
function circlesOf(modules) {
  const edges = new Map(Array.from(modules.keys(), (path) => [path, importsOf(path, modules)]));
  const [index, low, stack, circles] = [new Map(), new Map(), [], []];
  const visit = (path) => {
    index.set(path, index.size);
    low.set(path, index.get(path));
    stack.push(path);
    for (const next of edges.get(path) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(path, Math.min(low.get(path), low.get(next)));
    }
    if (low.get(path) !== index.get(path)) return;
    const circle = stack.splice(stack.indexOf(path));
    if (circle.length > 1) circles.push(circle);
  };
  for (const path of edges.keys()) if (!index.has(path)) visit(path);
  return circles;
}
