// The tool that finds files of a crate which import one another in a circle, tried on small crates.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const TOOL = fileURLToPath(new URL("../../scripts/circles.mjs", import.meta.url));

/** What the tool says of a crate with these files. */
async function said(files: Record<string, string>): Promise<{ code: number; text: string }> {
  const folder = await mkdtemp(join(tmpdir(), "tslip-circles-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      const file = join(folder, "crates/example/src", path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
    }
    return await new Promise((resolve) => {
      execFile(process.execPath, [TOOL], { cwd: folder }, (error, _, stderr) =>
        resolve({ code: Number(error?.code ?? 0), text: stderr }),
      );
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const LIB = "mod a;\nmod b;\n";

it("finds files that import one another, directly, by a nested list or by a path in the code", async () => {
  const direct = await said({
    "lib.rs": LIB,
    "a.rs": "use crate::b::B;\n",
    "b.rs": "use super::{a::{A, other}, c};\n",
  });
  expect(direct.code).toBe(1);
  expect(direct.text).toMatch(/crates.example.src.a\.rs\n {2}crates.example.src.b\.rs/);
  const inline = { "lib.rs": LIB, "a.rs": "fn f() { crate::b::g(); }\n", "b.rs": "fn g() { super::a::f(); }\n" };
  expect((await said(inline)).code).toBe(1);
});

it("lets pass what a module imports of its own modules, comments, tests, and circles that say why", async () => {
  const inside = { "lib.rs": "mod a;\n", "a/mod.rs": "mod c;\nuse self::c::C;\n", "a/c.rs": "use super::shared;\n" };
  expect(await said(inside)).toEqual({ code: 0, text: "" });
  const commented = { "lib.rs": LIB, "a.rs": "use crate::b::B;\n", "b.rs": "// use crate::a::A;\n" };
  expect((await said(commented)).code).toBe(0);
  const tests = {
    "lib.rs": LIB,
    "a.rs": "use crate::b::B;\n",
    "b.rs": "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
  };
  expect((await said(tests)).code).toBe(0);
  const why = { "lib.rs": LIB, "a.rs": "// Circle: twins.\nuse crate::b::B;\n", "b.rs": "use crate::a::A;\n" };
  expect((await said(why)).code).toBe(0);
});
