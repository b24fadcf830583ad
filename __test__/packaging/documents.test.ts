// Links of the documents lead somewhere, and what README.md says of platforms and versions is what package.json says.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { anchors, documents, links, read } from "./documents.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  engines: { node: string };
  napi: { targets: string[] };
};

describe.each(documents(root))("%s", (path) => {
  const document = read(root, path);

  it("links to files and headings that there are", () => {
    const broken = links(document).filter(({ target }) => {
      if (/^https?:/.test(target)) return !URL.canParse(target);
      const [file = "", anchor] = target.split("#");
      const linked = file === "" ? path : normalize(join(dirname(path), file));
      if (!existsSync(join(root, linked))) return true;
      return anchor !== undefined && !anchors(read(root, linked)).includes(anchor);
    });
    expect(broken).toEqual([]);
  });

  it("names files of the repository that there are", () => {
    const named = [
      ...document.matchAll(/`((?:docs|src|crates|scripts|benches|trials|__test__|examples|conformance)\/[\w./-]*)`/g),
    ];
    expect(
      named.map(([, file = ""]) => file).filter((file) => !file.includes("NAME") && !existsSync(join(root, file))),
    ).toEqual([]);
  });
});

describe("README.md", () => {
  const words = read(root, "README.md").replace(/\s+/g, " ");

  it("names every platform that has a prebuilt addon, and no other", () => {
    const systems = { linux: "Linux", apple: "macOS", pc: "Windows" };
    const cpus = { x86_64: "x64", aarch64: "arm64" };
    const targets = manifest.napi.targets.map((target) => {
      const [cpu, vendor, system] = target.split("-");
      const name = systems[(vendor === "unknown" ? system : vendor) as keyof typeof systems];
      return { name, cpu: cpus[cpu as keyof typeof cpus] };
    });
    const platforms = [...new Set(targets.map(({ name }) => name))].map((name) => {
      const those = targets.filter((target) => target.name === name).map(({ cpu }) => cpu);
      return `${name} ${those.join(" and ")}${name === "Linux" ? " (glibc)" : ""}`;
    });
    expect(words).toContain(`a prebuilt binary for ${platforms.join(", ").replace(/, (?=\w+ \w+$)/, ", and ")};`);
  });

  it("names the versions of Node.js that package.json does", () => {
    const [, major, first, other] = /^\^(\d+)\.(\d+) \|\| >=(\d+\.\d+)$/.exec(manifest.engines.node) ?? [];
    expect(words).toContain(`needs Node.js ${major}.${first} or a later ${major}, or ${other} or later`);
  });
});
