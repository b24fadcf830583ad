// Metrics on logits with known answers.

import { accuracy, krMulticlass, tensor } from "tslip";
import { describe, expect, it } from "vitest";

/** A few float32 roundings of numbers of order 1. */
const ROUNDING = 1e-6;

describe("accuracy", () => {
  it("is the share of samples whose largest logit is that of their class", () => {
    const logits = tensor([
      [3, 1, 2],
      [0, 5, 1],
      [0, 5, 1],
      [-3, -2, -1],
    ]);
    expect(accuracy()(logits, tensor(Int32Array.of(0, 1, 2, 2))).item()).toBe(0.75);
  });

  it("takes the first of tied logits as the prediction", () => {
    const logits = tensor([
      [1, 1],
      [1, 1],
    ]);
    expect(accuracy()(logits, tensor(Int32Array.of(0, 1))).item()).toBe(0.5);
  });
});

describe("krMulticlass", () => {
  it("is the mean over classes of mean logit inside minus mean logit outside", () => {
    const logits = tensor([
      [4, 0],
      [2, 1],
      [0, 5],
    ]);
    const value = krMulticlass()(logits, tensor(Int32Array.of(0, 0, 1))).item();
    expect(Math.abs(value - (3 - 0 + (5 - 0.5)) / 2)).toBeLessThan(ROUNDING);
  });

  it("is 0 and not NaN for a batch of one class", () => {
    expect(krMulticlass()(tensor([[1, 2]]), tensor(Int32Array.of(1))).item()).toBe(0);
  });
});
