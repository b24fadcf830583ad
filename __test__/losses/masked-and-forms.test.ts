// Masked classes in the cross-entropy, and the form of the functional HKR loss.
import { CrossEntropyLoss, compile, functional, grad, type Tensor, TslipError, tensor } from "tslip";
import { describe, expect, it } from "vitest";

const MASKED = Number.NEGATIVE_INFINITY;
const lossAndGradient = compile((y: Tensor, t: Tensor) => {
  const loss = new CrossEntropyLoss().forward(y, t);
  return { loss, gradient: grad(loss, [y])[0] };
});

describe("cross-entropy", () => {
  it("is finite, with a finite gradient, where a class other than the label's is masked by -Infinity", () => {
    const { loss, gradient } = lossAndGradient.sync(tensor([1, MASKED, 2], [1, 3]), tensor(Int32Array.of(0)));
    const share = 1 / (1 + Math.E);
    expect(loss.item()).toBeCloseTo(-Math.log(share), 6);
    [share - 1, 0, 1 - share].forEach((g, k) => {
      expect(gradient.data()[k]).toBeCloseTo(g, 6);
    });
  });

  it("is infinite where the label's own class is masked", () => {
    const { loss } = lossAndGradient.sync(tensor([MASKED, 1], [1, 2]), tensor(Int32Array.of(0)));
    expect(loss.item()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("functional.hkrMulticlass", () => {
  const logits = tensor([1, 2, 3, -1, 0, 1], [2, 3]);
  const labels = tensor(Int32Array.of(0, 2));

  it("takes an alpha of at most 1 only with a form, as the class does", () => {
    for (const alpha of [0, 0.5, 1]) {
      expect(() => functional.hkrMulticlass(logits, labels, { alpha })).toThrow(TslipError);
      for (const form of ["additive", "convex"] as const) {
        expect(functional.hkrMulticlass(logits, labels, { alpha, form }).dataSync()[0]).toSatisfy(Number.isFinite);
      }
    }
  });

  it.each([Number.NaN, -1])("refuses alpha %d", (alpha) => {
    expect(() => functional.hkrMulticlass(logits, labels, { alpha, form: "additive" })).toThrow(
      "alpha must be a number",
    );
  });
});
