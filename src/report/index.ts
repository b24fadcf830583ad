// What a run leaves for people: figures and progress.
export { formatRadius } from "./compose.js";
export { type AdversarialFigureOptions, adversarialFigure } from "./figure.js";
export { createProgress, type Progress, type ProgressOptions } from "./progress.js";
export type { AdversarialFigure } from "./save.js";
