// Spectral parametrization: a weight matrix with all singular values 1 (Anil et al. 2019, Serrurier et al. 2021).
import { coefficient, notNegative, type Option, type Options, optional, whole } from "../../options.js";
import { orthogonal, randn, zeros } from "../../tensor/create.js";
import { sizeOf } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { AffineMap } from "../affine/map.js";
import { INITIALIZER, type Initializer } from "../initializer.js";
import { roundDownToFloat32 } from "../lipschitz.js";
import { bjorckNormalization, safeSpectralNormalization } from "../normalization.js";
import { asMatrix, type Parametrization } from "./parametrization.js";

const EXCHANGE_ITERATIONS = 10;
const EXCHANGE_SEED = 1;

/** What spectral layers have beyond ordinary ones. */
export interface SpectralOptions {
  bias?: boolean;
  /** Lipschitz constant; left out, the container that holds the layer sets it (1 elsewhere). */
  kCoefLip?: number | undefined;
  /** Björck iterations, by default 15; with 0 the weight is only divided by its norm. */
  bjorckIterations?: number;
  /** What is added to the norm by which the weight is divided, by default 0. The norm is never low, so that none is needed; with it `condense()` leaves the layer as it is. */
  epsSpectral?: number;
  /** Ends the iterations once one moves the weight by less, in the Frobenius norm; null leaves all of them out, as in torchlip. */
  epsBjorck?: number | null | undefined;
  initializer?: Initializer | undefined;
}

/** null or a number of at least 0. */
const epsBjorck: Option<number | null | undefined> = {
  read: (name, given) => (given === null ? null : optional(notNegative()).read(name, given)),
};

export const SPECTRAL = {
  kCoefLip: coefficient,
  bjorckIterations: whole(0, 15),
  epsSpectral: notNegative(0),
  epsBjorck,
  ...INITIALIZER,
};

type SpectralSettings = Pick<Options<typeof SPECTRAL>, "bjorckIterations"> &
  Partial<Pick<Options<typeof SPECTRAL>, "epsSpectral" | "epsBjorck">>;

/** Divided by its norm, orthonormalized, then scaled by the map's factor, or divided by the map's norm, and scaled by the constant. */
export class Spectral implements Parametrization {
  readonly constrained = true;
  /** As far as the iterations have converged; what is added to a norm divides anew each time. */
  readonly idempotent: boolean;
  readonly key = "parametrizations.weight.original";
  readonly #bjorckIterations: number;
  readonly #epsSpectral: number;
  readonly #epsBjorck: number;

  constructor({ bjorckIterations, epsSpectral = 0, epsBjorck = 0 }: SpectralSettings) {
    this.#bjorckIterations = epsBjorck === null ? 0 : bjorckIterations;
    this.#epsSpectral = epsSpectral;
    this.idempotent = epsSpectral === 0;
    this.#epsBjorck = epsBjorck ?? 0;
  }

  initialWeight({ weightShape: [rows = 1, ...rest] }: AffineMap): Tensor {
    return orthogonal(rows, sizeOf(rest)).reshape([rows, ...rest]);
  }

  initialBias({ outputs }: AffineMap): Tensor {
    return zeros([outputs]);
  }

  effective(parameter: Tensor, map: AffineMap, kCoefLip: number): Tensor {
    const unit = this.#orthogonalized(parameter);
    const norm = map.norm?.(unit);
    if (norm !== undefined) return unit.div(norm.greater(0).where(norm, 1).div(kCoefLip));
    const scale = roundDownToFloat32(map.factor * kCoefLip);
    return scale === 1 ? unit : unit.mul(scale);
  }

  /** The vectors of torchlip's power iteration and its stored orthogonal weight. */
  exchanged(parameter: Tensor): [string, Tensor][] {
    const matrix = asMatrix(parameter);
    const unit = (x: Tensor): Tensor => x.div(x.square().sum().sqrt().maximum(1e-12));
    let u = unit(randn([matrix.shape[0] ?? 1], { seed: EXCHANGE_SEED }));
    let v = unit(u.matmul(matrix));
    for (let i = 0; i < EXCHANGE_ITERATIONS; i++) {
      u = unit(matrix.matmul(v));
      v = unit(u.matmul(matrix));
    }
    const at = "parametrizations.weight";
    return [
      [`${at}.0._u`, u],
      [`${at}.0._v`, v],
      [`${at}.1._w_bjorck`, this.#orthogonalized(parameter)],
    ];
  }

  #orthogonalized(parameter: Tensor): Tensor {
    const normalized = safeSpectralNormalization(asMatrix(parameter), { eps: this.#epsSpectral });
    const settings = { iterations: this.#bjorckIterations, eps: this.#epsBjorck };
    return bjorckNormalization(normalized, settings).reshape(parameter.shape);
  }
}
