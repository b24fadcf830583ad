// Data sets: labelled images in memory, from arrays, from IDX files, by name.
export { type Labels, type ImageData } from "./checks.js";
export {
  Dataset,
  fromArrays,
  type Batch,
  type Classifier,
  type DatasetOptions,
  type Selection,
} from "./dataset.js";
export { datasets, type DownloadableOptions, type Source, type TrainAndTest } from "./datasets.js";
export { fromIdx } from "./from-idx.js";
export { readIdx, type IdxArray, type IdxSource, type IdxType } from "./idx.js";
