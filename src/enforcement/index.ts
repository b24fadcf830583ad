// Enforcement of a Lipschitz constant from outside of the layers; inside of them it is a parametrization.

export type {
  ClipProjectionOptions,
  FrobeniusProjectionOptions,
  Projection,
  SpectralProjectionOptions,
} from "./projections.js";
export * as projections from "./projections.js";
export type { Regularizer, RegularizerOptions } from "./regularizers.js";
export * as regularizers from "./regularizers.js";
