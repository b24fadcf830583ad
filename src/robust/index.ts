// How robust a model is: brackets of certificates and attacks, accuracies within radii, answers that are certain.
export { type AuditOptions, audit, type Bracket, ViolationError } from "./bracket.js";
export { Certifier } from "./certifier.js";
export { ABSTAIN, type GuardOptions, guard } from "./guard.js";
export {
  type RobustAccuracy,
  type RobustAccuracyOptions,
  type RobustShares,
  robustAccuracy,
} from "./robust-accuracy.js";
export {
  type StandardSuiteOptions,
  type StandardSuiteResult,
  type SuiteWarning,
  type SuiteWarningKind,
  standardAttacks,
  standardSuite,
} from "./standard-suite.js";
