// What verifying certificates of the reference network takes.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certify, fit, saveCertificates, saveModel, saveSafetensors, type Tensor, verifyCertificates } from "tslip";
import { afterAll, beforeAll, expect, it } from "vitest";
import { referenceNetwork, referenceOptions, subset } from "../train/subset.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tslip-certificates-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Far above what a machine takes that has nothing else to do, 1 to 3 s. */
const SECONDS = 20;

it("certificates of 100 images by a trained network are verified in seconds, while the event loop turns", async () => {
  const { train, test } = await subset();
  const model = referenceNetwork();
  const first = train.subset(Array.from({ length: 1000 }, (_, i) => i));
  await fit(model, first, { epochs: 2, batchSize: 100, ...referenceOptions() });
  const exported = model.vanillaExport();
  const images = test.batch(0, 100).images as Tensor;
  const files = { model: join(folder, "model.safetensors"), inputs: join(folder, "images.safetensors") };
  const certificates = await certify(exported, images);
  await saveModel(exported, files.model);
  await saveSafetensors({ images }, files.inputs);
  const file = join(folder, "certificates.json");
  await saveCertificates(file, { ...files, certificates });
  expect(certificates.filter(({ radius }) => radius > 0).length).toBeGreaterThan(90);
  let turns = 0;
  const timer = setInterval(() => turns++, 10);
  const begun = performance.now();
  const found = await verifyCertificates(file, files);
  const seconds = (performance.now() - begun) / 1000;
  clearInterval(timer);
  expect(found.outcome).toBe("VERIFIED");
  expect(seconds).toBeLessThan(SECONDS);
  expect(turns).toBeGreaterThan(10 * seconds);
}, 300_000);
