// tslip: Lipschitz neural networks with certified robustness. Everything a user imports.

import "./node/requirement.js";

export * from "./attacks/index.js";
export { type EvaluateLipschitzOptions, evaluateLipschitz } from "./certify/evaluate-lipschitz.js";
export {
  type SaveCertificatesOptions,
  saveCertificates,
  type Verification,
  type VerificationOutcome,
  type VerifyCertificatesOptions,
  verifyCertificates,
} from "./certify/file.js";
export { type Certificate, type CertificateKind, type CertifyOptions, certify } from "./certify/index.js";
export {
  type BinaryCertificate,
  certifyBinary,
  certifyLabels,
  type LabelsCertificate,
  type OutputBoundsOptions,
  type OutputInterval,
  outputBounds,
} from "./certify/outputs.js";
export * from "./data/index.js";
export {
  type ChosenDevice,
  type Device,
  type DeviceInfo,
  type DeviceLimits,
  devices,
  onDevice,
  type PowerPreference,
  setDefaultDevice,
} from "./device.js";
export * from "./enforcement/index.js";
export { type ErrorCode, TslipError } from "./errors.js";
export * from "./export/index.js";
export * as functional from "./functional.js";
export * from "./losses/index.js";
export { WeighableLoss } from "./losses/loss.js";
export * from "./metrics/index.js";
export * from "./nn/index.js";
export { versions } from "./node/versions.js";
export * from "./optim/index.js";
export * from "./report/index.js";
export * from "./robust/index.js";
export * from "./tensor/index.js";
export * from "./train/index.js";
