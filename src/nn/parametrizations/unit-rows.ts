// Weights with rows of length 1 (Singla et al. 2022).
import { frobeniusNormalization } from "../normalization.js";
import { withoutScale } from "./almost-orthogonal.js";
import { ordinary } from "./ordinary.js";
import type { Parametrization } from "./parametrization.js";

/** Each row divided by its norm, so that each result is 1-Lipschitz; the whole is as far as its norm is proved to be. */
export const unitRows: Parametrization = {
  ...ordinary,
  effective: (parameter) => frobeniusNormalization(withoutScale(parameter), { disjointNeurons: true }),
};
