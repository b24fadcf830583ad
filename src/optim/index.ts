// Optimizers and learning-rate schedules.
export { Adam, type AdamOptions, AdamW } from "./adam.js";
export { clipGradNorm, clipGradValue, type GradientClip, gradNorm } from "./clip.js";
export type { ParameterGroup } from "./groups.js";
export { Lookahead, type LookaheadOptions } from "./lookahead.js";
export { NAdam, type NAdamOptions } from "./nadam.js";
export { type CommonOptions, Optimizer } from "./optimizer.js";
export { CosineAnnealingLR, OneCycleLR, type OneCycleOptions, type Schedule, StepLR } from "./schedules.js";
export { SGD, type SGDOptions } from "./sgd.js";
