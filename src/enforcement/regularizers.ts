// Regularizers: terms added to a loss that pull the weights of ordinary layers towards a Lipschitz constant, without a guarantee.
import { TslipError } from "../errors.js";
import { Convolution } from "../nn/affine/convolution.js";
import type { AffineLayer } from "../nn/affine-layer.js";
import type { Module } from "../nn/module.js";
import { notNegative, positive, readOptions } from "../options.js";
import { eye } from "../tensor/create.js";
import { Tensor } from "../tensor/tensor.js";
import { gramOf, ordinaryLayers, unitMatrix } from "./layers.js";

/**
 * A term of a model's loss, 0-d; `fit` takes some as `regularizers`. Those here are sums over layers: a weight that several layers share
 * counts in each of them, which may ask for different norms of it.
 */
export type Regularizer = (model: Module) => Tensor;

/** Options of regularizers. */
export interface RegularizerOptions {
  /** What the term is multiplied by. */
  strength: number;
  /** Lipschitz constant that each layer is pulled towards, by default 1. */
  kCoefLip?: number;
}

const OPTIONS = { strength: notNegative(), kCoefLip: positive(1) };

/**
 * Orthogonality: `strength` times the sum over ordinary layers of ‖W Wᵀ - I‖_F² on the small side of the weight divided by `kCoefLip`;
 * of a convolution it is the kernel, as a matrix, after division by the convolution factor too. No guarantee: how far singular values
 * are from 1 depends on the strength; a certificate proves the bound that they have.
 */
export function orthogonal(options: RegularizerOptions): Regularizer {
  const { strength, kCoefLip } = readOptions("regularizers.orthogonal()", OPTIONS, options);
  return summed("regularizers.orthogonal()", strength, (layer) => {
    const w = unitMatrix(layer, kCoefLip);
    const distance = gramOf(w).sub(eye(Math.min(...w.shape)));
    return distance.square().sum();
  });
}

/**
 * Norms: `strength` times the sum over ordinary layers of max(0, ‖W‖ - 1)², ‖W‖ the spectral norm of the weight divided by `kCoefLip` (and
 * by the convolution factor): what Yoshida and Miyato (2017) penalize, but for what is within the constant. No guarantee.
 */
export function spectral(options: RegularizerOptions): Regularizer {
  const { strength, kCoefLip } = readOptions("regularizers.spectral()", OPTIONS, options);
  return summed("regularizers.spectral()", strength, (layer) =>
    Tensor.make("spectral_norm", {}, [unitMatrix(layer, kCoefLip)])
      .sub(1)
      .relu()
      .square(),
  );
}

/**
 * L-orth (Wang et al. 2020, Achour et al. 2022): `strength` times the sum over ordinary 2-D convolutions K / kCoefLip of
 * ‖conv(K, K) - I‖_F², less out - in s² where that is above 0: the convolution as an operator is orthogonal where it is 0, on images much
 * larger than kernels, while {@link orthogonal} makes its matrix so. Other ordinary layers count as in {@link orthogonal}. Throws
 * `UNSUPPORTED` for convolutions with a dilation together with a stride. No guarantee.
 */
export function lorth(options: RegularizerOptions): Regularizer {
  const { strength, kCoefLip } = readOptions("regularizers.lorth()", OPTIONS, options);
  const others = orthogonal({ strength: 1, kCoefLip });
  return summed("regularizers.lorth()", strength, (layer) =>
    layer.map instanceof Convolution ? ofKernel(layer.weight.mul(1 / kCoefLip), layer.map) : others(layer),
  );
}

function summed(owner: string, strength: number, term: (layer: AffineLayer) => Tensor): Regularizer {
  return (model) =>
    ordinaryLayers(owner, model)
      .map(term)
      .reduce((sum, next) => sum.add(next))
      .mul(strength);
}

/** Of each group: the kernels as images, convolved with themselves where windows meet, compared with one at the centre. */
function ofKernel(kernel: Tensor, { stride, dilation, groups }: Convolution): Tensor {
  if (dilation.some((d, i) => d > 1 && (stride[i] ?? 1) > 1)) {
    throw new TslipError(
      "UNSUPPORTED",
      `regularizers.lorth() knows no convolution with stride ${stride.join("x")} and dilation ${dilation.join("x")}; ` +
        "take regularizers.orthogonal(), or one of the two alone",
    );
  }
  const [out = 0, inputs = 0, height = 0, width = 0] = kernel.shape;
  const rows = out / groups;
  // Windows at distances that are multiples of the stride and still overlap.
  const reach = [height, width].map((k, i) => Math.floor((k - 1) / (stride[i] ?? 1)));
  const padding = reach.map((n, i) => n * (stride[i] ?? 1));
  const attributes = { stride: [...stride], dilation: [1, 1], groups: 1, padding: [...padding, ...padding] };
  const [up = 0, left = 0] = reach;
  const centre = eye(rows).reshape([rows, rows, 1, 1]).pad([0, 0, up, left], [0, 0, up, left]);
  const excess = Math.max(0, rows - inputs * stride[0] * stride[1]);
  const terms = Array.from({ length: groups }, (_, g) => {
    const own = kernel.slice([g * rows, 0, 0, 0], [(g + 1) * rows, inputs, height, width]);
    return Tensor.make("conv2d", attributes, [own, own]).sub(centre).square().sum().sub(excess);
  });
  return terms.reduce((sum, term) => sum.add(term));
}
