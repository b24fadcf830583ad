// What README.md and docs/ hold that can be tried: blocks of code, links and pictures.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A fenced block. */
export interface Block {
  /** "ts", or nothing for output. */
  language: string;
  text: string;
}

/** A link or a picture. */
export interface Link {
  text: string;
  target: string;
  picture: boolean;
}

/** Paths of the documents from the folder `root`. */
export function documents(root: string): string[] {
  const docs = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
  return ["README.md", ...docs.map((name) => `docs/${name}`)];
}

export const read = (root: string, path: string): string => readFileSync(join(root, path), "utf8");

export function blocks(document: string): Block[] {
  const found = document.matchAll(/^```(\w*)\n(.*?)^```$/gms);
  return [...found].map(([, language = "", text = ""]) => ({ language, text }));
}

export function links(document: string): Link[] {
  const prose = document.replace(/^```.*?^```$/gms, "").replace(/`[^`\n]*`/g, "");
  const found = prose.matchAll(/(!?)\[([^\]]*)\]\(([^)\s]*)[^)]*\)/g);
  return [...found].map(([, mark, text = "", target = ""]) => ({ text, target, picture: mark === "!" }));
}

/** Names by which headings are linked to. */
export function anchors(document: string): string[] {
  const headings = document.matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}
