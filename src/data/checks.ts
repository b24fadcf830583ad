// What makes images, labels and class names a data set; every refusal names the offending element.
import { TslipError } from "../errors.js";

/** Labels as a user may give them: integers from 0, in any array. */
export type Labels = readonly number[] | Uint8Array | Int8Array | Uint16Array | Int16Array | Int32Array | Uint32Array;

/** A name for every class is kept, so a stray huge label must not become a huge list. */
const MAX_CLASSES = 1 << 20;

/** Labels as a fresh Int32Array. `classes` is the number of classes where it is known. */
export function checkLabels(labels: Labels, classes?: number): Int32Array {
  if (!Array.isArray(labels) && !(ArrayBuffer.isView(labels) && !(labels instanceof DataView))) {
    throw new TslipError("INVALID_ARGUMENT", "labels are not an array of integers");
  }
  if (labels.length === 0) throw new TslipError("EMPTY_DATASET", "a data set without images; give at least one");
  const bound = classes ?? MAX_CLASSES;
  const checked = new Int32Array(labels.length);
  for (let i = 0; i < labels.length; i += 1) {
    const label = labels[i];
    if (typeof label !== "number" || !Number.isInteger(label)) {
      throw new TslipError(
        "LABEL_OUT_OF_RANGE",
        `labels[${i}] is ${String(label)}; expected an integer class index from 0`,
      );
    }
    if (label < 0 || label >= bound) {
      throw new TslipError(
        "LABEL_OUT_OF_RANGE",
        `labels[${i}] is ${label}; expected a class index from 0 to ${bound - 1}`,
      );
    }
    checked[i] = label;
  }
  return checked;
}

/** Pixels as a user may give them: u8 (0 to 255) or f32. */
export type ImageData = Uint8Array | Uint8ClampedArray | Float32Array;

export function checkPixelArray(images: unknown): asserts images is ImageData {
  if (!(images instanceof Uint8Array || images instanceof Uint8ClampedArray || images instanceof Float32Array)) {
    throw new TslipError(
      "DTYPE_MISMATCH",
      "images are neither Uint8Array nor Float32Array; convert the pixels to either",
    );
  }
}

/** Checks pixels against `shape` (`[n, ...]`) and the number of labels. */
export function checkImages(images: unknown, shape: readonly number[], labels: number): void {
  checkPixelArray(images);
  if (shape.length < 2 || !shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0)) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `shape [${shape.join(", ")}]; expected [n, ...shape of one image], for instance [n, 1, 28, 28]`,
      { shapes: [[...shape]] },
    );
  }
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  if (size === 0) throw new TslipError("EMPTY_DATASET", `a data set of shape [${shape.join(", ")}] has no pixels`);
  if (images.length !== size) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `${images.length} pixels were given, shape [${shape.join(", ")}] needs ${size}`,
      { shapes: [[images.length], [...shape]] },
    );
  }
  if (labels !== shape[0]) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `${shape[0]} images and ${labels} labels; expected a label for every image`,
      {
        shapes: [[...shape], [labels]],
      },
    );
  }
  if (images instanceof Float32Array) checkFinite(images, shape);
}

function checkFinite(images: Float32Array, shape: readonly number[]): void {
  for (let i = 0; i < images.length; i += 1) {
    const pixel = images[i] as number;
    if (!Number.isFinite(pixel)) {
      const image = Math.floor(i / (images.length / (shape[0] as number)));
      throw new TslipError(
        "NON_FINITE",
        `image ${image} has a pixel that is ${pixel} (element ${i}); pixels must be finite`,
      );
    }
  }
}

/** The class names, or "0", "1", … up to the largest label. */
export function checkClassNames(classNames: readonly string[] | undefined, labels: Int32Array): string[] {
  if (classNames === undefined) {
    const classes = labels.reduce((largest, label) => Math.max(largest, label), 0) + 1;
    return Array.from({ length: classes }, (_, label) => String(label));
  }
  classNames.forEach((name, label) => {
    if (typeof name !== "string") {
      throw new TslipError("INVALID_ARGUMENT", `classNames[${label}] is ${String(name)}; expected a string`);
    }
  });
  return [...classNames];
}
