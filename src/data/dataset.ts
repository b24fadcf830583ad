// A set of images with their targets in memory, checked when it is made, and its lazily made twin in the engine.

import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { engine } from "../native.js";
import { flag, ignoreIndex, knownOptions, type Names, readOptions, whole } from "../options.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { INSPECT } from "../tensor/show.js";
import { checkImages, type ImageData, pixelsOf } from "./checks.js";
import { checkTargets, type Indexing, type Label, sameClasses, type TargetSpec, type Targets } from "./targets.js";

/** What `onePerClass` asks of a model: the class of each image of a batch `[n, ...shape]`. */
export interface Classifier {
  classify(images: Tensor): Promise<ArrayLike<number>>;
}

export interface DatasetOptions {
  /**
   * Names of the classes, in the order of their indices. Labels that are strings are looked up in it, as are numbers or booleans
   * where it lists such; other numbers are indices themselves, but that -1 and +1, as false and true, are the first and the second
   * of two. Default: "0", "1", … up to the largest index; "-1", "1"; "false",
   * "true"; or the strings that occur, sorted. Rows with several labels a sample may have a name for each column.
   */
  classNames?: readonly Label[];
  /**
   * The label of samples that do not count, such as -100; it is no class and stays what it is. Losses and metrics take the same
   * `ignoreIndex`. Default: none.
   */
  ignoreIndex?: number;
}

const OPTIONS: Names<DatasetOptions> = { classNames: true, ignoreIndex: true };

/** One batch: `images` f32 `[b, ...shape]` (u8 pixels divided by 255) and what they are to be told as. */
export interface Batch {
  images: Tensor;
  /** Class indices i32 `[b]`, or numbers f32 `[b, ...]`. */
  targets: Tensor;
  /** Class indices `[b]`; empty where targets are numbers. */
  labels: Int32Array;
}

/** Images picked out of a data set; `indices[i]` is the place of image i in it. */
export interface Selection extends Batch {
  indices: Int32Array;
}

/** Images classified by one call of `onePerClass`: small enough to stop early, large enough to use every core. */
const CLASSIFY_BATCH = 512;
const DEFAULT_BATCH = 128;
const ONE_PER_CLASS = { among: whole(1, 4096), skipMissing: flag(false) };

const freeInEngine = new FinalizationRegistry<number>((id) => engine().freeDataset(id));

/**
 * Images with their targets. Made by `fromArrays`, `fromIdx` or `datasets`, never changed afterwards.
 * `imagesRaw` is row-major `[length, ...shape]`, u8 (0 to 255, divided by 255 wherever it becomes a tensor) or f32 (used as is).
 */
export class Dataset {
  /** Number of images. */
  readonly length: number;
  /** Shape of one image, without the batch axis. */
  readonly shape: readonly number[];
  /** Names of the classes by index; of rows, where they were given, of their columns; empty for other numbers. */
  readonly classNames: readonly string[];
  /** What the target of one sample is: a class index (i32, shape `[]`), or f32 numbers of a shape. */
  readonly target: TargetSpec;
  readonly imageDtype: "u8" | "f32";
  /** All pixels, row-major `[length, ...shape]`. Not to be written to. */
  readonly imagesRaw: Uint8Array | Float32Array;
  /** All targets, row-major `[length, ...target.shape]`. Not to be written to. */
  readonly targetsRaw: Int32Array | Float32Array;
  /** Class indices `[length]`, each in `[0, classNames.length)` or `ignoreIndex`; empty where targets are numbers. Not to be written to. */
  readonly labelsRaw: Int32Array;
  /** The label of samples that do not count, if there is one. */
  readonly ignoreIndex: number | undefined;
  #engineId: number | undefined;
  #indexing: Indexing;

  /**
   * Takes the pixels over without copying them; `fromArrays` copies.
   * @param shape `[n, ...shape of one image]`
   * @throws TslipError EMPTY_DATASET, SHAPE_MISMATCH, LABEL_OUT_OF_RANGE, NON_FINITE or INVALID_ARGUMENT
   */
  constructor(images: ImageData, shape: readonly number[], targets: Targets, options: DatasetOptions = {}) {
    const given = knownOptions("a data set", OPTIONS, options);
    this.ignoreIndex = ignoreIndex.read("ignoreIndex", given.ignoreIndex);
    const { spec, values, length, classNames, indexing } = checkTargets(targets, given.classNames, this.ignoreIndex);
    const pixels = pixelsOf(images);
    checkImages(pixels, shape, length);
    this.#indexing = indexing;
    this.classNames = Object.freeze([...classNames]);
    this.length = length;
    this.shape = Object.freeze(shape.slice(1));
    this.target = Object.freeze({ dtype: spec.dtype, shape: Object.freeze([...spec.shape]) });
    this.targetsRaw = values;
    this.labelsRaw = values instanceof Int32Array ? values : new Int32Array(0);
    this.imagesRaw = pixels;
    this.imageDtype = pixels instanceof Float32Array ? "f32" : "u8";
  }

