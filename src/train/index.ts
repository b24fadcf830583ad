// Training and evaluation.
export { type EvaluateOptions, evaluate } from "./evaluate.js";
export { type Callback, type FitOptions, fit, type TrainingControl } from "./fit.js";
export type { EpochRecord, History, Metrics } from "./history.js";
export { type LoopOptions, loop } from "./loop.js";
export { type TrainingParts, TrainingPosition, TrainingState } from "./state.js";
