// Metrics keep their figures whatever they are called.
import { accuracy, evaluate, fit, HingeMulticlassLoss, krMulticlass, SGD, type Tensor } from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork } from "./subset.js";

const seven = (logits: Tensor): Tensor => logits.sum().mul(0).add(7);

describe("metrics", () => {
  it("may be called by numbers, which JavaScript sorts before other names", async () => {
    const options = {
      epochs: 1,
      batchSize: 20,
      loss: new HingeMulticlassLoss(),
      verbose: false,
    };
    const named = await fit(smallNetwork(), clouds(), {
      ...options,
      optimizer: new SGD({ lr: 0 }),
      metrics: { KR: krMulticlass(), acc: accuracy() },
    });
    const numbered = await fit(smallNetwork(), clouds(), {
      ...options,
      optimizer: new SGD({ lr: 0 }),
      metrics: { KR: krMulticlass(), "5": seven, "1": accuracy() },
      validation: clouds(),
    });
    const [expected, record] = [named.epochs[0], numbered.epochs[0]];
    expect(record?.loss).toBe(expected?.loss);
    expect(record?.KR).toBe(expected?.KR);
    expect(record?.["1"]).toBe(expected?.acc);
    expect(record?.["5"]).toBe(7);
    expect(record?.val_5).toBe(7);
    const whole = await evaluate(smallNetwork(), clouds(), { loss: options.loss, metrics: { "5": seven } });
    expect(whole["5"]).toBe(7);
    expect(record?.val_loss).toBe(whole.loss);
  });
});
