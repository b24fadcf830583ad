// A data set from a pair of IDX arrays.
import { TslipError } from "../errors.js";
import { Dataset, type DatasetOptions } from "./dataset.js";
import type { IdxArray } from "./idx.js";

/** An IDX array and what messages call it. */
export type NamedIdx = IdxArray & { name: string };

/** A data set that takes the arrays over. */
export function datasetFromIdx(images: NamedIdx, labels: NamedIdx, options: DatasetOptions): Dataset {
  const { data } = images;
  if (!(data instanceof Uint8Array || data instanceof Float32Array || data instanceof Float64Array)) {
    throw new TslipError(
      "INVALID_FILE",
      `${images.name}, byte 2: elements are ${images.type}; images are u8, f32 or f64`,
    );
  }
  const [count, ...rest] = images.shape as [number, ...number[]];
  if (rest.length !== 2 && rest.length !== 3) {
    throw new TslipError(
      "INVALID_FILE",
      `${images.name}, byte 3: rank ${images.shape.length} (${images.shape.join(" x ")}); images have rank 3 ` +
        "(n, height, width) or 4 (n, channels, height, width)",
    );
  }
  if (labels.data instanceof Float32Array || labels.data instanceof Float64Array) {
    throw new TslipError("INVALID_FILE", `${labels.name}, byte 2: elements are ${labels.type}; labels are integers`);
  }
  if (labels.shape.length !== 1) {
    throw new TslipError(
      "INVALID_FILE",
      `${labels.name}, byte 3: rank ${labels.shape.length} (${labels.shape.join(" x ")}); labels have rank 1`,
    );
  }
  if (labels.shape[0] !== count) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `${images.name}, byte 4: ${count} images; ${labels.name}, byte 4: ${labels.shape[0]} labels; ` +
        "expected a label for every image",
      { shapes: [images.shape, labels.shape] },
    );
  }
  const shape = rest.length === 2 ? [count, 1, ...rest] : [count, ...rest];
  return new Dataset(data, shape, labels.data, options);
}
