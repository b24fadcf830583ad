// Optimizers against the published recurrences in float64 loops.

import { Adam, AdamW, compile, Parameter, randn, SGD, type SGDOptions, type Tensor, TslipError, tensor } from "tslip";
import { describe, expect, it } from "vitest";

const STEPS = 8;
const SIZE = 12;
/** A few float32 roundings a step of parameters of order 1, over eight steps. */
const FLOAT32_STEPS = 4e-6;

const gradients = Array.from({ length: STEPS }, (_, i) => randn([SIZE], { seed: 100 + i }));
const initial = randn([SIZE], { seed: 99 });

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TslipError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

interface Updates {
  lr: number;
  update(parameters: readonly Parameter[], gradients: readonly Tensor[]): void;
}

/** Parameters after each step; `rates` are set between steps. */
function run(optimizer: Updates, rates: readonly number[] = []): { values: number[][]; traced: number } {
  const parameter = new Parameter(initial);
  let traced = 0;
  const step = compile((g: Tensor) => {
    traced += 1;
    optimizer.update([parameter], [g]);
    return parameter.mul(1);
  });
  const values = gradients.map((g, i) => {
    const rate = rates[i];
    if (rate !== undefined) optimizer.lr = rate;
    return Array.from(step.sync(tensor(g.dataSync(), [SIZE])).data());
  });
  return { values, traced };
}

/** A recurrence for one number: its next value for the gradient of step `t` (from 1). */
type Rule = (p: number, g: number, t: number) => number;

function expectFollows(values: number[][], rule: () => Rule): void {
  for (let k = 0; k < SIZE; k++) {
    const next = rule();
    let p = initial.dataSync()[k] ?? 0;
    values.forEach((row, i) => {
      p = next(p, gradients[i]?.dataSync()[k] ?? 0, i + 1);
      expect(Math.abs((row[k] ?? Number.NaN) - p)).toBeLessThan(FLOAT32_STEPS * (1 + Math.abs(p)));
    });
  }
}

const sgdRule =
  ({ lr, momentum = 0, dampening = 0, nesterov = false, weightDecay = 0 }: SGDOptions, rates: readonly number[] = []) =>
  (): Rule => {
    let buffer = 0;
    return (p, gradient, t) => {
      const g = gradient + weightDecay * p;
      buffer = t === 1 ? g : momentum * buffer + (1 - dampening) * g;
      const direction = momentum === 0 ? g : nesterov ? g + momentum * buffer : buffer;
      return p - (rates[t - 1] ?? lr) * direction;
    };
  };

describe("SGD", () => {
  const variants: [string, SGDOptions][] = [
    ["plain", { lr: 0.1 }],
    ["with momentum", { lr: 0.1, momentum: 0.9 }],
    ["with momentum and dampening", { lr: 0.1, momentum: 0.9, dampening: 0.4 }],
    ["with Nesterov momentum", { lr: 0.1, momentum: 0.8, nesterov: true }],
    ["with momentum and weight decay", { lr: 0.1, momentum: 0.9, weightDecay: 0.05 }],
    ["with weight decay alone", { lr: 0.1, weightDecay: 0.2 }],
  ];
  it.each(variants)("%s follows PyTorch's recurrence", (_, options) => {
    expectFollows(run(new SGD(options)).values, sgdRule(options));
  });

  it("takes a new learning rate between steps without a new plan", () => {
    const rates = [0.1, 0.2, 0, 0.05, 0.3, 0.01, 1, 0.5];
    const { values, traced } = run(new SGD({ lr: 9, momentum: 0.9 }), rates);
    expectFollows(values, sgdRule({ lr: 9, momentum: 0.9 }, rates));
    expect(traced).toBe(1);
  });
});

interface AdamRule {
  lr: number;
  betas: readonly [number, number];
  eps: number;
  decay: number;
  decoupled: boolean;
  amsgrad: boolean;
}

const adamRule =
  ({ lr, betas, eps, decay, decoupled, amsgrad }: AdamRule, rates: readonly number[] = []) =>
  (): Rule => {
    let [m, v, largest] = [0, 0, 0];
    return (before, gradient, t) => {
      const rate = rates[t - 1] ?? lr;
      const p = decoupled ? before * (1 - rate * decay) : before;
      const g = decoupled ? gradient : gradient + decay * before;
      m = betas[0] * m + (1 - betas[0]) * g;
      v = betas[1] * v + (1 - betas[1]) * g * g;
      largest = Math.max(largest, v);
      const second = (amsgrad ? largest : v) / (1 - betas[1] ** t);
      return p - (rate * (m / (1 - betas[0] ** t))) / (Math.sqrt(second) + eps);
    };
  };

