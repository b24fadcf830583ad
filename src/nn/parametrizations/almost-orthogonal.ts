// Almost orthogonal weights: rescaled until no correlation of their columns, or rows, is left unpaid (Prach and Lampert 2022).
import { concat } from "../../tensor/composite.js";
import { orthogonal, zeros } from "../../tensor/create.js";
import { sizeOf } from "../../tensor/shape.js";
import { Tensor } from "../../tensor/tensor.js";
import type { AffineMap } from "../affine/map.js";
import { roundDownToFloat32 } from "../lipschitz.js";
import type { Parametrization } from "./parametrization.js";

/**
 * Sums of correlations below this part of the largest weight's square are those of weights that count as zero: so far above 2^-126 that
 * what float32 loses of products below it, of however many channels, is no part of a sum that counts.
 */
const FLOOR = 1e-20;

/** A weight without scale: divided by its largest magnitude, of which the rescaled weight does not depend. */
export function withoutScale(weight: Tensor): Tensor {
  const largest = weight.abs().max().stopGradient();
  return weight.div(largest.greater(0).where(largest, 1));
}

/**
 * The magnitudes of all correlations between filters, `[groups, count, count]`: entry i, j is the sum over all distances of
 * |filter i times filter j at that distance|. `filters` are `[groups, count, channels, h, w]`.
 */
export function correlations(filters: Tensor): Tensor {
  const [groups = 1, count = 1, channels = 1, h = 1, w = 1] = filters.shape;
  if (h === 1 && w === 1) {
    const rows = filters.reshape([groups, count, channels]);
    return rows.matmul(rows, { transposeB: true }).abs();
  }
  const images = filters.permute([1, 0, 2, 3, 4]).reshape([count, groups * channels, h, w]);
  const attributes = { stride: [1, 1], dilation: [1, 1], groups, padding: [h - 1, w - 1, h - 1, w - 1] };
  const kernels = filters.reshape([groups * count, channels, h, w]);
  const products = Tensor.make("conv2d", attributes, [images, kernels]);
  return products.abs().sum([2, 3]).reshape([count, groups, count]).permute([1, 2, 0]);
}

/** T^-1/2 of positive sums T; 0 where there is nothing, or next to nothing, to rescale. */
export function inverseRoot(sums: Tensor): Tensor {
  const counts = sums.greater(FLOOR);
  return counts.where(counts.where(sums, 1).sqrt().reciprocal(), 0);
}

/** Geometry of a weight `[out, in / groups, kh, kw]`. */
interface Strided {
  readonly stride: readonly [number, number];
  readonly groups: number;
}

const DENSE: Strided = { stride: [1, 1], groups: 1 };

/**
 * W D with D_i = (Σ_j |Wᵀ W|_ij)^-1/2: then D Wᵀ W D is at most the identity, by diagonal dominance. Of a convolution the sum runs over
 * all distances of two filters too; where it has a stride, each pixel of a stride by stride block is a column of its own.
 */
export class AlmostOrthogonal implements Parametrization {
  readonly constrained = true;
  readonly key = "weight";
  readonly #geometry: Strided;

  constructor(geometry: Strided = DENSE) {
    this.#geometry = geometry;
  }

  /** Orthogonal, in the middle of a kernel: nothing to pay for. */
  initialWeight({ weightShape: [rows = 1, columns = 1, ...kernel] }: AffineMap): Tensor {
    const { stride, groups } = this.#geometry;
    const patch = kernel.map((n, axis) => Math.min(n, stride[axis] ?? 1));
    const matrices = Array.from({ length: groups }, () => orthogonal(rows / groups, columns * sizeOf(patch)));
    const before = kernel.map((n, axis) => Math.floor((n - (patch[axis] ?? 1)) / 2));
    const after = kernel.map((n, axis) => n - (patch[axis] ?? 1) - (before[axis] ?? 0));
    return concat(matrices)
      .reshape([rows, columns, ...patch])
      .pad([0, 0, ...before], [0, 0, ...after]);
  }

  initialBias({ outputs }: AffineMap): Tensor {
    return zeros([outputs]);
  }

  effective(parameter: Tensor, map: AffineMap, kCoefLip: number): Tensor {
    const { groups } = this.#geometry;
    const [rows = 1, columns = 1, kh = 1, kw = 1] = parameter.shape;
    const [sh, sw] = this.#geometry.stride;
    // Whole blocks of stride by stride pixels.
    const [mh, mw] = [Math.ceil(kh / sh), Math.ceil(kw / sw)];
    const kernel = withoutScale(parameter).reshape([rows, columns, kh, kw]);
    const blocks = kernel
      .pad([0, 0, 0, 0], [0, 0, mh * sh - kh, mw * sw - kw])
      .reshape([groups, rows / groups, columns, mh, sh, mw, sw]);
    const filters = blocks.permute([0, 2, 4, 6, 1, 3, 5]).reshape([groups, columns * sh * sw, rows / groups, mh, mw]);
    const factors = inverseRoot(correlations(filters).sum([2]));
    const rescaled = blocks
      .mul(factors.reshape([groups, 1, columns, 1, sh, 1, sw]))
      .reshape([rows, columns, mh * sh, mw * sw])
      .slice([], [rows, columns, kh, kw])
      .reshape(parameter.shape);
    const scale = roundDownToFloat32(map.factor * kCoefLip);
    return scale === 1 ? rescaled : rescaled.mul(scale);
  }

  exchanged(): [string, Tensor][] {
    return [];
  }
}
