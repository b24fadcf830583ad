// Networks that are trained when first asked for, and kept beside what else the tools keep.
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Adam, type Dataset, fit, type Loss, OffsetCrossEntropyLoss, saveModel } from "tslip";
import { hkr, type Network, orthogonal, reference } from "./networks.js";

/** From dist/benches/ in the root. */
const CACHE = new URL("../../node_modules/.cache/tslip/", import.meta.url);

/** A network and how it is trained: by Adam. */
export interface Recipe extends Network {
  /** Of its files. */
  readonly name: string;
  readonly batchSize: number;
  readonly lr: number;
  loss(): Loss;
}

/** As the reference run. */
export const REFERENCE: Recipe = { ...reference, name: "reference", batchSize: 4096, lr: 1e-4, loss: hkr };

/** At this temperature cross-entropy asks of all images for ever larger margins. */
export const ORTHOGONAL: Recipe = {
  ...orthogonal,
  name: "orthogonal",
  batchSize: 1024,
  lr: 1e-3,
  loss: () => new OffsetCrossEntropyLoss({ temperature: 8, offset: 1.8 }),
};

/** How a checkpoint is made. */
export interface CheckpointOptions {
  /** By default 10. */
  epochs?: number;
  signal?: AbortSignal | undefined;
}

/** Path of the checkpoint for a training set. Throws the signal's reason, and then keeps nothing. */
export async function checkpointOf(
  train: Dataset,
  { name, build, batchSize, lr, loss }: Recipe = REFERENCE,
  { epochs = 10, signal }: CheckpointOptions = {},
): Promise<string> {
  const path = fileURLToPath(new URL(`${name}-${epochs}-epochs-of-${train.length}.safetensors`, CACHE));
  if (existsSync(path)) return path;
  process.stderr.write(`training ${epochs} epochs on ${train.length} images for the checkpoint ${path}\n`);
  const model = build();
  await fit(model, train, {
    epochs,
    batchSize: Math.min(batchSize, train.length),
    optimizer: new Adam({ lr }),
    loss: loss(),
    seed: 0,
    verbose: false,
    signal,
  });
  signal?.throwIfAborted();
  await mkdir(dirname(path), { recursive: true });
  await saveModel(model, path);
  return path;
}
