// Groups of parameters: rates and weight decay of their own.
import {
  Adam,
  AdamW,
  CrossEntropyLoss,
  compile,
  fit,
  Lookahead,
  NAdam,
  type Optimizer,
  Parameter,
  type ParameterGroup,
  SGD,
  StepLR,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork, weightsOf } from "../train/subset.js";
import { expectFollows, initial, run, sgd } from "./recurrence.js";

const kinds: [string, (options: { lr: number; weightDecay: number; groups?: ParameterGroup[] }) => Optimizer][] = [
  ["SGD", (options) => new SGD({ momentum: 0.9, ...options })],
  ["Adam", (options) => new Adam(options)],
  ["AdamW", (options) => new AdamW(options)],
  ["NAdam", (options) => new NAdam(options)],
];

describe.each(kinds)("groups of %s", (_, make) => {
  it("train as optimizers of those rates and that decay would", () => {
    const [one, two, three] = [new Parameter(initial), new Parameter(initial), new Parameter(initial)];
    const groups = [
      { parameters: [two], lr: 0.25 },
      { parameters: [three], weightDecay: 0.5 },
    ];
    const grouped = make({ lr: 0.125, weightDecay: 0.25, groups });
    const alone = [
      [new Parameter(initial), make({ lr: 0.125, weightDecay: 0.25 })],
      [new Parameter(initial), make({ lr: 0.25, weightDecay: 0.25 })],
      [new Parameter(initial), make({ lr: 0.125, weightDecay: 0.5 })],
    ] as const;
    const step = compile((g: Tensor) => {
      grouped.update([one, two, three], [g, g, g]);
      for (const [parameter, optimizer] of alone) optimizer.update([parameter], [g]);
      return {};
    });
    for (let i = 0; i < 10; i++) step.sync(initial.mul(1 / (i + 1)));
    // Multiples that are powers of two round nothing.
    for (const [i, parameter] of [one, two, three].entries()) {
      expect(parameter.dataSync()).toEqual(alone[i]?.[0].dataSync());
    }
  });
});

describe("the rate of a group", () => {
  it("is a multiple of the optimizer's, which may be set", () => {
    const parameter = new Parameter(initial);
    const optimizer = new SGD({ lr: 0.1, groups: [{ parameters: [parameter], lr: 0.3 }] });
    const rates = [0.1, 0.2, 0, 0.05, 0.3, 0.01, 1, 0.5, 0.1, 0.2];
    const tripled = rates.map((rate) => 3 * rate);
    expectFollows(run(optimizer, parameter, rates), sgd(0, {}, tripled));
  });

  it("follows a schedule, and may be 0", async () => {
    const trained = async (grouped: boolean) => {
      const model = smallNetwork();
      const [first, , last] = model.layers;
      const optimizer = new SGD({
        lr: 1,
        groups: grouped ? [{ parameters: first?.parameters() ?? [], lr: 0 }] : [],
      });
      if (!grouped && first !== undefined) first.trainable = false;
      const schedule = new StepLR({ lr: 0.1, stepSize: 2, gamma: 0.5 });
      await fit(model, clouds(), {
        epochs: 2,
        batchSize: 20,
        loss: new CrossEntropyLoss(),
        optimizer,
        schedule,
        verbose: false,
      });
      return [weightsOf(model), last === undefined ? [] : weightsOf(last)];
    };
    expect(await trained(true)).toEqual(await trained(false));
  });
});

it.each<[string, (parameter: Parameter) => unknown, RegExp]>([
  ["no list", (p) => ({ parameters: [p] }), /groups must be a list of records/],
  ["an unknown setting", (p) => [{ parameters: [p], betas: [0, 0] }], /groups\[0\] has no option "betas"/],
  ["no parameters", () => [{ lr: 0.1 }], /groups\[0\]\.parameters must be a list of parameters.*given undefined/],
  ["a tensor", () => [{ parameters: [tensor([1])] }], /groups\[0\]\.parameters must be a list of parameters/],
  ["a parameter twice", (p) => [{ parameters: [p] }, { parameters: [p] }], /stands in a group already/],
  ["a rate below 0", (p) => [{ parameters: [p], lr: -1 }], /lr must be finite and at least 0/],
])("groups are refused as %s", (_, groups, message) => {
  expect(() => new SGD({ lr: 0.1, groups: groups(new Parameter(initial)) as ParameterGroup[] })).toThrow(message);
});

it("a group's rate needs one to be a multiple of", () => {
  expect(() => new Adam({ lr: 0, groups: [{ parameters: [new Parameter(initial)], lr: 1 }] })).toThrow(
    /multiple of lr, which is 0/,
  );
});

it("fit refuses a group with a parameter that the model does not have", async () => {
  const optimizer = new Lookahead(new Adam({ groups: [{ parameters: smallNetwork().parameters(), lr: 1 }] }));
  const options = { epochs: 1, batchSize: 20, loss: new CrossEntropyLoss(), optimizer, verbose: false };
  await expect(fit(smallNetwork(), clouds(), options)).rejects.toThrow(
    /group of the optimizer has the parameter .* which the model/,
  );
});
