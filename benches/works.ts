// Everything that can be measured, by name.
import { datasets, loadModel, type Module, projections, type Tensor, type TrainAndTest } from "tslip";
import { checkpointOf } from "./checkpoint.js";
import { attackStep, inference, inferenceSync, type Measured, randomData, randomImages, training } from "./measure.js";
import { mlp, type Network, odd, ordinaryMlp, reference, residual, signal, sorted, square, wide } from "./networks.js";
import type { Repetitions } from "./timing.js";

/** What works share: data that are read once, and where a checkpoint is. */
export class Bench {
  #data: Promise<TrainAndTest> | undefined;

  /** @param checkpoint a file written by `saveModel`; by default one is made and kept. */
  constructor(readonly checkpoint?: string) {}

  /** Fashion-MNIST. */
  data(): Promise<TrainAndTest> {
    this.#data ??= datasets.fashionMnist();
    return this.#data;
  }

  /** Path of the checkpoint. */
  async checkpointFile(): Promise<string> {
    return this.checkpoint ?? (await checkpointOf((await this.data()).train));
  }

  /** The reference network after ten epochs. */
  async trained(): Promise<Module> {
    return await loadModel(await this.checkpointFile());
  }

  /** The first `count` test images; from the first again where there are fewer. */
  async images(count: number): Promise<Tensor> {
    const { test } = await this.data();
    return test.select(Array.from({ length: count }, (_, i) => i % test.length)).images;
  }
}

/** A work measures itself. */
export type Work = (bench: Bench) => Promise<Measured>;

const LARGE = { batch: 4096, steps: 1, repeats: 14, warmUp: 4 };
const SMALL = { batch: 100, steps: 10, repeats: 14, warmUp: 4 };
const ONE: Repetitions = { repeats: 2200, warmUp: 200 };

/** Works of the reference network, as a run of the benches measures them. */
export const REFERENCE_WORKS: Readonly<Record<string, Work>> = {
  train4096: async (bench) => training(reference.build(), (await bench.data()).train, LARGE),
  train100: async (bench) => training(reference.build(), (await bench.data()).train, SMALL),
  train4096Trained10: async (bench) => training(await bench.trained(), (await bench.data()).train, LARGE),
  train100Trained10: async (bench) => training(await bench.trained(), (await bench.data()).train, SMALL),
  infer4096: async (bench) => inference(exported(reference), await bench.images(4096), { repeats: 24, warmUp: 4 }),
  infer1: async (bench) => inference(exported(reference), await bench.images(1), ONE),
  infer1Sync: async (bench) => inferenceSync(exported(reference), await bench.images(1), ONE),
  attack: async (bench) => attackStep(exported(reference), await bench.images(10), { repeats: 6, warmUp: 1 }),
};

const OTHERS: Readonly<Record<string, Network>> = { mlp, odd, wide, residual, signal, sorted };
const BATCHES = [256, 16];

/** How the times of works with such batches are taken. */
const repetitionsOf = (batch: number): Repetitions => ({
  repeats: batch > 100 ? 24 : 120,
  warmUp: batch > 100 ? 4 : 20,
});

/** Training of the dense network where projections keep its constant, which does what `mlpTrain256` and `mlpTrain16` do. */
const PROJECTED: Readonly<Record<string, Work>> = Object.fromEntries(
  BATCHES.map((batch): [string, Work] => {
    const options = { ...repetitionsOf(batch), batch, steps: 1, projection: projections.spectral() };
    return [
      `mlpTrain${batch}Projection`,
      () => training(ordinaryMlp.build(), randomData(ordinaryMlp, 10 * batch), options),
    ];
  }),
);

/** Training and inference of the other networks: `mlpTrain256`, `mlpTrain256Projection`, `mlpInfer256`, `mlpInfer256Sync`, … */
export const OTHER_WORKS: Readonly<Record<string, Work>> = {
  ...Object.fromEntries(
    Object.entries(OTHERS).flatMap(([name, network]) =>
      BATCHES.flatMap((batch): [string, Work][] => {
        const repeats = repetitionsOf(batch);
        return [
          [`${name}Train${batch}`, () => trainingOf(network, batch, repeats)],
          [`${name}Infer${batch}`, async () => inference(exported(network), randomImages(network, batch), repeats)],
          [
            `${name}Infer${batch}Sync`,
            async () => inferenceSync(exported(network), randomImages(network, batch), repeats),
          ],
        ];
      }),
    ),
  ),
  ...PROJECTED,
};

/** Training of a square dense layer by each method that makes its weight orthonormal. */
export const METHOD_WORKS: Readonly<Record<string, Work>> = {
  squareBjorck: () => trainingOf(square("bjorck"), 256, repetitionsOf(256)),
  squareCayley: () => trainingOf(square("cayley"), 256, repetitionsOf(256)),
  squareCholesky: () => trainingOf(square("cholesky"), 256, repetitionsOf(256)),
};

/** Ten different batches, a native call for each so that every step is timed by itself. */
function trainingOf(network: Network, batch: number, repeats: Repetitions): Promise<Measured> {
  return training(network.build(), randomData(network, 10 * batch), { ...repeats, batch, steps: 1 });
}

function exported({ build }: Network): Module {
  return build().vanillaExport().eval();
}
