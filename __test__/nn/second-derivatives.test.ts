// Derivatives of derivatives of whole networks, through orthonormalized and normalized weights.
import {
  Adam,
  compile,
  Flatten,
  GroupSort2,
  grad,
  manualSeed,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { Program } from "../../src/tensor/compile.js";
import { bytesOf } from "../../src/tensor/dtype.js";

/** Of Hessians in float32, whose weights have been through fifteen iterations. */
const ROUNDING = 2e-3;

const NORMS = ["default", "overlap", "exact"] as const;

function network(norm: (typeof NORMS)[number]): Sequential {
  manualSeed(2);
  const model = new Sequential([
    new SpectralConv2d(1, 4, { kernelSize: 3, padding: 1, inputSize: [6, 6], norm }),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Flatten(),
    new SpectralLinear(36, 6),
    new GroupSort2(),
    new SpectralLinear(6, 3),
  ]);
  // Orthonormal weights are where singular values tie.
  model.parameters().forEach((parameter, i) => {
    parameter.assign(randn(parameter.shape, { seed: 30 + i }));
  });
  return model;
}

const inner = (a: readonly Tensor[], b: readonly Tensor[]): Tensor =>
  a.map((one, i) => one.mul(b[i] ?? 0).sum()).reduce((x, y) => x.add(y));

describe.each(NORMS)("norm %s", (norm) => {
  const x = randn([4, 1, 6, 6], { seed: 3 });
  const y = randn([4, 3], { seed: 4 });

  it("gives a Hessian of the loss that is symmetric, in raw weights and the images", () => {
    const model = network(norm);
    const of = (images: Tensor): Tensor[] => [...model.parameters(), images];
    const directions = (seed: number): Tensor[] => of(x).map(({ shape }, i) => randn(shape, { seed: seed + i }));
    const [a, b] = [directions(100), directions(200)];
    const along = (one: readonly Tensor[], other: readonly Tensor[]) => (images: Tensor) => {
      const slopes = grad(model.forward(images).sub(y).square().sum(), of(images));
      return inner(grad(inner(slopes, one), of(images)), other);
    };
    const exact = (f: (images: Tensor) => Tensor): number => {
      const program = Program.record(f, [{ shape: x.shape, dtype: x.dtype, batched: true }]);
      return program.exact([bytesOf(x.dataSync())])[0]?.[0] ?? Number.NaN;
    };
    const [right, turned] = [exact(along(a, b)), exact(along(b, a))];
    expect(Math.abs(right)).toBeGreaterThan(0.1);
    expect(Math.abs(turned - right)).toBeLessThanOrEqual(1e-6 * Math.abs(right));
    expect(Math.abs(along(a, b)(x).item() - right)).toBeLessThanOrEqual(ROUNDING * Math.abs(right));
  });

  it("trains with a penalty on gradients of the images, which falls", async () => {
    const model = network(norm);
    const optimizer = new Adam({ lr: 0.02 });
    const step = compile((images: Tensor) => {
      const [slope] = grad(
        model
          .forward(images)
          .mul(tensor([1, -1, 0]))
          .sum(),
        [images],
      );
      const penalty = slope.square().sum([1, 2, 3]).sqrt().sub(1).square().mean();
      optimizer.update(model.parameters(), grad(penalty, model.parameters()));
      return penalty;
    });
    const penalties: number[] = [];
    for (let i = 0; i < 25; i++) penalties.push((await step(x)).item());
    expect(penalties.at(-1)).toBeLessThan(0.9 * (penalties[0] ?? 0));
  });
});
