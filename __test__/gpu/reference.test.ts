// The reference network on a GPU: a short real training run, and what a step of it costs.
import { expect, it } from "vitest";
import {
  Adam,
  compile,
  type Dataset,
  fit,
  HKRMulticlassLoss,
  type Module,
  type Optimizer,
  onDevice,
  ones,
  SGD,
  type Tensor,
} from "../../src/index.js";
import { gpuCounters, gpus } from "../../src/native.js";
import { Pass } from "../../src/train/pass.js";
import { referenceNetwork, subset } from "../train/subset.js";
import { describeGpu } from "./gpu.js";

/** A short run: two steps of a hundred images on each device, some 4 s of a core each on a GPU in software. */
const SAMPLES = 200;
const BATCH = 100;
/** Steps that are counted: few images, as what they cost the host does not depend on how many. */
const COUNTED = { samples: 16, batch: 8 };
const STEPS = COUNTED.samples / COUNTED.batch;
const MOST_DISPATCHES = 69;
/** Two steps of rounding, relative. */
const OF_LOSS = 1e-4;

const loss = (): HKRMulticlassLoss => new HKRMulticlassLoss({ alpha: 100, minMargin: 0.25 });

async function samples(count: number): Promise<Dataset> {
  const { train } = await subset();
  return train.subset(Array.from({ length: count }, (_, i) => i));
}

function train(data: Dataset, batchSize: number, device: "cpu" | "gpu", model: Module, optimizer: Optimizer) {
  return fit(model, data, { epochs: 1, batchSize, verbose: false, device, loss: loss(), optimizer });
}

/** The kernels of a step take seconds to be compiled by a software driver on a busy machine, its products to be computed. */
const TIMEOUT = 120_000;

describeGpu("the reference network on a GPU", { timeout: TIMEOUT }, () => {
  it("trains on a few hundred images as the CPU does", async () => {
    const data = await samples(SAMPLES);
    // Not with Adam: its first steps are of one size for all biases, so that pairs of channels tie where the image is
    // black, and rounding decides which of them is sorted first.
    const descent = (): SGD => new SGD({ lr: 1e-3, momentum: 0.9 });
    const [cpu, gpu] = [
      await train(data, BATCH, "cpu", referenceNetwork(), descent()),
      await train(data, BATCH, "gpu", referenceNetwork(), descent()),
    ];
    expect(Math.abs((gpu.epochs[0]?.loss ?? Number.NaN) / (cpu.epochs[0]?.loss ?? 0) - 1)).toBeLessThan(OF_LOSS);
  });

  it("takes a step in one submission of at most 69 kernels that allocates nothing", async () => {
    const data = await samples(COUNTED.samples);
    const [model, optimizer] = [referenceNetwork(), new Adam({ lr: 1e-3 })];
    await train(data, COUNTED.batch, "gpu", model, optimizer);
    const before = gpuCounters(0);
    await train(data, COUNTED.batch, "gpu", model, optimizer);
    const after = gpuCounters(0);
    const spent = (key: keyof typeof after): number => after[key] - before[key];
    // Three more read at the end whether a step has failed, the losses and the outputs.
    expect(spent("submits")).toBe(STEPS + 3);
    expect(spent("dispatches") / STEPS).toBeLessThanOrEqual(MOST_DISPATCHES);
    expect([spent("pipelines"), spent("buffers")]).toEqual([0, 0]);
    // Where the words that say whether this job has ended lie elsewhere than those of the last one, they are bound anew.
    expect(spent("bindGroups")).toBeLessThanOrEqual(1);
    // What nothing uses any more is given back when a run begins.
    expect(spent("wordsInUse")).toBeLessThanOrEqual(0);
    // The loss of each step, and whether it has failed where that was looked at; both of the last among the outputs.
    expect(spent("bytesToHost")).toBeLessThanOrEqual(4 * (2 * STEPS + 4));
  });

  it.each([4096, 100])("takes no more kernels for a batch of %i", async (batch) => {
    const data = await samples(SAMPLES);
    const training = { batchSize: batch, loss: loss(), optimizer: new Adam({ lr: 1e-3 }) };
    const pass = onDevice("gpu", () => Pass.training(referenceNetwork(), data, training));
    const [, dispatches] = /(\d+) dispatches in one submission/.exec(onDevice("gpu", () => pass.explain())) ?? [];
    // One more brings the samples from the data set.
    expect(Number(dispatches) + 1).toBeLessThanOrEqual(MOST_DISPATCHES);
  });

  it("says how long each kernel takes, where the adapter has timestamps", async () => {
    const product = compile((x: Tensor) => x.matmul(x).relu().sum());
    const text = await onDevice("gpu", () => product.profile(ones([64, 64])));
    expect(text).toMatch(/product/);
    if (gpus(false)[0]?.timestamps === true) expect(text).toMatch(/\d\.\d{4} ms {2}0: product/);
  });
});
