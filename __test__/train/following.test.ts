// Training and validation follow what callbacks change, and record nothing again where nothing changed.
import {
  CrossEntropyLoss,
  fit,
  fromArrays,
  Linear,
  type Loss,
  Module,
  Sequential,
  SGD,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { clouds, smallNetwork } from "./subset.js";

/** Trainings of one weight, 1 at first, of which a step of rate 0.1 along a gradient of 1 takes 0.1. */
const one = fromArrays(Float32Array.of(1), [1, 1], { data: Float32Array.of(0), shape: [1, 1] });
const weight = (): Linear => new Linear(1, 1, { bias: false }, { weight: tensor([[1]]), bias: undefined });
const options = { epochs: 3, batchSize: 1, verbose: false } as const;

class Scaled implements Loss {
  a = 1;
  forward(outputs: Tensor): Tensor {
    return outputs.mean().mul(this.a);
  }
}

class Factor extends Module {
  k = 1;
  forward(x: Tensor): Tensor {
    return x.mul(this.k);
  }
}

/** Nothing while training. */
class Dropped extends Module {
  forward(x: Tensor): Tensor {
    return this.training ? x.mul(0) : x;
  }
}

/** The weight after each epoch of a training, and the losses. */
async function weights(parts: Module[], loss: Loss, change: { [K in "start" | "end"]?: (epoch: number) => void }) {
  const layer = weight();
  const seen: number[] = [];
  const callback = {
    onEpochStart: (epoch: number) => change.start?.(epoch),
    onEpochEnd: ({ epoch }: { epoch: number }) => {
      seen.push(Math.round(layer.weight.item() * 100) / 100);
      change.end?.(epoch);
    },
  };
  const model = new Sequential([layer, ...parts], { constrained: false });
  const optimizer = new SGD({ lr: 0.1 });
  const { epochs } = await fit(model, one, { ...options, loss, optimizer, validation: one, callbacks: [callback] });
  return { seen, epochs };
}

describe("training follows, from the next epoch on, a change of", () => {
  it("a field of the loss, as validation does", async () => {
    const loss = new Scaled();
    const { seen, epochs } = await weights([], loss, {
      end: () => {
        loss.a = 0;
      },
    });
    expect(seen).toEqual([0.9, 0.9, 0.9]);
    expect(epochs.map((record) => record.loss)).toEqual([1, 0, 0]);
    expect(epochs.map(({ val_loss }) => val_loss).slice(1)).toEqual([0, 0]);
  });

  it("a field of a module", async () => {
    const factor = new Factor();
    const { seen } = await weights([factor], new Scaled(), {
      end: () => {
        factor.k = 0;
      },
    });
    expect(seen).toEqual([0.9, 0.9, 0.9]);
  });

  it("the mode of a part, which it keeps", async () => {
    const dropped = new Dropped();
    const { seen } = await weights([dropped], new Scaled(), {
      start: (epoch) => {
        if (epoch === 2) dropped.eval();
      },
    });
    expect(seen).toEqual([1, 0.9, 0.8]);
    expect(dropped.training).toBe(false);
  });

  it("the layers of the model", async () => {
    const model = new Sequential([weight()], { constrained: false });
    const added = weight();
    const onEpochEnd = ({ epoch }: { epoch: number }): void => {
      if (epoch === 1) (model.layers as Module[]).push(added);
    };
    const optimizer = new SGD({ lr: 0.1 });
    await fit(model, one, { ...options, epochs: 2, loss: new Scaled(), optimizer, callbacks: [{ onEpochEnd }] });
    // The gradient is the weight in front of it.
    expect(added.weight.item()).toBeCloseTo(1 - 0.1 * 0.9, 6);
  });

  it("a field of a metric that is a function, in its figures of training and of validation", async () => {
    const share = Object.assign((outputs: Tensor): Tensor => outputs.mean().mul(0).add(share.value), { value: 1 });
    const onEpochEnd = ({ epoch }: { epoch: number }): void => {
      share.value = epoch + 1;
    };
    const model = new Sequential([weight()], { constrained: false });
    const { epochs } = await fit(model, one, {
      ...options,
      loss: new Scaled(),
      optimizer: new SGD({ lr: 0.1 }),
      metrics: { share },
      validation: one,
      callbacks: [{ onEpochEnd }],
    });
    expect(epochs.map((record) => [record.share, record.val_share])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });
});

describe("where nothing changes", () => {
  it("training is recorded once for each size of batch, and validation once, whatever recordings leave in fields", async () => {
    const recorded: string[] = [];
    class Keeping extends Module {
      readonly inner = smallNetwork();
      hidden: Tensor | undefined;
      stages: Tensor[] = [];
      forward(x: Tensor): Tensor {
        recorded.push(`${this.training} ${x.shape[0]}`);
        this.hidden = x.mul(2);
        this.stages = [this.hidden, x];
        return this.inner.forward(this.hidden);
      }
    }
    await fit(new Keeping(), clouds(50), {
      epochs: 6,
      batchSize: 20,
      loss: new CrossEntropyLoss(),
      optimizer: new SGD({ lr: 0.1 }),
      validation: clouds(33),
      verbose: false,
    });
    expect(recorded).toEqual(["false 33", "true 20", "true 10"]);
  });
});
