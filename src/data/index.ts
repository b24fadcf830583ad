// Data sets: images with their targets in memory, from arrays, from IDX files, by name.
export type { ImageData } from "./checks.js";
export {
  type Batch,
  type Classifier,
  Dataset,
  type DatasetOptions,
  fromArrays,
  type Selection,
} from "./dataset.js";
export type { IdxArray, IdxType } from "./idx.js";
export { type DownloadableOptions, datasets, type Source, type TrainAndTest } from "./node/datasets.js";
export { fromIdx, type IdxSource, readIdx } from "./node/read-idx.js";
export type { Label, Labels, NumericTargets, TargetSpec, Targets } from "./targets.js";
