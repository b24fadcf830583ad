// Who is told of progress may throw, at once or by a promise: the call rejects with that, and nothing is left unhandled.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  certifiedAuroc,
  certify,
  GroupSort2,
  manualSeed,
  rand,
  Sequential,
  SpectralLinear,
  saveCertificates,
  tensor,
  verifyCertificates,
} from "../../src/index.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-progress-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

manualSeed(3);
const model = new Sequential([new SpectralLinear(4, 6), new GroupSort2(), new SpectralLinear(6, 3)]);
const one = new Sequential([new SpectralLinear(4, 6), new GroupSort2(), new SpectralLinear(6, 1)]);
const x = tensor(Float32Array.from(rand([5, 4], { seed: 1 }).dataSync()), [5, 4]);

type Listener = (share: number) => void | Promise<void>;
const calls: [string, (onProgress: Listener) => Promise<unknown>][] = [
  ["certify", (onProgress) => certify(model, x, { onProgress })],
  ["certify with local effort", (onProgress) => certify(model, x, { effort: "local", onProgress })],
  ["certifiedAuroc", (onProgress) => certifiedAuroc(one, x, x, [0.1], { onProgress })],
  [
    "saveCertificates",
    async (onProgress) => {
      const certificates = await certify(model, x);
      await saveCertificates(join(folder, "refused.json"), { model, inputs: x, certificates, onProgress });
    },
  ],
  [
    "verifyCertificates",
    async (onProgress) => {
      const file = join(folder, "verified.json");
      await saveCertificates(file, { model, inputs: x, certificates: await certify(model, x) });
      await verifyCertificates(file, { model, inputs: x, onProgress });
    },
  ],
];

describe.each(calls)("%s", (_, call) => {
  it("rejects with what a listener throws, each time", async () => {
    for (let i = 0; i < 10; i++) {
      const told = call(() => {
        throw new Error("enough");
      });
      await expect(told).rejects.toThrow("enough");
    }
  });

  it("rejects with what a listener rejects with", async () => {
    await expect(call(async () => Promise.reject(new Error("enough")))).rejects.toThrow("enough");
  });

  it("tells of all of its work before it resolves", async () => {
    const shares: number[] = [];
    await call((share) => {
      shares.push(share);
    });
    const told = shares.length;
    expect(shares.at(-1)).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(shares).toHaveLength(told);
  });
});

it("certificates of local effort are not saved as if constants proved them", async () => {
  const certificates = await certify(model, x, { effort: 20 });
  expect(certificates.some(({ effort }) => effort === "local")).toBe(true);
  const path = join(folder, "local.json");
  await expect(saveCertificates(path, { model, inputs: x, certificates })).rejects.toMatchObject({
    code: "UNSUPPORTED",
    message: expect.stringMatching(/certificate \d has a radius of effort "local".*certify with/),
  });
});
