// Radii end where a number in the network could leave the range of float32, on the way to a result as in the result.
import {
  type Certificate,
  certify,
  Flatten,
  GroupSort2,
  Linear,
  Module,
  type Rounding,
  ScaledL2NormPool2d,
  Sequential,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it, vi } from "vitest";

const LARGEST = 3.4028234e38;

/** A head that hardly sees its input: logits 1 and 0, with weights of +-`slope`. */
function head(features: number, slope: number): Linear {
  const weight = Float32Array.from({ length: 2 * features }, (_, i) => (i < features ? slope : -slope));
  return new Linear(features, 2, {}, { weight: tensor(weight, [2, features]), bias: tensor([1, 0]) });
}

/** Classes and logits at points within the radius around 0 whose values are as large as float32 allows. */
async function checkWithin(model: Module, shape: readonly number[], certificate: Certificate | undefined) {
  const { predicted, radius } = certificate ?? { predicted: -1, radius: Number.NaN };
  expect(radius).toBeGreaterThan(1e10);
  const size = shape.reduce((a, b) => a * b);
  for (const count of [1, 2, size]) {
    const value = Math.min(LARGEST, (radius * (1 - 1e-6)) / Math.sqrt(count));
    for (const sign of [1, -1]) {
      const pixels = Float32Array.from({ length: size }, (_, i) => (i < count ? sign * value : 0));
      const logits = (await model.predict(tensor(pixels, shape))).held();
      expect([...logits].every(Number.isFinite), `${count} pixels of ${sign * value}: ${logits}`).toBe(true);
      expect(logits.indexOf(Math.max(...logits))).toBe(predicted);
    }
  }
}

describe("a norm that overflows before it is scaled down", () => {
  const grid = [1e-6, 1e-3, 0.2, 0.25, 1, 2].flatMap((kCoefLip) =>
    (
      [
        [2, 2],
        [3, 3],
        [3, 1],
        [1, 1],
      ] as const
    ).flatMap(([kernelSize, stride]) =>
      [1e-35, 1e-38, 1e-30].map((slope) => ({ kCoefLip, kernelSize, stride, slope })),
    ),
  );
  it.each(grid)(
    "leaves ScaledL2NormPool2d no radius at which one does: %o",
    async ({ kCoefLip, kernelSize, stride, slope }) => {
      const features = ((6 - kernelSize) / stride + 1) ** 2;
      const model = new Sequential(
        [new ScaledL2NormPool2d({ kernelSize, stride, kCoefLip }), new Flatten(), head(features, slope)],
        { constrained: false },
      );
      const [certificate] = await certify(model, tensor(new Float32Array(36), [1, 1, 6, 6]));
      await checkWithin(model, [1, 1, 6, 6], certificate);
    },
  );

  it.each([1e-6, 0.3, 1])(
    "leaves GroupSort2 of kCoefLip %d, which sorts before it scales, its radius",
    async (kCoefLip) => {
      const model = new Sequential([new GroupSort2({ kCoefLip }), head(4, 1e-35)], { constrained: false });
      const [certificate] = await certify(model, tensor(new Float32Array(4), [1, 4]));
      await checkWithin(model, [1, 4], certificate);
      // Numbers of the size of float32's largest stay so on the way, and small ones come out.
      if (kCoefLip === 1e-6) expect(certificate?.radius).toBeGreaterThan(LARGEST);
    },
  );

  it("ends that of a custom layer that says how large its numbers become on the way", async () => {
    class Detour extends Module {
      forward(x: Tensor): Tensor {
        return x.mul(1e10).mul(1e-10);
      }
      override lipschitzBound(): number {
        return 1 + 1e-6;
      }
      override rounding(): Rounding {
        return { roundings: 4, offset: 0, peak: 1e10 * (1 + 1e-6) };
      }
    }
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const model = new Sequential([new Detour(), head(4, 1e-35)], { constrained: false });
    warn.mockRestore();
    const [certificate] = await certify(model, tensor(new Float32Array(4), [1, 4]));
    await checkWithin(model, [1, 4], certificate);
  });
});
