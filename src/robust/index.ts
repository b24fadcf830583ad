// How robust a model is: brackets of certificates and attacks, accuracies within radii, answers that are certain.
export { type AuditOptions, audit, type Bracket, ViolationError } from "./bracket.js";
export { ABSTAIN, type GuardOptions, guard } from "./guard.js";
export {
  type RobustAccuracy,
  type RobustAccuracyOptions,
  type RobustShares,
  robustAccuracy,
} from "./robust-accuracy.js";
