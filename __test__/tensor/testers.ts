import { Tensor } from "tslip";
import { expect } from "vitest";

/** Whether tensors have one shape, one element type, and values that are apart by `tolerance` at most; NaN is close to NaN. */
export function close(a: Tensor, b: Tensor, tolerance = 1e-5): boolean {
  const [x, y] = [Array.from(a.dataSync()), b.dataSync()];
  const near = (value: number, other = Number.NaN): boolean =>
    Object.is(value, other) || Math.abs(value - other) <= tolerance;
  return a.dtype === b.dtype && a.shape.join() === b.shape.join() && x.every((value, i) => near(value, y[i]));
}

// expect(logits).toBeCloseToTensor(tensor([1, 2]), 1e-4)
expect.extend({
  toBeCloseToTensor(received: Tensor, expected: Tensor, tolerance?: number) {
    const not = this.isNot ? "not " : "";
    return {
      pass: close(received, expected, tolerance),
      message: () => `expected ${received}\n${not}to be close to ${expected}`,
    };
  },
});

// toEqual, wherever tensors stand in what it compares: by values, whatever expression they come from.
expect.addEqualityTesters([
  (a: unknown, b: unknown) => (a instanceof Tensor && b instanceof Tensor ? close(a, b, 0) : undefined),
]);

declare module "vitest" {
  interface Matchers {
    toBeCloseToTensor: (expected: Tensor, tolerance?: number) => void;
  }
}
