// Training and evaluation.

export type { Mixture } from "../losses/targets.js";
export {
  type Augmentation,
  type AugmentationContext,
  type AugmentationSamples,
  cutout,
  mixup,
  randomCrop,
  randomFlip,
  randomShift,
  type SpatialAxes,
} from "./augment.js";
export type { Callback, StepFigures, TrainingControl } from "./callback.js";
export * from "./callbacks/index.js";
export { type EvaluateOptions, evaluate } from "./evaluate.js";
export { fit } from "./fit.js";
export type { EpochRecord, History, Metrics } from "./history.js";
export { type LoopOptions, loop } from "./loop.js";
export type { FitOptions } from "./options.js";
export { type TrainingParts, TrainingPosition, TrainingState } from "./state.js";
