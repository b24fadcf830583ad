// Optimizers and learning-rate schedules.
export { Adam, type AdamOptions, AdamW } from "./adam.js";
export { Optimizer } from "./optimizer.js";
export { CosineAnnealingLR, OneCycleLR, type OneCycleOptions, type Schedule, StepLR } from "./schedules.js";
export { SGD, type SGDOptions } from "./sgd.js";
