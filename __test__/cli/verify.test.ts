// The command tslip, and what `tslip verify` makes of files.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  certify,
  randn,
  Sequential,
  SpectralLinear,
  saveCertificates,
  saveModel,
  saveSafetensors,
  tensor,
} from "tslip";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../../src/cli/node/index.js";

let folder: string;
let files: { file: string; model: string; inputs: string };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-cli-"));
  const [file, model, inputs] = ["certificates.json", "model.safetensors", "inputs.safetensors"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  files = { file, model, inputs };
  const exported = new Sequential([new SpectralLinear(4, 3)]).vanillaExport();
  const images = tensor(randn([2, 4], { seed: 1 }).dataSync(), [2, 4]);
  await saveModel(exported, model);
  await saveSafetensors({ images }, inputs);
  await saveCertificates(file, { model, inputs, certificates: await certify(exported, images) });
});
afterAll(() => rm(folder, { recursive: true }));

/** The exit code of a call with what it writes. */
async function called(...given: string[]): Promise<{ code: number; out: string; error: string }> {
  const written = { out: "", error: "" };
  const to = (name: keyof typeof written) => ({
    write(text: string): void {
      written[name] += text;
    },
  });
  const code = await run(given, { out: to("out"), error: to("error") });
  return { code, ...written };
}

describe("tslip", () => {
  it("lists its commands, and says so where there is none of a name", async () => {
    expect(await called("--help")).toMatchObject({ code: 0, out: expect.stringMatching(/^ {2}verify {2}verify a/m) });
    expect(await called()).toMatchObject({ code: 2, out: "", error: expect.stringContaining("verify") });
    for (const name of ["verfy", "toString", "__proto__"])
      expect(await called(name)).toMatchObject({ code: 2, error: expect.stringContaining(`no command ${name}`) });
  });
});

describe("tslip verify", () => {
  it("ends with 0 and a line where every claim is proved, or with what was found as JSON", async () => {
    const { file, model, inputs } = files;
    const given = ["verify", file, "--model", model, `--inputs=${inputs}`];
    expect(await called(...given)).toMatchObject({ code: 0, out: "VERIFIED: all 2 certificates are proved\n" });
    const { code, out } = await called(...given, "--json");
    expect([code, JSON.parse(out)]).toMatchObject([
      0,
      { outcome: "VERIFIED", proved: [expect.any(Number), expect.any(Number)] },
    ]);
  });

  it("ends with 1 where something is wrong with what files hold", async () => {
    const { file, model, inputs } = files;
    const damaged = join(folder, "damaged.json");
    await writeFile(damaged, (await readFile(file, "utf8")).replace("pairwise", "generic"));
    const found = await called("verify", damaged, "--model", model, "--inputs", inputs);
    expect(found).toMatchObject({ code: 1, out: expect.stringMatching(/^(CORRUPT: .*\n)$/) });
    const signed = await called("verify", file, "--model", model, "--inputs", inputs, "--key", "0".repeat(64));
    expect(signed).toMatchObject({ code: 1, out: expect.stringMatching(/^SIGNATURE: /) });
  });

  it("ends with 2 where it was called otherwise, or files cannot be read", async () => {
    const { file, model, inputs } = files;
    for (const given of [
      [file],
      [file, "--model", model],
      [file, file, "--model", model, "--inputs", inputs],
      [file, "--model", model, "--inputs", inputs, "--yes"],
      [file, "--model"],
    ]) {
      const found = await called("verify", ...given);
      expect(found).toMatchObject({ code: 2, out: "", error: expect.stringContaining("tslip verify FILE") });
    }
    for (const given of [
      [join(folder, "none"), "--model", model, "--inputs", inputs],
      [file, "--model", folder, "--inputs", inputs],
      [file, "--model", model, "--inputs", inputs, "--key", "00"],
    ]) {
      const found = await called("verify", ...given);
      expect(found).toMatchObject({ code: 2, out: "" });
      expect(found.error.length).toBeGreaterThan(10);
    }
    expect(await called("verify", file, "other.json", "--model", model, "--inputs", inputs)).toMatchObject({
      error: expect.stringMatching(
        /^one file of certificates at a time; given .*certificates\.json, other\.json: call it for each/,
      ),
    });
    expect(await called("verify", "--help")).toMatchObject({ code: 0, out: expect.stringContaining("--inputs") });
  });
});
