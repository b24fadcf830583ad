// A parametrization: from the parameter of a layer to the weight that it computes with.
import type { Shape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { AffineMap } from "../affine/map.js";

/** How the weight of an affine layer is made from its parameter. */
export interface Parametrization {
  /** Whether the effective weight keeps the layer's constant whatever the parameter holds. */
  readonly constrained: boolean;
  /** Whether `kCoefLip` scales the effective weight, also where it is the constant of each result alone. By default where it is constrained. */
  readonly scaled?: boolean;
  /** Whether an effective weight taken as the parameter is its own effective weight, up to rounding. By default not. */
  readonly idempotent?: boolean;
  /** The key of the parameter in state dictionaries. */
  readonly key: string;
  /** Shape of the parameter, where that is not the shape of the weight. */
  parameterShape?(map: AffineMap): Shape;
  /** What the parameter starts from. */
  initialWeight(map: AffineMap): Tensor;
  /** What a bias starts from; asked for after the parameter. */
  initialBias(map: AffineMap): Tensor;
  /** What further parameters start from, by the fields that hold them. */
  initialFactors?(map: AffineMap): Readonly<Record<string, Tensor>>;
  /** The weight that is computed with: a pure function of the parameter and the further ones. */
  effective(parameter: Tensor, map: AffineMap, kCoefLip: number, factors: Readonly<Record<string, Tensor>>): Tensor;
  /** Tensors that torchlip files beside the parameter; written for exchange, not read. */
  exchanged(parameter: Tensor): [string, Tensor][];
}

/** A weight as a matrix `[first axis, all others]`. */
export function asMatrix(weight: Tensor): Tensor {
  return weight.reshape([weight.shape[0] ?? 1, -1]);
}
