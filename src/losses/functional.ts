// Losses as functions of outputs, targets, options and weights of samples.
export {
  categoricalHinge,
  lseHkrMulticlass,
  lseKrMulticlass,
  softHkrMulticlass,
} from "./against-others.js";
export { certificateRegularization, emma, logitAnnealing, offsetCrossEntropy } from "./certified.js";
export { crossEntropy, meanSquaredError } from "./cross-entropy.js";
export {
  hingeMargin,
  hingeMulticlass,
  hkr,
  hkrMulticlass,
  kr,
  krMulticlass,
  negKr,
  processLabelsForMultiGpu,
} from "./hkr.js";
export { tauBceWithLogits, tauCrossEntropy } from "./temperature.js";
