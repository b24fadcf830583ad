// Frobenius parametrization: a weight matrix of Frobenius norm 1, or with rows of norm 1.
import { coefficient } from "../../options.js";
import { orthogonal, zeros } from "../../tensor/create.js";
import { sizeOf } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { AffineMap } from "../affine/map.js";
import { INITIALIZER, type Initializer } from "../initializer.js";
import { roundDownToFloat32 } from "../lipschitz.js";
import { frobeniusNormalization } from "../normalization.js";
import { asMatrix, type Parametrization } from "./parametrization.js";

/** What layers with a Frobenius norm have beyond ordinary ones. */
export interface FrobeniusOptions {
  bias?: boolean;
  /** Lipschitz constant; left out, the container that holds the layer sets it (1 elsewhere). */
  kCoefLip?: number | undefined;
  initializer?: Initializer | undefined;
}

export const FROBENIUS = { kCoefLip: coefficient, ...INITIALIZER };

/**
 * Divided by the Frobenius norm, which no singular value passes, then scaled by the map's factor and the constant. With `rowByRow` each
 * row is divided by its own norm: the constant is that of each result alone, and rows together may reach sqrt(rows) times it.
 */
export class Frobenius implements Parametrization {
  readonly constrained: boolean;
  readonly scaled = true;
  readonly idempotent = true;
  readonly key = "parametrizations.weight.original";

  constructor({ rowByRow }: { readonly rowByRow: boolean }) {
    this.constrained = !rowByRow;
  }

  initialWeight({ weightShape: [rows = 1, ...rest] }: AffineMap): Tensor {
    return orthogonal(rows, sizeOf(rest)).reshape([rows, ...rest]);
  }

  initialBias({ outputs }: AffineMap): Tensor {
    return zeros([outputs]);
  }

  effective(parameter: Tensor, map: AffineMap, kCoefLip: number): Tensor {
    const scale = roundDownToFloat32(map.factor * kCoefLip);
    const unit = frobeniusNormalization(asMatrix(parameter), { disjointNeurons: !this.constrained });
    return (scale === 1 ? unit : unit.mul(scale)).reshape(parameter.shape);
  }

  exchanged(): [string, Tensor][] {
    return [];
  }
}
