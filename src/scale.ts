// The scale of float images, which are taken as they are: bytes are divided by 255.
import { warn } from "./node/index.js";
import type { DType } from "./tensor/dtype.js";

/** Samples of fewer values than an image of 8 by 8 are rows of a table, of which whole numbers say nothing. */
const FEWEST_PIXELS = 64;
/** Whole numbers up to here may be counts or levels. */
const HALF_OF_BYTES = 127;

let said = false;
let saidOfBounds = false;

/**
 * Warns, once in a process, where float images look like bytes that nobody has divided by 255: whole numbers from 0 to 255, some
 * of them in the upper half. `what` takes them.
 */
export function remarkOnScale(what: string, pixels: Float32Array, samples: number): void {
  if (said || !lookLikeBytes(pixels, samples)) return;
  said = true;
  warn(
    `${what} was given float images of whole numbers from 0 to 255, which are taken as they are: margins, radii and epsilons are in ` +
      "those units; give a Uint8Array, whose pixels are divided by 255, or divide them",
    "IMAGE_SCALE",
  );
}

/** Warns, once in a process, where pixels of u8 images, which are divided by 255, are allowed what no byte is. */
export function remarkOnBounds(dtype: DType, bounds: readonly [number, number]): void {
  const [low, high] = bounds;
  if (saidOfBounds || dtype !== "u8" || (low >= 0 && high <= 1)) return;
  saidOfBounds = true;
  warn(
    `bounds [${low}, ${high}] allow what is no image: u8 pixels are divided by 255, so that theirs are within [0, 1], as by default; bounds, epsilons ` +
      "and distances are in those units",
    "IMAGE_SCALE",
  );
}

/** Ends at the first pixel that cannot have been a byte, of images in [0, 1] one of the first. */
function lookLikeBytes(pixels: Float32Array, samples: number): boolean {
  if (pixels.length < FEWEST_PIXELS * samples) return false;
  let upper = false;
  for (let i = 0; i < pixels.length; i += 1) {
    const pixel = pixels[i] as number;
    if (!(pixel >= 0 && pixel <= 255 && Number.isInteger(pixel))) return false;
    if (pixel > HALF_OF_BYTES) upper = true;
  }
  return upper;
}
