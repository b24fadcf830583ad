// Matrices with orthonormal rows or columns, whichever are fewer, made of any matrix.
import { choice, coefficient, type Options, whole } from "../../options.js";
import { concat } from "../../tensor/composite.js";
import { eye, orthogonal, zeros } from "../../tensor/create.js";
import { Tensor } from "../../tensor/tensor.js";
import type { AffineMap } from "../affine/map.js";
import { roundDownToFloat32 } from "../lipschitz.js";
import { bjorckNormalization, orOne, safeSpectralNormalization } from "../normalization.js";
import type { Parametrization } from "./parametrization.js";

/** How a matrix is made orthonormal. */
export type OrthonormalMethod = "bjorck" | "cayley" | "cholesky";

/** What orthogonal layers have beyond ordinary ones. */
export interface OrthogonalOptions {
  bias?: boolean;
  /** Lipschitz constant; left out, the container that holds the layer sets it (1 elsewhere). */
  kCoefLip?: number | undefined;
  /**
   * By default "bjorck", the orthogonal factor of the polar decomposition, by iterations; "cayley", Cayley's transform, has matrices of
   * determinant 1 alone where they are square; "cholesky" makes rows, or columns where these are fewer, orthonormal one after
   * another by a Cholesky factorization, which leaves the first its direction.
   */
  method?: OrthonormalMethod;
  /**
   * Björck iterations at most, after the other methods as well, by default 30: enough where no singular value is below some 1e-4 of the
   * largest. They end where the matrix is orthonormal, which takes few after a factorization of a weight that is far from singular.
   */
  bjorckIterations?: number;
}

export const ORTHOGONAL = {
  kCoefLip: coefficient,
  method: choice<OrthonormalMethod>(["bjorck", "cayley", "cholesky"], "bjorck"),
  bjorckIterations: whole(1, 30),
};

type Settings = Pick<Options<typeof ORTHOGONAL>, "method" | "bjorckIterations">;

/** What comes before Björck's iteration. */
const BEGINNINGS: Record<OrthonormalMethod, (matrix: Tensor) => Tensor> = {
  bjorck: (matrix) => matrix,
  cayley,
  cholesky,
};

/**
 * A matrix of the same shape with all singular values 1, but for rounding: by Björck's iteration, by Cayley's transform (Trockman
 * and Kolter 2021) or by a Cholesky factorization (Hu et al. 2024), of which that iteration makes good what rounding has spoilt. Norms
 * never pass 1 beyond rounding, whatever the matrix is; singular values that are 0 may stay so.
 */
export function orthonormalized(matrix: Tensor, { method, bjorckIterations: iterations }: Settings): Tensor {
  return bjorckNormalization(safeSpectralNormalization(BEGINNINGS[method](matrix)), { iterations });
}

/**
 * Cayley's transform of a tall matrix [U; V]: [(I + A)^-1 (I - A); -2 V (I + A)^-1] with A = U - Uᵀ + Vᵀ V, which has
 * orthonormal columns (Trockman and Kolter 2021, appendix); of a wide one the transpose of that of its transpose.
 */
function cayley(given: Tensor): Tensor {
  const [rows = 0, columns = 0] = given.shape;
  if (rows < columns) return cayley(given.transpose()).transpose();
  const norm = Tensor.make("spectral_norm", {}, [given]);
  const matrix = given.div(norm.div(LARGEST).maximum(1));
  const square = matrix.slice([0], [columns]);
  const below = matrix.slice([columns], [rows]);
  const skew = square.sub(square.transpose());
  const a = rows === columns ? skew : skew.add(below.matmul(below, { transposeA: true }));
  const inverted = inverse(eye(columns).add(a));
  const top = inverted.matmul(eye(columns).sub(a));
  return rows === columns ? top : concat([top, below.matmul(inverted).mul(-2)]);
}

/** The norm that counts for larger ones: float32 has no digits for the inverse of what is much larger. */
const LARGEST = 64;

/** Enough for condition numbers of some 2^14: about two for each power of 2, then each doubles the digits. */
const INVERSION_STEPS = 36;

/**
 * The inverse of a square matrix by Newton's iteration X <- X (2 I - M X), from Mᵀ / ‖M‖² (Ben-Israel and Cohen 1966). Only the last
 * step is differentiated, which has the derivative of the inverse, -X dM X.
 */
function inverse(matrix: Tensor): Tensor {
  const fixed = matrix.stopGradient();
  const twice = eye(matrix.shape[0] ?? 0).mul(2);
  const largest = fixed
    .abs()
    .sum([0])
    .max()
    .mul(fixed.abs().sum([1]).max());
  let x = fixed.transpose().div(largest);
  for (let i = 0; i < INVERSION_STEPS; i++) x = x.matmul(twice.sub(fixed.matmul(x)));
  x = x.stopGradient();
  return x.matmul(twice.sub(matrix.matmul(x)));
}

/**
 * Added to the diagonal of a Gram matrix, relative to its mean, as by Hu et al.: far more than what rounding to float32 takes off an
 * eigenvalue of that, so that the factorization succeeds whatever the weight is. A singular value s of the weight becomes
 * s / (s² + RIDGE m)^1/2, where m is the mean of the squared lengths of its rows.
 */
const RIDGE = 1e-3;

/**
 * L^-1 W for a wide matrix, where W Wᵀ = L Lᵀ, which has orthonormal rows: those that Gram and Schmidt make of the rows of W ("A Recipe for
 * Improved Certifiable Robustness", Hu, Leino, Wang and Fredrikson 2024); of a tall one the transpose of that of its transpose. Zero for zero.
 */
function cholesky(given: Tensor): Tensor {
  const [rows = 0, columns = 0] = given.shape;
  if (rows > columns) return cholesky(given.transpose()).transpose();
  // What does not depend on the scale of the matrix has a gradient without it.
  const matrix = given.div(orOne(given.stopGradient().abs().max()));
  const turned = matrix.transpose();
  // Sums of this form are rounded in parts of some hundred terms, however long they are.
  const gram = turned.matmul(turned, { transposeA: true });
  const ridge = orOne(matrix.square().sum().div(rows)).mul(RIDGE);
  return Tensor.make("inverse_cholesky", {}, [gram.add(eye(rows).mul(ridge))]).matmul(matrix);
}

/** A dense weight with all singular values 1, times the constant. */
export class Orthonormal implements Parametrization {
  readonly constrained = true;
  readonly key = "weight";
  readonly #settings: Settings;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  initialWeight({ weightShape: [rows = 1, columns = 1] }: AffineMap): Tensor {
    return orthogonal(rows, columns);
  }

  initialBias({ outputs }: AffineMap): Tensor {
    return zeros([outputs]);
  }

  effective(parameter: Tensor, map: AffineMap, kCoefLip: number): Tensor {
    const scale = roundDownToFloat32(map.factor * kCoefLip);
    const unit = orthonormalized(parameter, this.#settings);
    return scale === 1 ? unit : unit.mul(scale);
  }

  exchanged(): [string, Tensor][] {
    return [];
  }
}
