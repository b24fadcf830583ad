// What is the same bits on a GPU as on the CPU: random numbers, initial weights, and what a data set feeds a step.
import {
  arange,
  assign,
  CrossEntropyLoss,
  type Dataset,
  Flatten,
  fit,
  fromArrays,
  Linear,
  manualSeed,
  onDevice,
  orthogonal,
  rand,
  randn,
  type Schedule,
  Sequential,
  SGD,
  StepLR,
  state,
  type Tensor,
  zeros,
} from "tslip";
import { expect, it } from "vitest";
import { gpuCounters } from "../../src/native.js";
import { shuffledOrder } from "../../src/train/batches.js";
import { describeGpu } from "./gpu.js";
import { network } from "./network.js";

/** Equal arrays of equal bits: 0 and -0 differ. */
const bitsOf = (values: Iterable<number>): number[] => Array.from(new Uint32Array(Float32Array.from(values).buffer));

describeGpu("random numbers on a GPU", () => {
  const makers = {
    rand: (seed: number) => rand([5, 7, 3], { seed }),
    randn: (seed: number) => randn([5, 7, 3], { seed }),
    orthogonal: (seed: number) => orthogonal(6, 4, { seed }),
  };

  it.each(Object.entries(makers))("that %s makes are the CPU's, and others for each seed", async (_, make) => {
    const seen = new Set<string>();
    const seeds = [0, 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1];
    const before = gpuCounters(0).submits;
    for (const seed of seeds) {
      const cpu = bitsOf(await make(seed).data());
      const gpu = bitsOf(await onDevice("gpu", () => make(seed).data()));
      expect(gpu).toEqual(cpu);
      seen.add(gpu.join());
    }
    expect(seen.size).toBe(seeds.length);
    expect(gpuCounters(0).submits - before).toBeGreaterThanOrEqual(seeds.length);
  });

  it("fill a network with the CPU's weights", () => {
    const weights = (): number[][] =>
      network()
        .parameters()
        .map((parameter) => bitsOf(parameter.dataSync()));
    const cpu = weights();
    expect(onDevice("gpu", weights)).toEqual(cpu);
    expect(new Set(cpu.flat()).size).toBeGreaterThan(100);
  });
});

/** Not a multiple of the batch, so that an epoch ends with a smaller one. */
const SAMPLES = 23;
const BATCH = 5;
const PIXELS = 6;
const SEED = 11;

/**
 * Trains with a loss that notes what each sample is fed as: its place in the epochs, its pixels, and the rate of the step. The
 * label of a sample is its number, so that its row is known.
 */
async function noted(
  data: Dataset,
  device: "cpu" | "gpu",
  epochs: number,
  schedule?: Schedule,
): Promise<Record<string, number[]>> {
  manualSeed(5);
  const optimizer = new SGD({ lr: 0.125 });
  let fed: Tensor | undefined;
  const model = new (class extends Sequential {
    override forward(images: Tensor): Tensor {
      fed = images;
      return super.forward(images);
    }
  })([new Flatten(), new Linear(PIXELS, SAMPLES)], { constrained: false });
  const taken = state(zeros([]));
  const places = state(zeros([SAMPLES]));
  const pixels = state(zeros([SAMPLES, PIXELS]));
  const rates = state(zeros([SAMPLES]));
  const loss = new (class extends CrossEntropyLoss {
    override forward(logits: Tensor, labels: Tensor): Tensor {
      const [rows = 0] = labels.shape;
      const own = labels.oneHot(SAMPLES);
      const among = arange(rows, { dtype: "f32" }).add(taken).reshape([rows, 1]);
      assign(places, places.add(own.mul(among).sum(0)));
      // One term of each sum is not zero: nothing is rounded.
      assign(pixels, pixels.add(own.transpose().matmul((fed ?? logits).reshape([rows, PIXELS]))));
      assign(rates, rates.add(own.mul(optimizer.rate).sum(0)));
      assign(taken, taken.add(rows));
      return super.forward(logits, labels);
    }
  })();
  const options = { epochs, batchSize: BATCH, seed: SEED, verbose: false, device, optimizer, loss };
  await fit(model, data, schedule === undefined ? options : { ...options, schedule });
  const notes = { places, pixels, rates, taken };
  return Object.fromEntries(Object.entries(notes).map(([name, note]) => [name, Array.from(note.dataSync())]));
}

describeGpu("a data set on a GPU", () => {
  const bytes = Uint8Array.from({ length: SAMPLES * PIXELS }, (_, i) => (37 * i) % 256);
  const labels = Array.from({ length: SAMPLES }, (_, i) => i);
  const kinds: Record<string, Uint8Array | Float32Array> = {
    bytes,
    floats: Float32Array.from(bytes, (byte) => Math.sin(byte) / 3),
  };

  it.each(Object.entries(kinds))("of %s feeds each sample once an epoch, in the shuffled order", async (_, images) => {
    const data = fromArrays(images, [SAMPLES, 1, 2, PIXELS / 2], labels);
    const [cpu, gpu] = [await noted(data, "cpu", 2), await noted(data, "gpu", 2)];
    const orders = [1, 2].map((epoch) => Array.from(shuffledOrder(SAMPLES, SEED, epoch)));
    const wanted = labels.map((sample) => orders.reduce((sum, order) => sum + order.indexOf(sample), SAMPLES));
    expect([gpu["places"], gpu["taken"]]).toEqual([wanted, [2 * SAMPLES]]);
    // Twice each pixel: a byte divided by 255 is the nearest float on both.
    const own = Array.from(images, (pixel) => 2 * Math.fround(images === bytes ? pixel / 255 : pixel));
    expect(bitsOf(gpu["pixels"] ?? [])).toEqual(bitsOf(own));
    expect(gpu).toEqual(cpu);
  });

  it("sets the rates of a schedule before the steps that they belong to", async () => {
    const data = fromArrays(bytes, [SAMPLES, 1, 2, PIXELS / 2], labels);
    // Powers of two: the sum of both epochs is not rounded.
    const schedule = new StepLR({ lr: 0.5, stepSize: 2, gamma: 0.5 });
    const [cpu, gpu] = [await noted(data, "cpu", 2, schedule), await noted(data, "gpu", 2, schedule)];
    const steps = Math.ceil(SAMPLES / BATCH);
    const rate = (sample: number, epoch: number): number => {
      const place = shuffledOrder(SAMPLES, SEED, epoch).indexOf(sample);
      return schedule.at((epoch - 1) * steps + Math.floor(place / BATCH)).lr;
    };
    expect(gpu["rates"]).toEqual(labels.map((sample) => rate(sample, 1) + rate(sample, 2)));
    expect(gpu).toEqual(cpu);
  });
});
