// Parameters that are not trainable: they keep their values, whoever trains and however they were frozen.
import {
  Adam,
  AdamW,
  CrossEntropyLoss,
  compile,
  fit,
  grad,
  Linear,
  type Optimizer,
  type Parameter,
  Sequential,
  SGD,
  type Tensor,
  TrainingState,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork, weightsOf } from "../train/subset.js";

const optimizers: [string, () => Optimizer][] = [
  ["SGD", () => new SGD({ lr: 0.1, momentum: 0.9, dampening: 0.1, weightDecay: 0.1 })],
  ["Adam", () => new Adam({ lr: 0.1, weightDecay: 0.1 })],
  ["AdamW", () => new AdamW({ lr: 0.1, amsgrad: true })],
];

const options = (optimizer: Optimizer) => ({
  epochs: 2,
  batchSize: 20,
  loss: new CrossEntropyLoss(),
  optimizer,
  verbose: false,
});

/** The first layer of a network, and what else it has. */
function parts() {
  const model = smallNetwork();
  const [first, , last] = model.layers as [Linear, unknown, Linear];
  return { model, first, last };
}

const slotsOf = (optimizer: Optimizer, { model }: ReturnType<typeof parts>): string[] =>
  optimizer
    .namedStates("", model.namedParameters())
    .map(([key]) => key)
    .filter((key) => /^0\./.test(key));

describe.each(optimizers)("a parameter that is not trainable, with %s", (_, make) => {
  it("stays as it is in fit, without slots and decay, while the others train", async () => {
    const [network, optimizer] = [parts(), make()];
    const { model, first, last } = network;
    for (const parameter of first.parameters()) parameter.trainable = false;
    const [frozen, others] = [weightsOf(first), weightsOf(last)];
    await fit(model, clouds(), options(optimizer));
    expect(weightsOf(first)).toEqual(frozen);
    expect(weightsOf(last)).not.toEqual(others);
    expect(slotsOf(optimizer, network)).toEqual([]);
    const training = new TrainingState({ model, optimizer });
    expect(Object.keys(await training.snapshot())).toContain("model.0.weight");
    expect(Object.keys(await model.stateDict())).toContain("0.weight");
  });

  it("is in snapshots as if it had been trained: what is frozen may have changed until they are put back", async () => {
    const take = async (frozen: boolean) => {
      const [{ model, first }, optimizer] = [parts(), make()];
      first.trainable = !frozen;
      const training = new TrainingState({ model, optimizer });
      await fit(model, clouds(), options(optimizer));
      return { model, training, snapshot: await training.snapshot() };
    };
    const [frozen, trained] = [await take(true), await take(false)];
    frozen.training.restore(trained.snapshot);
    expect(await frozen.training.snapshot()).toEqual(trained.snapshot);
    frozen.training.restore((await take(true)).snapshot);
    trained.training.restore((await take(true)).snapshot);
    expect(await frozen.training.snapshot()).toEqual(await trained.training.snapshot());
  });

  it("stays as it is in update, until it is trainable again: then it begins as the first ones did", async () => {
    const [network, optimizer] = [parts(), make()];
    const { model, first } = network;
    const { images, labels } = clouds().batch(0, 20);
    const step = compile((x: Tensor, y: Tensor) => {
      const loss = new CrossEntropyLoss().forward(model.forward(x), y);
      optimizer.update(model.parameters(), grad(loss, model.parameters()));
    });
    first.trainable = false;
    const frozen = weightsOf(first);
    await step(images, tensor(labels));
    expect(weightsOf(first)).toEqual(frozen);
    expect(slotsOf(optimizer, network)).toEqual([]);
    first.trainable = true;
    await step(images, tensor(labels));
    expect(weightsOf(first)).not.toEqual(frozen);
    expect(slotsOf(optimizer, network).length).toBeGreaterThan(0);
    first.trainable = false;
    const now = weightsOf(first);
    await step(images, tensor(labels));
    expect(weightsOf(first)).toEqual(now);
  });

  it("is followed by fit from epoch to epoch", async () => {
    const { model, first, last } = parts();
    first.trainable = false;
    const weights: number[][] = [weightsOf(first)];
    const others: number[][] = [weightsOf(last)];
    const callback = {
      onEpochEnd: ({ epoch }: { epoch: number }) => {
        weights.push(weightsOf(first));
        others.push(weightsOf(last));
        first.trainable = epoch === 1;
        last.trainable = epoch !== 1;
      },
    };
    await fit(model, clouds(), { ...options(make()), epochs: 3, callbacks: [callback] });
    const moved = (values: number[][]): boolean[] => values.slice(1).map((now, i) => now.join() !== values[i]?.join());
    expect(moved(weights)).toEqual([false, true, false]);
    expect(moved(others)).toEqual([true, false, true]);
  });
});

