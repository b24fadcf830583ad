// Orthogonal weights as block reflections (Lai et al. 2025).
import type { Options } from "../../options.js";
import { eye, orthogonal, zeros } from "../../tensor/create.js";
import type { Shape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { AffineMap } from "../affine/map.js";
import { roundDownToFloat32 } from "../lipschitz.js";
import { type ORTHOGONAL, orthonormalized } from "./orthonormal.js";
import type { Parametrization } from "./parametrization.js";

/**
 * I - 2 V (Vᵀ V)^-1 Vᵀ of order max(rows, columns), cut to rows and columns: V (Vᵀ V)^-1 Vᵀ is U Uᵀ with the orthonormal factor U of V.
 * The parameter V is `[max(rows, columns), rank]`. Where V has lost its rank eigenvalues stay in [-1, 1].
 */
export class BlockReflector implements Parametrization {
  readonly constrained = true;
  readonly key = "weight";
  readonly #rank: number | undefined;
  readonly #bjorckIterations: number;

  constructor({
    rank,
    bjorckIterations,
  }: { rank: number | undefined } & Pick<Options<typeof ORTHOGONAL>, "bjorckIterations">) {
    this.#rank = rank;
    this.#bjorckIterations = bjorckIterations;
  }

  parameterShape({ weightShape: [rows = 1, columns = 1] }: AffineMap): Shape {
    const order = Math.max(rows, columns);
    return [order, this.#rank ?? Math.max(1, Math.floor(order / 2))];
  }

  initialWeight(map: AffineMap): Tensor {
    const [order = 1, rank = 1] = this.parameterShape(map);
    return orthogonal(order, rank);
  }

  initialBias({ outputs }: AffineMap): Tensor {
    return zeros([outputs]);
  }

  effective(parameter: Tensor, { weightShape: [rows = 1, columns = 1], factor }: AffineMap, kCoefLip: number): Tensor {
    const settings = { method: "bjorck", bjorckIterations: this.#bjorckIterations } as const;
    const basis = orthonormalized(parameter, settings);
    const reflection = eye(parameter.shape[0] ?? 1).sub(basis.matmul(basis, { transposeB: true }).mul(2));
    const weight = reflection.slice([0, 0], [rows, columns]);
    const scale = roundDownToFloat32(factor * kCoefLip);
    return scale === 1 ? weight : weight.mul(scale);
  }

  exchanged(): [string, Tensor][] {
    return [];
  }
}
