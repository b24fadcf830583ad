// What a run leaves for people: figures and progress.

export { createProgress, type Progress, type ProgressOptions, type TextStream } from "../node/progress.js";
export { formatRadius } from "./compose.js";
export { type AdversarialFigureOptions, adversarialFigure } from "./figure.js";
export type { AdversarialFigure } from "./node/save.js";