const ADAM: AdamRule = { lr: 0.01, betas: [0.9, 0.999], eps: 1e-8, decay: 0, decoupled: false, amsgrad: false };

describe("Adam", () => {
  it("follows PyTorch's recurrence with its defaults", () => {
    expectFollows(run(new Adam()).values, adamRule({ ...ADAM, lr: 1e-3 }));
  });

  it("follows it with other betas, eps and a large rate", () => {
    const options = { lr: 0.3, betas: [0.5, 0.75], eps: 0.1 } as const;
    expectFollows(run(new Adam(options)).values, adamRule({ ...ADAM, ...options }));
  });

  it("puts weight decay into the gradient, AdamW beside it", () => {
    const options = { lr: 0.05, weightDecay: 0.3 };
    expectFollows(run(new Adam(options)).values, adamRule({ ...ADAM, lr: 0.05, decay: 0.3 }));
    expectFollows(run(new AdamW(options)).values, adamRule({ ...ADAM, lr: 0.05, decay: 0.3, decoupled: true }));
    expectFollows(run(new AdamW()).values, adamRule({ ...ADAM, lr: 1e-3, decay: 0.01, decoupled: true }));
  });

  it("with amsgrad divides by the largest second moment so far", () => {
    const options = { lr: 0.05, betas: [0.9, 0.5], amsgrad: true } as const;
    expectFollows(run(new Adam(options)).values, adamRule({ ...ADAM, ...options }));
    expect(run(new Adam(options)).values).not.toEqual(run(new Adam({ ...options, amsgrad: false })).values);
  });

  it("takes a new learning rate between steps without a new plan", () => {
    const rates = [0.1, 0.2, 0, 0.05, 0.3, 0.01, 1, 0.5];
    const { values, traced } = run(new Adam({ lr: 7 }), rates);
    expectFollows(values, adamRule(ADAM, rates));
    expect(traced).toBe(1);
  });
});

describe("an optimizer", () => {
  it("keeps slots for each parameter apart", () => {
    const [a, b] = [new Parameter(initial), new Parameter(initial)];
    const optimizer = new Adam({ lr: 0.1 });
    const step = compile((g: Tensor) => {
      optimizer.update([a, b], [g, g.neg()]);
      return [a.sub(initial), b.sub(initial)];
    });
    const [first, second] = step.sync(tensor(initial.dataSync(), [SIZE]));
    expect(Math.max(...first.data().map(Math.abs))).toBeGreaterThan(0.05);
    for (const [k, moved] of first.data().entries()) {
      expect(Math.abs(moved + (second.data()[k] ?? Number.NaN))).toBeLessThan(FLOAT32_STEPS);
    }
  });

  it("refuses options out of range", () => {
    const refused: (() => unknown)[] = [
      () => new SGD({ lr: -0.1 }),
      () => new SGD({ lr: Number.NaN }),
      () => new SGD({ lr: 0.1, momentum: -1 }),
      () => new SGD({ lr: 0.1, dampening: Number.NaN }),
      () => new SGD({ lr: 0.1, nesterov: true }),
      () => new SGD({ lr: 0.1, momentum: 0.9, nesterov: true, dampening: 0.1 }),
      () => new Adam({ lr: Number.POSITIVE_INFINITY }),
      () => new Adam({ betas: [1, 0.9] }),
      () => new Adam({ betas: [0.9, -0.1] }),
      () => new Adam({ betas: 0.9 as unknown as [number, number] }),
      () => new Adam({ eps: -1 }),
      () => new AdamW({ weightDecay: Number.NaN }),
      () => {
        new Adam().lr = -1;
      },
      () => new Adam().update([new Parameter(initial)], []),
    ];
    expect(refused.map(codeOf)).toEqual(refused.map(() => "INVALID_ARGUMENT"));
  });

  it("leaves the rate alone when a new one is refused", () => {
    const optimizer = new SGD({ lr: 0.25 });
    expect(() => {
      optimizer.lr = Number.NaN;
    }).toThrow(TslipError);
    expect(optimizer.lr).toBe(0.25);
    expect(optimizer.rate.item()).toBe(0.25);
  });
});
