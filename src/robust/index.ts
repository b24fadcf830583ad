// How robust a model is: brackets of certificates and attacks, accuracies within radii, answers that are certain, and what bounds of outputs
// give beyond classes.
export { type CertifiedAuroc, type CertifiedAurocOptions, certifiedAuroc } from "./auroc.js";
export type { PassOptions, Samples } from "./batches.js";
export { type AuditOptions, audit, type Bracket, type BracketJson, ViolationError } from "./bracket.js";
export { Certifier } from "./certifier.js";
export {
  ConformalClassifier,
  type ConformalEvaluation,
  type ConformalJson,
  type ConformalOptions,
  type ConformalScore,
  type ConformalSetsOptions,
} from "./conformal.js";
export { ABSTAIN, type GuardOptions, guard } from "./guard.js";
export {
  type RobustAccuracy,
  type RobustAccuracyOptions,
  type RobustProgress,
  type RobustProgressJson,
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
export { type WassersteinBound, type WassersteinOptions, wassersteinLowerBound } from "./wasserstein.js";