  /** What it holds, for `JSON.stringify`: sizes and names, no pixels and targets. */
  toJSON(): Pick<Dataset, "length" | "shape" | "imageDtype" | "target" | "classNames"> {
    const { length, shape, imageDtype, target, classNames } = this;
    return { length, shape, imageDtype, target, classNames };
  }

  /** What `console.log` prints: that of {@link toJSON}. */
  [INSPECT](_depth: number, options: object, inspect: (value: unknown, options: object) => string): string {
    return `Dataset ${inspect(this.toJSON(), options)}`;
  }

  /** Pixels (all channels) of one image. */
  get imageSize(): number {
    return this.shape.reduce((size, dimension) => size * dimension, 1);
  }

  /**
   * Id of this data set in the engine, copied there on first use and freed when this object is collected: what a training
   * or evaluation job names.
   */
  engineId(): number {
    if (this.#engineId === undefined) {
      const { imagesRaw, imageDtype, shape, targetsRaw, target } = this;
      const image = { shape, dtype: imageDtype };
      const id = engine().createDataset(bytesOf(imagesRaw), image, bytesOf(targetsRaw), target);
      freeInEngine.register(this, id);
      this.#engineId = id;
    }
    return this.#engineId;
  }

  /**
   * The images at `indices` (repeats allowed) as a data set of its own, with the same class names.
   * @throws TslipError INVALID_ARGUMENT for an index outside, EMPTY_DATASET for none.
   */
  subset(indices: ArrayLike<number>): Dataset {
    this.#checkIndices(indices);
    const targets = rowsOf(this.targetsRaw, this.targetsRaw.length / this.length, indices);
    const chosen = new Dataset(
      rowsOf(this.imagesRaw, this.imageSize, indices),
      [indices.length, ...this.shape],
      tensor(targets, [indices.length, ...this.target.shape]),
      {
        ...(this.classNames.length === 0 ? {} : { classNames: this.classNames }),
        ...(this.ignoreIndex === undefined ? {} : { ignoreIndex: this.ignoreIndex }),
      },
    );
    chosen.#indexing = this.#indexing;
    return chosen;
  }

