// rustfmt on every Rust file of the repository: cargo's own finds no modules that macros declare. --check changes nothing.
import { readFileSync } from "node:fs";
import { execute, fail, inRoot } from "./lib/process.mjs";

const [, edition] = /^edition = "(.*)"$/m.exec(readFileSync(inRoot("Cargo.toml"), "utf8"));
const { output: listed } = await execute("git", ["ls-files", "--cached", "--others", "--exclude-standard", "*.rs"]);
const files = listed.split("\n").filter((file) => file !== "");
const { code, output } = await execute("rustfmt", ["--edition", edition, ...process.argv.slice(2), ...files]);
if (code !== 0) fail(output);
