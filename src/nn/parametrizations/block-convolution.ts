// Orthogonal kernels of convolutions: block convolution of projections (Li et al. 2019), then a strided kernel (Boissin et al. 2025).
import { TslipError } from "../../errors.js";
import type { Options } from "../../options.js";
import { concat, stack } from "../../tensor/composite.js";
import { orthogonal, zeros } from "../../tensor/create.js";
import { type Shape, showShape, sizeOf } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import { checkGroups } from "../affine/convolution.js";
import type { AffineMap } from "../affine/map.js";
import { roundDownToFloat32 } from "../lipschitz.js";
import { type ORTHOGONAL, orthonormalized } from "./orthonormal.js";
import type { Parametrization } from "./parametrization.js";

/** Geometry of a kernel `[rows, columns / groups, kh, kw]`. */
export interface KernelGeometry {
  readonly rows: number;
  readonly columns: number;
  readonly kernelSize: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly groups: number;
}

/** Products by which a kernel is made, one after another: those of 513 x 513 pixels. */
const MOST_STEPS = 1024;

const sumOf = ([height, width]: readonly [number, number]): number => height + width;

type Settings = Pick<Options<typeof ORTHOGONAL>, "method" | "bjorckIterations">;

/**
 * A kernel by which a convolution keeps the norm of unbounded and of periodic images where it has at least as many results as the
 * image has numbers, and its adjoint does where it has fewer: all min(rows, columns s²) singular values are 1, s being the stride.
 *
 * It is the convolution by a matrix `[rows, columns s²]` with orthonormal rows or columns, of patches that do not overlap, after one
 * convolution for each pixel that the kernel is larger than a patch: x_i goes to P x_i + (I - P) x_{i + 1} along an axis, with an
 * orthogonal projection P, which keeps the norm as its symbol P + z (I - P) is unitary for |z| = 1. Where P has lost its rank, and is
 * none, it is at least symmetric with eigenvalues in [0, 1], so that the norm is at most 1 for every parameter.
 */
export class BlockConvolution implements Parametrization {
  readonly constrained = true;
  readonly key = "weight";
  readonly #geometry: KernelGeometry;
  readonly #settings: Settings;

  constructor(geometry: KernelGeometry, settings: Settings) {
    const { kernelSize, stride, dilation, groups, rows, columns } = geometry;
    checkGroups(groups, columns, rows);
    if (kernelSize.some((n, axis) => n < (stride[axis] ?? 1))) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `an orthogonal convolution reads every pixel: kernelSize ${showShape(kernelSize)} must be at least the stride ` +
          showShape(stride),
      );
    }
    if (sizeOf(stride) > 1 && sizeOf(dilation) > 1) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `an orthogonal convolution takes a stride or a dilation; given stride ${showShape(stride)} and dilation ` +
          `${showShape(dilation)}; leave one of them out`,
      );
    }
    const steps = sumOf(kernelSize) - sumOf(stride);
    if (steps > MOST_STEPS) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `an orthogonal kernel is made of a product for each pixel that it is longer than the stride, along both axes: ${MOST_STEPS} at most; given ` +
          `kernelSize ${showShape(kernelSize)} and stride ${showShape(stride)}, which are ${steps}`,
      );
    }
    this.#geometry = geometry;
    this.#settings = settings;
  }

  parameterShape(): Shape {
    const { groups } = this.#geometry;
    const { results, channels, patch } = this.#inner;
    return [groups * results, channels * sizeOf(patch)];
  }

  initialWeight(): Tensor {
    const { results, channels, patch } = this.#inner;
    return concat(this.#each(() => orthogonal(results, channels * sizeOf(patch))));
  }

  initialBias({ outputs }: AffineMap): Tensor {
    return zeros([outputs]);
  }

  /** `projections` `[groups, steps, channels, rank]`: bases of what each projection keeps. */
  initialFactors(): Readonly<Record<string, Tensor>> {
    const { channels, steps, rank } = this.#inner;
    if (steps.length === 0 || rank === 0) return {};
    return { projections: stack(this.#each(() => stack(steps.map(() => orthogonal(channels, rank))))) };
  }

  effective(
    parameter: Tensor,
    map: AffineMap,
    kCoefLip: number,
    { projections }: Readonly<Record<string, Tensor>>,
  ): Tensor {
    const kernel = concat(this.#each((group) => this.#kernel(parameter, projections, group)));
    const scale = roundDownToFloat32(map.factor * kCoefLip);
    return scale === 1 ? kernel : kernel.mul(scale);
  }

  exchanged(): [string, Tensor][] {
    return [];
  }

  /** What is made for one group: of a kernel with more rows than columns, and without stride, its adjoint. */
  get #inner() {
    const { rows, columns, kernelSize, stride, groups } = this.#geometry;
    const sides = [rows / groups, columns / groups] as const;
    const adjoint = sizeOf(stride) === 1 && sides[0] > sides[1];
    const [results, channels] = adjoint ? [sides[1], sides[0]] : sides;
    const steps: (0 | 1)[] = [];
    // Turn about, as long as both axes have pixels left.
    const left = [kernelSize[0] - stride[0], kernelSize[1] - stride[1]] as [number, number];
    while (left[0] + left[1] > 0) {
      const axis = left[0] >= left[1] ? 0 : 1;
      left[axis]--;
      steps.push(axis);
    }
    return { adjoint, results, channels, steps, rank: Math.floor(channels / 2), patch: stride };
  }

  #each<T>(make: (group: number) => T): T[] {
    return Array.from({ length: this.#geometry.groups }, (_, group) => make(group));
  }

  /** `[rows, columns, kh, kw]` of one group. */
  #kernel(parameter: Tensor, projections: Tensor | undefined, group: number): Tensor {
    const { adjoint, results, channels, steps, rank, patch } = this.#inner;
    const matrix = orthonormalized(parameter.slice([group * results], [(group + 1) * results]), this.#settings);
    // Channels last, so that a projection is a product.
    let kernel = matrix.reshape([results, channels, ...patch]).permute([0, 2, 3, 1]);
    steps.forEach((axis, step) => {
      const at = [group, step];
      const basis = projections?.slice(at, [group + 1, step + 1]).reshape([channels, rank]);
      kernel = longer(kernel, basis && orthonormalized(basis, this.#settings), axis, step % 2 === 1);
    });
    return kernel.permute(adjoint ? [3, 0, 1, 2] : [0, 3, 1, 2]);
  }
}

/**
 * The kernel `[results, kh, kw, channels]` after x_i -> P x_i + (I - P) x_{i + 1} along an axis, P being the projection on a basis, or
 * where `swapped` that on its complement: one pixel longer.
 */
function longer(kernel: Tensor, basis: Tensor | undefined, axis: 0 | 1, swapped: boolean): Tensor {
  const before = [0, 0, 0, 0].with(axis + 1, 1);
  const none = [0, 0, 0, 0];
  if (basis === undefined) return swapped ? kernel.pad(none, before) : kernel.pad(before, none);
  const flat = kernel.reshape([-1, kernel.shape[3] ?? 1]);
  const kept = flat.matmul(basis).matmul(basis, { transposeB: true }).reshape(kernel.shape);
  const rest = kernel.sub(kept);
  const [here, next] = swapped ? [rest, kept] : [kept, rest];
  return here.pad(none, before).add(next.pad(before, none));
}
