// What makes an array the images of a data set; every refusal names the offending element.
import { TslipError } from "../errors.js";
import { remarkOnScale } from "../scale.js";

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

/** Checks pixels against `shape` (`[n, ...]`) and the number of samples that have a target. */
export function checkImages(images: unknown, shape: readonly number[], samples: number): void {
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
