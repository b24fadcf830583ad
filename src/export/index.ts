// Models out of and into files.
export { fromJSON } from "./architecture.js";
export { loadModel, loadSafetensors, saveModel, saveSafetensors } from "./files.js";
export { vanillaModel } from "./vanilla.js";
