// A labelled set of images in memory, checked when it is made, and its lazily made twin in the engine.
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { engine } from "../native.js";
import { type Tensor, tensor } from "../tensor/index.js";
import { checkClassNames, checkImages, checkLabels, checkPixelArray, type ImageData, type Labels } from "./checks.js";

/** What `onePerClass` asks of a model: the class of each image of a batch `[n, ...shape]`. */
export interface Classifier {
  classify(images: Tensor): Promise<ArrayLike<number>>;
}

export interface DatasetOptions {
  /** Names of the classes, in the order of the labels. Default: "0", "1", … up to the largest label. */
  classNames?: readonly string[];
}

/** One batch: `images` f32 `[b, ...shape]` (u8 pixels divided by 255), `labels` `[b]`. */
export interface Batch {
  images: Tensor;
  labels: Int32Array;
}

/** Images picked out of a data set; `indices[i]` is the place of image i in it. */
export interface Selection extends Batch {
  indices: Int32Array;
}

/** Images classified by one call of `onePerClass`: small enough to stop early, large enough to use every core. */
const CLASSIFY_BATCH = 512;
const DEFAULT_BATCH = 128;
const DEFAULT_AMONG = 4096;

const freeInEngine = new FinalizationRegistry<number>((id) => engine().freeDataset(id));

/**
 * Labelled images. Made by `fromArrays`, `fromIdx` or `datasets`, never changed afterwards.
 * `imagesRaw` is row-major `[length, ...shape]`, u8 (0 to 255, divided by 255 wherever it becomes a tensor) or f32 (used as is).
 */
export class Dataset {
  /** Number of images. */
  readonly length: number;
  /** Shape of one image, without the batch axis. */
  readonly shape: readonly number[];
  readonly classNames: readonly string[];
  readonly imageDtype: "u8" | "f32";
  /** All pixels, row-major `[length, ...shape]`. Not to be written to. */
  readonly imagesRaw: Uint8Array | Float32Array;
  /** Labels `[length]`, each in `[0, classNames.length)`. Not to be written to. */
  readonly labelsRaw: Int32Array;
  #engineId: number | undefined;

  /**
   * Takes the arrays over without copying them; `fromArrays` copies.
   * @param shape `[n, ...shape of one image]`
   * @throws TslipError EMPTY_DATASET, SHAPE_MISMATCH, LABEL_OUT_OF_RANGE, NON_FINITE or INVALID_ARGUMENT
   */
  constructor(images: ImageData, shape: readonly number[], labels: Labels, options: DatasetOptions = {}) {
    const checkedLabels = checkLabels(labels, options.classNames?.length);
    checkImages(images, shape, checkedLabels.length);
    this.classNames = Object.freeze(checkClassNames(options.classNames, checkedLabels));
    this.length = checkedLabels.length;
    this.shape = Object.freeze(shape.slice(1));
    this.labelsRaw = checkedLabels;
    this.imagesRaw =
      images instanceof Float32Array ? images : new Uint8Array(images.buffer, images.byteOffset, images.length);
    this.imageDtype = images instanceof Float32Array ? "f32" : "u8";
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
      const pixels = bytesOf(this.imagesRaw);
      const id = engine().createDataset(pixels, this.imageDtype, [...this.shape], bytesOf(this.labelsRaw));
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
    const size = this.imageSize;
    const pixels = indices.length * size;
    const images = this.imagesRaw instanceof Float32Array ? new Float32Array(pixels) : new Uint8Array(pixels);
    const labels = new Int32Array(indices.length);
    for (let row = 0; row < indices.length; row += 1) {
      const index = indices[row] as number;
      images.set(this.imagesRaw.subarray(index * size, (index + 1) * size), row * size);
      labels[row] = this.labelsRaw[index] as number;
    }
    return new Dataset(images, [indices.length, ...this.shape], labels, { classNames: this.classNames });
  }

  /** Batch `i` of the data set in order; the last one may be shorter. `size` defaults to 128. */
  batch(i: number, size: number = DEFAULT_BATCH): Batch {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new TslipError("INVALID_ARGUMENT", `batch size ${size}; expected a positive integer`);
    }
    const batches = Math.ceil(this.length / size);
    if (!Number.isSafeInteger(i) || i < 0 || i >= batches) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `batch ${i} of a data set that has ${batches} batches of ${size}; expected 0 to ${batches - 1}`,
      );
    }
    const start = i * size;
    const stop = Math.min(this.length, start + size);
    const pixels = this.imagesRaw.subarray(start * this.imageSize, stop * this.imageSize);
    return { images: this.#toTensor(pixels, stop - start), labels: this.labelsRaw.slice(start, stop) };
  }

  /** The images at `indices` as a tensor `[n, ...shape]`, with their labels. */
  select(indices: ArrayLike<number>): Selection {
    const { imagesRaw, labelsRaw, length } = this.subset(indices);
    return { images: this.#toTensor(imagesRaw, length), labels: labelsRaw, indices: Int32Array.from(indices) };
  }

  /**
   * The first well classified image of each class, in class order, among the first `among` images (4,096 as in the notebook).
   * @throws TslipError INVALID_ARGUMENT that names the classes of which no image is well classified; with `skipMissing` they
   * are left out, as long as there is one class.
   */
  async onePerClass(
    model: Classifier,
    { among = DEFAULT_AMONG, skipMissing = false }: { among?: number; skipMissing?: boolean } = {},
  ): Promise<Selection> {
    if (!Number.isSafeInteger(among) || among < 1) {
      throw new TslipError("INVALID_ARGUMENT", `among ${among}; expected a positive number of images`);
    }
    const limit = Math.min(among, this.length);
    const found = await onCurrentDevice(() => this.#firstOfEach(model, limit));
    const missing = this.classNames.filter((_, label) => !found.has(label));
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
        if (predicted[index - start] === label && !found.has(label)) found.set(label, index);
      }
    }
    return found;
  }

  #toTensor(pixels: Uint8Array | Float32Array, count: number): Tensor {
    const scaled = pixels instanceof Float32Array ? pixels.slice() : Float32Array.from(pixels, (value) => value / 255);
    return tensor(scaled, [count, ...this.shape]);
  }

  #checkIndices(indices: ArrayLike<number>): void {
    if (indices.length === 0) throw new TslipError("EMPTY_DATASET", "a subset of no images; give at least one index");
    for (let row = 0; row < indices.length; row += 1) {
      const index = indices[row];
      if (index === undefined || !Number.isInteger(index) || index < 0 || index >= this.length) {
        throw new TslipError(
          "INVALID_ARGUMENT",
          `indices[${row}] is ${index}; expected an integer from 0 to ${this.length - 1}`,
        );
      }
    }
  }
}

/**
 * A data set from arrays, which are copied.
 * @param images row-major pixels; u8 is divided by 255, f32 is used as is and must be finite.
 * @param shape `[n, ...shape of one image]`, for instance `[n, 1, 28, 28]`.
 * @param labels n integers from 0.
 * @throws TslipError as the constructor of Dataset.
 */
export function fromArrays(
  images: ImageData,
  shape: readonly number[],
  labels: Labels,
  options: DatasetOptions = {},
): Dataset {
  checkPixelArray(images);
  return new Dataset(images.slice(), shape, labels, options);
}

function bytesOf(array: Uint8Array | Float32Array | Int32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
