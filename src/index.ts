// tslip: Lipschitz neural networks with certified robustness. Everything a user imports.

export * from "./data/index.js";
export { type ErrorCode, TslipError } from "./errors.js";
export * from "./export/index.js";
export * as functional from "./functional.js";
export * from "./nn/index.js";
export * from "./tensor/index.js";