  /**
   * Whether targets of both data sets mean the same, as far as the names of classes say: names are compared but where the labels of
   * one are plain indices, and those of the other are indices too, booleans, or -1 and +1. The last classes of either may be missing.
   */
  sameClasses(other: Dataset): boolean {
    if (!((other as unknown) instanceof Dataset)) {
      throw new TslipError("INVALID_ARGUMENT", `sameClasses takes a Dataset; given ${describe(other)}`);
    }
    const { classNames } = other;
    return sameClasses(
      { classNames: this.classNames, indexing: this.#indexing },
      { classNames, indexing: other.#indexing },
    );
  }

  /** Batch `i` of the data set in order; the last one may be shorter. `size` defaults to 128. */
  batch(i: number, size: number = DEFAULT_BATCH): Batch {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `the size of a batch must be a positive integer; given ${describe(size)}`,
      );
    }
    const batches = Math.ceil(this.length / size);
    if (!Number.isSafeInteger(i) || i < 0 || i >= batches) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `batch ${describe(i)} of a data set that has ${batches} batches of ${size}; expected 0 to ${batches - 1}`,
      );
    }
    const start = i * size;
    const stop = Math.min(this.length, start + size);
    const pixels = this.imagesRaw.subarray(start * this.imageSize, stop * this.imageSize);
    const numbers = this.targetsRaw.length / this.length;
    return {
      images: this.#toTensor(pixels, stop - start),
      targets: tensor(this.targetsRaw.subarray(start * numbers, stop * numbers), [stop - start, ...this.target.shape]),
      labels: this.labelsRaw.slice(start, stop),
    };
  }

  /** The images at `indices` as a tensor `[n, ...shape]`, with their targets. */
  select(indices: ArrayLike<number>): Selection {
    const chosen = this.subset(indices);
    return { ...chosen.batch(0, chosen.length), indices: Int32Array.from(indices) };
  }

  /**
   * The first well classified image of each class, in class order, among the first `among` images (4,096 as in the notebook).
   * @throws TslipError INVALID_ARGUMENT where targets are no class labels, and one that names the classes of which no image is
   * well classified; with `skipMissing` they are left out, as long as there is one class.
   */
  async onePerClass(model: Classifier, options: { among?: number; skipMissing?: boolean } = {}): Promise<Selection> {
    const { among, skipMissing } = readOptions("onePerClass", ONE_PER_CLASS, options);
    if (typeof model?.classify !== "function") {
      throw new TslipError("INVALID_ARGUMENT", `onePerClass takes a Module, then options; given ${describe(model)}`);
    }
    if (this.target.dtype !== "i32") {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `onePerClass needs a class label for each image; the targets are f32 [${this.target.shape.join(", ")}] each`,
      );
    }
    const limit = Math.min(among, this.length);
    const found = await onCurrentDevice(() => this.#firstOfEach(model, limit));
    const missing = this.classNames.filter((_, label) => label !== this.ignoreIndex && !found.has(label));
    if (missing.length > 0 && !(skipMissing && found.size > 0)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `no well classified image among the first ${limit} for ${missing.length === 1 ? "class" : "classes"} ` +
          `${missing.join(", ")}; train the model longer or raise \`among\``,
      );
    }
    const labels = this.classNames.map((_, label) => label).filter((label) => found.has(label));
    return this.select(labels.map((label) => found.get(label) as number));
  }

  /** Of each class the first image, below `limit`, that is classified as such. */
  async #firstOfEach(model: Classifier, limit: number): Promise<Map<number, number>> {
    const found = new Map<number, number>();
    for (let start = 0; start < limit && found.size < this.classNames.length; start += CLASSIFY_BATCH) {
      const stop = Math.min(limit, start + CLASSIFY_BATCH);
      const pixels = this.imagesRaw.subarray(start * this.imageSize, stop * this.imageSize);
      const predicted = await model.classify(this.#toTensor(pixels, stop - start));
      for (let index = start; index < stop; index += 1) {
        const label = this.labelsRaw[index] as number;
        if (label === this.ignoreIndex) continue;
        if (predicted[index - start] === label && !found.has(label)) found.set(label, index);
      }
    }
    return found;
  }

  #toTensor(pixels: Uint8Array | Float32Array, count: number): Tensor {
    return tensor(pixels instanceof Float32Array ? pixels : lightOf(pixels), [count, ...this.shape]);
  }

  #checkIndices(indices: ArrayLike<number>): void {
    if (!Array.isArray(indices) && !ArrayBuffer.isView(indices)) {
      throw new TslipError("INVALID_ARGUMENT", `indices must be an array of places; given ${describe(indices)}`);
    }
    if (indices.length === 0) throw new TslipError("EMPTY_DATASET", "a subset of no images; give at least one index");
    for (let row = 0; row < indices.length; row += 1) {
      const index = indices[row];
      if (index === undefined || !Number.isInteger(index) || index < 0 || index >= this.length) {
        throw new TslipError(
          "INVALID_ARGUMENT",
          `indices[${row}] is ${describe(index)}; expected an integer from 0 to ${this.length - 1}`,
        );
      }
    }
  }
}

/**
 * A data set from arrays, which are copied.
 * @param images row-major pixels; u8 is divided by 255, f32 is used as is and must be finite.
 * @param shape `[n, ...shape of one image]`, for instance `[n, 1, 28, 28]`.
 * @param targets n class labels, or numbers `[n, ...]`; see {@link Targets}.
 * @throws TslipError as the constructor of Dataset.
 */
export function fromArrays(
  images: ImageData,
  shape: readonly number[],
  targets: Targets,
  options: DatasetOptions = {},
): Dataset {
  return new Dataset(pixelsOf(images).slice(), shape, targets, options);
}

/** Light of 0 to 1 of a pixel that is a byte. */
const LIGHT = Float32Array.from({ length: 256 }, (_, value) => value / 255);

/** u8 pixels divided by 255. */
export function lightOf(pixels: Uint8Array): Float32Array {
  const light = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) light[i] = LIGHT[pixels[i] as number] as number;
  return light;
}

/** The rows of `size` elements at `indices`. */
function rowsOf<A extends Uint8Array | Float32Array | Int32Array>(
  from: A,
  size: number,
  indices: ArrayLike<number>,
): A {
  const Rows = from.constructor as new (length: number) => A;
  const rows = new Rows(indices.length * size);
  for (let row = 0; row < indices.length; row += 1) {
    const index = indices[row] as number;
    rows.set(from.subarray(index * size, (index + 1) * size), row * size);
  }
  return rows;
}

function bytesOf(array: Uint8Array | Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
