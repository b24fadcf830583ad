// Trainings asked for without awaiting: those that share parameters or an optimizer run one after another.
import {
  CrossEntropyLoss,
  fit,
  HKRMulticlassLoss,
  type Loss,
  Sequential,
  SGD,
  SoftHKRMulticlassLoss,
  WeightedLoss,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork, weightsOf } from "./subset.js";

const options = (more = {}) => ({
  epochs: 4,
  batchSize: 7,
  optimizer: new SGD({ lr: 0.1, momentum: 0.9 }),
  loss: new CrossEntropyLoss(),
  verbose: false,
  ...more,
});

/** Weights after trainings with the given seeds, each awaited before the next. */
async function oneByOne(...seeds: number[]): Promise<number[]> {
  const model = smallNetwork();
  for (const seed of seeds) await fit(model, clouds(), options({ seed }));
  return weightsOf(model);
}

describe("trainings of one model that are not awaited", () => {
  it("run one after another, in the order of the calls", async () => {
    const model = smallNetwork();
    const ended: number[] = [];
    const train = async (seed: number): Promise<void> => {
      await fit(model, clouds(), options({ seed }));
      ended.push(seed);
    };
    await Promise.all([1, 2, 3].map(train));
    expect(ended).toEqual([1, 2, 3]);
    expect(weightsOf(model)).toEqual(await oneByOne(1, 2, 3));
  });

  it("include those of models that share its layers", async () => {
    const model = smallNetwork();
    const around = new Sequential(model.layers, { constrained: false });
    await Promise.all([fit(model, clouds(), options({ seed: 1 })), fit(around, clouds(), options({ seed: 2 }))]);
    expect(weightsOf(model)).toEqual(await oneByOne(1, 2));
  });

  it("go on after one that fails", async () => {
    const model = smallNetwork();
    const failing = fit(model, clouds(), {
      ...options({ seed: 1, epochs: 1 }),
      callbacks: [{ onEpochStart: () => Promise.reject(new Error("not today")) }],
    });
    const second = fit(model, clouds(), options({ seed: 2 }));
    await expect(failing).rejects.toThrow("not today");
    await second;
    expect(weightsOf(model)).toEqual(await oneByOne(2));
  });

  it("reject at once when aborted while they wait, and let nobody past those before them", async () => {
    const model = smallNetwork();
    const controller = new AbortController();
    let firstEnded = false;
    const first = fit(model, clouds(), options({ seed: 1, epochs: 300 })).then(() => {
      firstEnded = true;
    });
    const second = fit(model, clouds(), options({ seed: 2, signal: controller.signal }));
    const third = fit(model, clouds(), options({ seed: 3 }));
    controller.abort("changed my mind");
    await expect(second).rejects.toBe("changed my mind");
    expect(firstEnded).toBe(false);
    await third;
    expect(firstEnded).toBe(true);
    await first;
    const alone = smallNetwork();
    await fit(alone, clouds(), options({ seed: 1, epochs: 300 }));
    await fit(alone, clouds(), options({ seed: 3 }));
    expect(weightsOf(model)).toEqual(weightsOf(alone));
  });

  it("may be started and awaited by a callback of another", async () => {
    const model = smallNetwork();
    const onEpochEnd = async (): Promise<void> => {
      await Promise.all([5, 6].map((seed) => fit(model, clouds(), options({ seed }))));
    };
    const outer = fit(model, clouds(), options({ seed: 1, epochs: 1, callbacks: [{ onEpochEnd }] }));
    const after = fit(model, clouds(), options({ seed: 7 }));
    await Promise.all([outer, after]);
    const alone = smallNetwork();
    await fit(alone, clouds(), options({ seed: 1, epochs: 1 }));
    for (const seed of [5, 6, 7]) await fit(alone, clouds(), options({ seed }));
    expect(weightsOf(model)).toEqual(weightsOf(alone));
  });
});

describe("trainings of several models by one loss", () => {
  const overlap = async (loss: Loss): Promise<boolean> => {
    const under: string[] = [];
    const train = async (name: string): Promise<void> => {
      const callbacks = [{ onEpochEnd: () => void under.push(name) }];
      await fit(smallNetwork(), clouds(), options({ seed: 1, epochs: 20, loss, callbacks }));
    };
    await Promise.all([train("one"), train("other")]);
    return under.lastIndexOf("one") > under.indexOf("other") && under.lastIndexOf("other") > under.indexOf("one");
  };

  it("go on beside one another where it has no memory", async () => {
    expect(await overlap(new CrossEntropyLoss())).toBe(true);
    expect(await overlap(new HKRMulticlassLoss({ alpha: 5 }))).toBe(true);
  });

  it("take turns where it has", async () => {
    const loss = new SoftHKRMulticlassLoss();
    expect(await overlap(loss)).toBe(false);
    expect(await overlap(new WeightedLoss(loss))).toBe(false);
  });
});
