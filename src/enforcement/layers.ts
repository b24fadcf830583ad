// The weights on which a constraint is enforced from outside: those of ordinary layers, as matrices of which 1 is the bound.
import { TslipError } from "../errors.js";
import { AffineLayer } from "../nn/affine-layer.js";
import type { Module } from "../nn/module.js";
import { asMatrix } from "../nn/parametrizations/parametrization.js";
import type { Tensor } from "../tensor/tensor.js";

/** The layers of a model with a weight that nothing constrains. Throws `INVALID_ARGUMENT` where there is none. */
export function ordinaryLayers(owner: string, model: Module): AffineLayer[] {
  const layers = model
    .modules()
    .filter((module): module is AffineLayer => module instanceof AffineLayer && !module.lipschitzByConstruction);
  if (layers.length > 0) return layers;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} is for layers whose weight nothing constrains, such as Linear and Conv2d, and this ${model.constructor.name} has ` +
      "none: spectral and Frobenius layers keep their constant by themselves; make the model of ordinary layers",
  );
}

/** By what a layer's weight as a matrix is multiplied where its norm 1 makes the layer `kCoefLip`-Lipschitz. */
export function scaleOf(layer: AffineLayer, kCoefLip: number): number {
  return kCoefLip * layer.map.factor;
}

/** The weight of a layer as a matrix whose norm 1 makes the layer `kCoefLip`-Lipschitz. */
export function unitMatrix(layer: AffineLayer, kCoefLip: number): Tensor {
  const scale = scaleOf(layer, kCoefLip);
  const matrix = asMatrix(layer.weight);
  return scale === 1 ? matrix : matrix.mul(1 / scale);
}
