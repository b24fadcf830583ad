// The weights on which a constraint is enforced from outside: those of ordinary layers, as matrices of which 1 is the bound.
import { TslipError } from "../errors.js";
import { AffineLayer } from "../nn/affine-layer.js";
import type { Module } from "../nn/module.js";
import { asMatrix } from "../nn/parametrizations/parametrization.js";
import { scalar } from "../tensor/index.js";
import type { Tensor } from "../tensor/tensor.js";

/** The layers of a model that compute with their parameter as it is. Throws `INVALID_ARGUMENT` where there is none. */
export function ordinaryLayers(owner: string, model: Module): AffineLayer[] {
  const layers = model
    .modules()
    .filter(
      (module): module is AffineLayer => module instanceof AffineLayer && module.effectiveWeight() === module.weight,
    );
  if (layers.length > 0) return layers;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} is for layers that compute with their weight as it is, such as Linear and Conv2d, and this ${model.constructor.name} has ` +
      "none: those of spectral and Frobenius layers are normalized by themselves; make the model of ordinary layers",
  );
}

/** Of layers that share a weight the one with the smallest factor: where it keeps a constant, all of them do. The others as they are. */
export function strictestLayers(layers: readonly AffineLayer[]): Map<Tensor, AffineLayer> {
  const strictest = new Map<Tensor, AffineLayer>();
  for (const layer of layers) {
    const other = strictest.get(layer.weight);
    if (other === undefined || layer.map.factor < other.map.factor) strictest.set(layer.weight, layer);
  }
  return strictest;
}

/** By what a layer's weight as a matrix is multiplied where its norm 1 makes the layer `kCoefLip`-Lipschitz. */
export function scaleOf(layer: AffineLayer, kCoefLip: number): number {
  return kCoefLip * layer.map.factor;
}

/** Far above what counts, and so far below where float32 ends that norms do not overflow either. */
const LARGEST_ENTRY = 2 ** 100;

/**
 * The weight of a layer as a matrix whose norm 1 makes the layer `kCoefLip`-Lipschitz; scaled down where entries would pass
 * {@link LARGEST_ENTRY}.
 */
export function unitMatrix(layer: AffineLayer, kCoefLip: number): Tensor {
  const matrix = asMatrix(layer.weight);
  const most = scalar(LARGEST_ENTRY).div(matrix.stopGradient().abs().max());
  return matrix.mul(most.minimum(Math.min(1 / scaleOf(layer, kCoefLip), LARGEST_ENTRY)));
}

/** The Gram matrix of the small side. */
export function gramOf(w: Tensor): Tensor {
  return isWide(w) ? w.matmul(w, { transposeB: true }) : w.matmul(w, { transposeA: true });
}

/** Whether a matrix has no more rows than columns. */
export function isWide({ shape: [rows = 0, columns = 0] }: Tensor): boolean {
  return rows <= columns;
}
