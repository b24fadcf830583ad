// What optimizers are held against: recurrences of one number in float64, over the same gradients.
import { compile, type Optimizer, Parameter, randn, type Tensor, tensor } from "tslip";
import { expect } from "vitest";

export const STEPS = 10;
export const SIZE = 12;
/** A few float32 roundings a step of parameters of order 1, over ten steps. */
const FLOAT32_STEPS = 5e-6;

export const gradients = Array.from({ length: STEPS }, (_, i) => randn([SIZE], { seed: 100 + i }));
export const initial = randn([SIZE], { seed: 99 });

/** Values of a parameter after each of ten steps; `rates` are set between them. */
export function run(
  optimizer: Optimizer,
  parameter = new Parameter(initial),
  rates: readonly number[] = [],
): number[][] {
  const step = compile((g: Tensor) => {
    optimizer.update([parameter], [g]);
    return parameter.mul(1);
  });
  return gradients.map((g, i) => {
    const rate = rates[i];
    if (rate !== undefined) optimizer.lr = rate;
    return Array.from(step.sync(tensor(g.dataSync(), [SIZE])).data());
  });
}

/** A recurrence for one number: its next value for the gradient of step `t` (from 1). */
export type Rule = (p: number, g: number, t: number) => number;

export function expectFollows(values: number[][], rule: () => Rule): void {
  expect(values).toHaveLength(STEPS);
  for (let k = 0; k < SIZE; k++) {
    const next = rule();
    let p = initial.dataSync()[k] ?? 0;
    values.forEach((row, i) => {
      p = next(p, gradients[i]?.dataSync()[k] ?? 0, i + 1);
      expect(Math.abs((row[k] ?? Number.NaN) - p)).toBeLessThan(FLOAT32_STEPS * (1 + Math.abs(p)));
    });
  }
}

/** SGD as PyTorch does it, at rates that may change. */
export const sgd =
  (lr: number, { momentum = 0, weightDecay = 0 } = {}, rates: readonly number[] = []) =>
  (): Rule => {
    let buffer = 0;
    return (p, gradient, t) => {
      buffer = momentum * buffer + gradient + weightDecay * p;
      return p - (rates[t - 1] ?? lr) * buffer;
    };
  };
