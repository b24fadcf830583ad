// Data sets: labelled images in memory, from arrays, from IDX files, by name.
export type { ImageData, Labels } from "./checks.js";
export {
  type Batch,
  type Classifier,
  Dataset,
  type DatasetOptions,
  fromArrays,
  type Selection,
} from "./dataset.js";
export { type DownloadableOptions, datasets, type Source, type TrainAndTest } from "./datasets.js";
export { fromIdx } from "./from-idx.js";
export { type IdxArray, type IdxSource, type IdxType, readIdx } from "./idx.js";