describe("trainable", () => {
  it("of a module says and sets that of all its parameters", () => {
    const { model, first, last } = parts();
    expect([model.trainable, first.trainable]).toEqual([true, true]);
    first.trainable = false;
    expect([model.trainable, first.trainable, last.trainable]).toEqual([false, false, true]);
    expect(first.parameters().map(({ trainable }) => trainable)).toEqual([false, false]);
    model.trainable = true;
    expect(model.parameters().every(({ trainable }) => trainable)).toBe(true);
  });

  it("keeps a weight that two layers share", async () => {
    const layer = new Linear(8, 8, { bias: false });
    const model = new Sequential([layer, layer, new Linear(8, 3)], { constrained: false });
    layer.weight.trainable = false;
    const before = weightsOf(layer);
    await fit(model, clouds(), options(new SGD({ lr: 0.1 })));
    expect(weightsOf(layer)).toEqual(before);
  });

  it("gives the same bits where nothing is frozen after all", async () => {
    const [one, two] = [parts(), parts()];
    two.model.trainable = false;
    two.model.trainable = true;
    for (const { model } of [one, two]) await fit(model, clouds(), options(new Adam({ lr: 0.01 })));
    expect(weightsOf(two.model)).toEqual(weightsOf(one.model));
  });

  it("is counted apart in summaries", () => {
    const { model, first } = parts();
    expect(model.summary([8])).not.toContain("frozen");
    first.trainable = false;
    expect(model.summary([8]).split("\n").at(-1)).toBe(`Trainable parameters: ${16 * 3 + 3}, frozen: ${8 * 16 + 16}`);
  });

  it.each([0, "false", undefined, null])("is refused as %j", (value) => {
    const { first } = parts();
    expect(() => {
      first.weight.trainable = value as never;
    }).toThrow(/trainable must be true or false; given .* for /);
    expect(() => {
      first.trainable = value as never;
    }).toThrow(/trainable must be true or false/);
    expect(first.trainable).toBe(true);
  });

  it.each(["requiresGrad", "requires_grad"])(
    "is what the error of %s names, of a parameter and of a module",
    (name) => {
      const { model } = parts();
      const freeze = (owner: object): unknown => Object.assign(owner, { [name]: false });
      expect(() => model.parameters().forEach((parameter: Parameter) => freeze(parameter))).toThrow(
        `setting ${name} of Parameter would change nothing: set trainable`,
      );
      expect(() => freeze(model)).toThrow(`setting ${name} of Sequential would change nothing: set trainable`);
      expect(() => freeze(model)).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    },
  );
});

describe("what an optimizer was made with", () => {
  const fields: [string, () => Optimizer, string][] = [
    ["learningRate", () => new AdamW({ lr: 0.5 }), "of AdamW would change nothing: set lr"],
    ["learning_rate", () => new SGD({ lr: 0.5 }), "of SGD would change nothing: set lr"],
    ["weightDecay", () => new SGD({ lr: 0.5 }), "of SGD would change nothing: it is fixed; make another optimizer"],
    ["momentum", () => new SGD({ lr: 0.5 }), "of SGD would change nothing: it is fixed; make another optimizer"],
    ["eps", () => new Adam({ lr: 0.5 }), "of Adam would change nothing: it is fixed; make another optimizer"],
  ];
  it.each(fields)("is not changed by setting %s, which is an error", (name, make, message) => {
    const optimizer = make();
    expect(() => Object.assign(optimizer, { [name]: 0.1 })).toThrow(message);
    expect(optimizer.lr).toBe(0.5);
  });

  it("may be a field of one's own", () => {
    class Own extends Adam {
      readonly eps = 3;
    }
    expect(new Own().eps).toBe(3);
  });
});
