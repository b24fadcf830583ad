// The reference network after ten epochs, trained when first asked for and kept beside what else the tools keep.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Adam, type Dataset, fit, saveModel } from "tslip";
import { hkr, reference } from "./networks.js";

const EPOCHS = 10;
/** From dist/benches/ in the root. */
const CACHE = new URL("../../node_modules/.cache/tslip/", import.meta.url);

/** Path of the checkpoint for a training set. */
export async function checkpointOf(train: Dataset): Promise<string> {
  const path = fileURLToPath(new URL(`reference-${EPOCHS}-epochs-of-${train.length}.safetensors`, CACHE));
  if (existsSync(path)) return path;
  process.stderr.write(`training ${EPOCHS} epochs on ${train.length} images for the checkpoint ${path}\n`);
  const model = reference.build();
  await fit(model, train, {
    epochs: EPOCHS,
    batchSize: Math.min(4096, train.length),
    optimizer: new Adam({ lr: 1e-4 }),
    loss: hkr(),
    seed: 0,
    verbose: false,
  });
  await mkdir(dirname(path), { recursive: true });
  await saveModel(model, path);
  return path;
}
