// Who is told of progress may throw, at once or by a promise: the call rejects with that, and nothing is left unhandled.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  assign,
  audit,
  certifiedAuroc,
  certify,
  DDNAttack,
  evaluateLipschitz,
  fromArrays,
  GroupSort2,
  L2FMNAttack,
  Linear,
  loop,
  manualSeed,
  rand,
  robustAccuracy,
  Sequential,
  SpectralLinear,
  saveCertificates,
  standardSuite,
  state,
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

/** Gives the first class to all of x, so that attacks behind the first one have none that is told right if labels are others. */
const constant = new Linear(4, 3, {}, { weight: tensor(new Float32Array(12), [3, 4]), bias: tensor([1, 0, 0], [3]) });
const attacks = [new DDNAttack({ steps: 2 }), new L2FMNAttack({ steps: 2 })];
const others = [1, 2, 1, 2, 1];

type Listener = (share: number) => void | Promise<void>;
const calls: [string, (onProgress: Listener) => Promise<unknown>][] = [
  ["certify", (onProgress) => certify(model, x, { onProgress })],
  ["certify with local effort", (onProgress) => certify(model, x, { effort: "local", onProgress })],
  ["audit", (onProgress) => audit(model, x, [0, 1, 2, 0, 1], { attacks, onProgress })],
  ["audit of images that are told wrong", (onProgress) => audit(constant, x, others, { attacks, onProgress })],
  ["standardSuite", (onProgress) => standardSuite(constant, x, others, { attacks, onProgress })],
  [
    "robustAccuracy",
    (onProgress) => {
      const data = fromArrays(Float32Array.from(x.dataSync()), [5, 4], others);
      return robustAccuracy(constant, data, [0.1], { attacks, batchSize: 2, onProgress: (share) => onProgress(share) });
    },
  ],
  ["evaluateLipschitz", (onProgress) => evaluateLipschitz(model, x, { seed: 1, onProgress })],
  [
    "loop",
    (onProgress) => {
      const steps = state(tensor(0));
      const step = (): void => assign(steps, steps.add(1));
      return loop(step, { steps: 20, onProgress: (done, all) => onProgress(done / all) });
    },
  ],
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

  it("rejects with what a listener rejects with later, or at the end", async () => {
    const late = call(async (share) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (share === 1) throw new Error("disk full");
    });
    await expect(late).rejects.toThrow("disk full");
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
