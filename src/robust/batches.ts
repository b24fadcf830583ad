// Samples of a statistic, a batch at a time: outputs with what bounds them.
import { BoundedOutputs } from "../certify/outputs.js";
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { type ModelInput, Module } from "../nn/index.js";
import { batchOf } from "../nn/module.js";
import { abortSignal, callback, type Option, type Options, type Schema, whole } from "../options.js";
import type { TypedArray } from "../tensor/dtype.js";
import { type Tensor, tensor, Value } from "../tensor/index.js";
import { type Shape, sizeOf } from "../tensor/shape.js";

/** A data set, whose targets are not looked at, or samples as a model takes them. */
export type Samples = Dataset | ModelInput;

/** Options of what goes through samples. */
export interface PassOptions {
  /** Samples that are looked at together, by default 256. */
  batchSize?: number;
  /** Aborting rejects with the signal's reason within one batch. */
  signal?: AbortSignal | undefined;
  /** Told of the work done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined;
}

export const BATCHES = {
  batchSize: whole(1, 256),
  signal: abortSignal,
  onProgress: callback as Option<PassOptions["onProgress"]>,
} satisfies Schema<keyof PassOptions>;

/** {@link PassOptions} as they were read. */
export type Batches = Options<typeof BATCHES>;

/** Samples as they are held. */
export interface Held {
  readonly values: TypedArray;
  /** `[n, ...]`. */
  readonly shape: Shape;
}

/**
 * Samples that were given as `name`, at least `least`, read before this returns its promise. Throws `INVALID_ARGUMENT` for what are none, `DTYPE_MISMATCH` for other values than f32 and u8,
 * `EMPTY_DATASET` for fewer.
 */
export async function held(name: string, given: Samples, least = 1): Promise<Held> {
  const { values, shape } = given instanceof Dataset ? ofDataset(given) : await ofTensor(batchOf(given));
  const [samples = 0] = shape;
  if (samples >= least) return { values, shape };
  throw new TslipError(
    "EMPTY_DATASET",
    `${name} must have at least ${least === 1 ? "one sample" : `${least} samples`}; given ${samples}`,
  );
}

const ofDataset = ({ imagesRaw, length, shape }: Dataset): Held => ({ values: imagesRaw, shape: [length, ...shape] });

async function ofTensor(x: Tensor): Promise<Held> {
  if (x.dtype !== "f32" && x.dtype !== "u8") {
    throw new TslipError("DTYPE_MISMATCH", `samples must be f32, or u8 as data sets hold them; given ${x.dtype}`);
  }
  return { values: x instanceof Value ? x.held() : await x.data(), shape: x.shape };
}

/** What `read` gives of the outputs of all samples, set by set and from which sample of it on, on the device that is current. `who` asks. */
export async function ofOutputs<T>(
  who: string,
  network: Module,
  sets: readonly Held[],
  { batchSize, signal, onProgress }: Batches,
  read: (outputs: BoundedOutputs, start: number) => Promise<T[]>,
): Promise<T[][]> {
  const total = sets.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  let done = 0;
  const all: T[][] = [];
  await onCurrentDevice(async () => {
    for (const { values, shape } of sets) {
      const [samples = 0, ...sample] = shape;
      const size = sizeOf(sample);
      const rows: T[] = [];
      for (let start = 0; start < samples; start += batchSize) {
        signal?.throwIfAborted();
        const stop = Math.min(samples, start + batchSize);
        const x = tensor(values.subarray(start * size, stop * size), [stop - start, ...sample]);
        const outputs = await BoundedOutputs.of(who, network, x);
        for (const row of await read(outputs, start)) rows.push(row);
        done += stop - start;
        await onProgress?.(done / total);
      }
      all.push(rows);
    }
  });
  return all;
}

/** The network that a model exports now. Throws `INVALID_ARGUMENT` for what is no model. */
export function exported(who: string, takes: string, model: Module): Module {
  if ((model as unknown) instanceof Module) return model.vanillaExport();
  throw new TslipError("INVALID_ARGUMENT", `${who} takes ${takes}; the first argument is ${describe(model)}`);
}

/** Throws `LABEL_OUT_OF_RANGE` for the class of a sample that a model of so many classes has no logit for. */
export function checkLabel(sample: number, label: number, classes: number): void {
  if (label >= 0 && label < classes) return;
  throw new TslipError(
    "LABEL_OUT_OF_RANGE",
    `sample ${sample} has the label ${label}; the model has ${classes} classes, from 0 on`,
  );
}

/** Radii that were given, copied, all of them finite and none negative. */
export function radiiOf(given: readonly number[]): readonly number[] {
  const fits = (radius: unknown): boolean => typeof radius === "number" && Number.isFinite(radius) && radius >= 0;
  if (Array.isArray(given) && given.every(fits)) return [...given];
  throw new TslipError(
    "INVALID_ARGUMENT",
    `radii must be an array of finite numbers, each at least 0; given ${describe(given)}`,
  );
}
