// NAdam against PyTorch's recurrence in float64.
import { NAdam, type NAdamOptions } from "tslip";
import { describe, expect, it } from "vitest";
import { expectFollows, type Rule, run } from "./recurrence.js";

const rule =
  (options: NAdamOptions = {}, rates: readonly number[] = []) =>
  (): Rule => {
    const { lr = 2e-3, betas = [0.9, 0.999], eps = 1e-8, weightDecay = 0, momentumDecay = 4e-3 } = options;
    let [m, v, product] = [0, 0, 1];
    return (before, gradient, t) => {
      const rate = rates[t - 1] ?? lr;
      const p = options.decoupledWeightDecay ? before * (1 - rate * weightDecay) : before;
      const g = options.decoupledWeightDecay ? gradient : gradient + weightDecay * before;
      const mu = betas[0] * (1 - 0.5 * 0.96 ** (t * momentumDecay));
      const next = betas[0] * (1 - 0.5 * 0.96 ** ((t + 1) * momentumDecay));
      product *= mu;
      m = betas[0] * m + (1 - betas[0]) * g;
      v = betas[1] * v + (1 - betas[1]) * g * g;
      const root = Math.sqrt(v / (1 - betas[1] ** t)) + eps;
      return p - (rate * ((g * (1 - mu)) / (1 - product) + (m * next) / (1 - product * next))) / root;
    };
  };

describe("NAdam follows PyTorch's recurrence", () => {
  const variants: [string, NAdamOptions][] = [
    ["with its defaults", {}],
    ["with other betas, eps and a large rate", { lr: 0.3, betas: [0.5, 0.75], eps: 0.1 }],
    ["with a momentum that grows fast", { lr: 0.05, momentumDecay: 30 }],
    ["with a constant momentum of one half of beta", { lr: 0.05, momentumDecay: 0 }],
    ["with a momentum near 1", { lr: 0.05, betas: [0.999, 0.9], momentumDecay: 500 }],
    ["with weight decay in the gradient", { lr: 0.05, weightDecay: 0.3 }],
    ["with decoupled weight decay", { lr: 0.05, weightDecay: 0.3, decoupledWeightDecay: true }],
  ];
  it.each(variants)("%s", (_, options) => {
    expectFollows(run(new NAdam(options)), rule(options));
  });

  it("at rates that change", () => {
    const rates = [0.1, 0.2, 0, 0.05, 0.3, 0.01, 1, 0.5, 0.1, 0.2];
    expectFollows(run(new NAdam(), undefined, rates), rule({}, rates));
  });

  it("upwards with maximize", () => {
    const ascending = () => {
      const down = rule({ lr: 0.1 })();
      return (p: number, g: number, t: number) => down(p, -g, t);
    };
    expectFollows(run(new NAdam({ lr: 0.1, maximize: true })), ascending);
  });
});

it.each([{ momentumDecay: -1 }, { decoupledWeightDecay: 1 }, { amsgrad: true }, { lr: Number.NaN }])(
  "NAdam refuses %j",
  (options) => {
    expect(() => new NAdam(options as never)).toThrow(/momentumDecay must|decoupledWeightDecay must|no option|lr must/);
  },
);
