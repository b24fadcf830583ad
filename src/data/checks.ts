// What makes an array the images of a data set; every refusal names the offending element.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { remarkOnScale } from "../scale.js";
import { showShape } from "../tensor/shape.js";

/** Pixels as a user may give them: u8 (0 to 255) or f32; a `Float64Array` is rounded to f32. */
export type ImageData = Uint8Array | Uint8ClampedArray | Float32Array | Float64Array;

/** Pixels as a data set keeps them: in the caller's memory, but for those that are rounded to f32. */
export function pixelsOf(images: unknown): Uint8Array | Float32Array {
  if (images instanceof Float32Array) return images;
  if (images instanceof Uint8Array || images instanceof Uint8ClampedArray) {
    return new Uint8Array(images.buffer, images.byteOffset, images.length);
  }
  if (images instanceof Float64Array) return Float32Array.from(images);
  throw new TslipError(
    "DTYPE_MISMATCH",
    `images must be a Uint8Array, Uint8ClampedArray, Float32Array or Float64Array of all pixels; given ${describe(images)}; ` +
      `${ORDER}`,
  );
}

const ORDER = "the order is images, shape, targets";

/** Checks pixels against `shape` (`[n, ...]`) and the number of samples that have a target. */
export function checkImages(images: Uint8Array | Float32Array, shape: readonly number[], samples: number): void {
  if (!Array.isArray(shape)) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `shape must be an array [n, ...shape of one image], for instance [n, 1, 28, 28]; given ${describe(shape)}; ${ORDER}`,
    );
  }
  if (shape.length < 2 || !shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0)) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `shape must be [n, ...shape of one image], for instance [n, 1, 28, 28]; given ${describe(shape)}; ${ORDER}`,
      { shapes: [[...shape]] },
    );
  }
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  if (size === 0)
    throw new TslipError("EMPTY_DATASET", `a data set of shape ${showShape(shape)} has no pixels; ${ORDER}`);
  if (images.length !== size) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `${images.length} pixels were given, shape ${showShape(shape)} needs ${size}; ${ORDER}`,
      { shapes: [[images.length], [...shape]] },
    );
  }
  if (samples !== shape[0]) {
    throw new TslipError("SHAPE_MISMATCH", `${shape[0]} images and ${samples} targets; expected one for every image`, {
      shapes: [[...shape], [samples]],
    });
  }
  if (images instanceof Float32Array) {
    checkFinite(images, shape);
    remarkOnScale("a data set", images, samples);
  }
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
