// What a step takes from the size of its batch belongs to that size: the last, smaller batch has constants of its own.
import {
  type Device,
  fit,
  fromArrays,
  Linear,
  Module,
  onDevice,
  SGD,
  type Tensor,
  TrainingPosition,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { describeGpu } from "../gpu/gpu.js";

/** Five samples in batches of three and two. */
const five = fromArrays(Float32Array.of(1, 2, 3, 4, 5), [5, 1], Float32Array.of(1, 1, 1, 1, 1));

/** 1, 2, ..., n. */
const counted = (n: number): Tensor => tensor(Float32Array.from({ length: n }, (_, i) => i + 1));

class Weighed extends Module {
  readonly inner = new Linear(1, 1, { bias: false }, { weight: tensor([[1]]), bias: undefined });
  forward(x: Tensor): Tensor {
    return this.inner.forward(x).mul(counted(x.shape[0] ?? 0).unsqueeze(1));
  }
}

function holds(device: Device): void {
  const options = { batchSize: 3, shuffle: false, verbose: false, device } as const;

  it("a metric's number of samples", async () => {
    const size = (outputs: Tensor): Tensor => tensor([outputs.shape[0] ?? 0]).sum();
    const loss = { forward: (outputs: Tensor) => outputs.mean() };
    const model = new Linear(1, 1);
    const { epochs } = await fit(model, five, {
      ...options,
      epochs: 3,
      loss,
      optimizer: new SGD({ lr: 0 }),
      metrics: { size, again: size },
      validation: five,
    });
    for (const { size: mean, again, val_size } of epochs) expect([mean, again, val_size]).toEqual([2.6, 2.6, 5]);
  });

  it("a number for each sample, in a metric, the loss and the model", async () => {
    const model = new Weighed();
    const loss = {
      forward: (outputs: Tensor) =>
        outputs
          .squeeze(1)
          .mul(counted(outputs.shape[0] ?? 0))
          .sum(),
    };
    const largest = (outputs: Tensor): Tensor => counted(outputs.shape[0] ?? 0).max();
    const lr = 1 / 1024;
    const { epochs } = await fit(model, five, {
      ...options,
      epochs: 1,
      loss,
      optimizer: new SGD({ lr }),
      metrics: { largest },
    });
    // Sums of a sample by the squares of its place: 1 + 2 * 4 + 3 * 9, then 4 + 5 * 4.
    expect(epochs[0]?.largest).toBe(2.6);
    expect(epochs[0]?.loss).toBeCloseTo((3 * 36 + 2 * (1 - 36 * lr) * 24) / 5, 4);
    expect(model.inner.weight.item()).toBeCloseTo(1 - (36 + 24) * lr, 6);
  });
}

describe("constants of each size of batch are its own on the CPU:", () => holds("cpu"));
describeGpu("constants of each size of batch are its own on a GPU:", () => holds("gpu"));

describeGpu("a last batch that is trained on a GPU after the others on the CPU", () => {
  it("has the constants of its own size", async () => {
    const [one, two] = [new Weighed(), new Weighed()];
    const train = async (model: Module, devices: readonly Device[]): Promise<void> => {
      const position = new TrainingPosition();
      for (const [i, device] of devices.entries()) {
        const loss = { forward: (outputs: Tensor) => outputs.mean().mul(outputs.shape[0] ?? 0) };
        const more = { maxSteps: i + 1, epochs: 1, loss, optimizer: new SGD({ lr: 1 / 1024 }), position };
        await onDevice(device, () => fit(model, five, { batchSize: 3, shuffle: false, verbose: false, ...more }));
      }
    };
    await train(one, ["cpu", "gpu"]);
    await train(two, ["cpu", "cpu"]);
    expect(one.inner.weight.item()).toBeCloseTo(two.inner.weight.item(), 6);
    expect(two.inner.weight.item()).toBeCloseTo(1 - (14 + 14) / 1024, 6);
  });
});
