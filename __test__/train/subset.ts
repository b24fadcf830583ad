// The shipped subset of Fashion-MNIST, the reference network and a tiny problem, for tests that train.
import { fileURLToPath } from "node:url";
import {
  Adam,
  type Dataset,
  datasets,
  Flatten,
  fromArrays,
  GroupSort2,
  HKRMulticlassLoss,
  Linear,
  type Module,
  manualSeed,
  ReLU,
  randn,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  TslipError,
} from "tslip";

export const SUBSET_FOLDER = fileURLToPath(new URL("../../data/fashion-mnist-subset", import.meta.url));

let loaded: Promise<{ train: Dataset; test: Dataset }> | undefined;

/** 6,000 + 1,000 images of ten classes. */
export function subset(): Promise<{ train: Dataset; test: Dataset }> {
  loaded ??= datasets.fashionMnist({ dir: SUBSET_FOLDER });
  return loaded;
}

/** The network of the reference run. */
export function referenceNetwork(seed = 0): Sequential {
  manualSeed(seed);
  return new Sequential(
    [
      new SpectralConv2d(1, 16, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new SpectralConv2d(16, 32, { kernelSize: 3, padding: "same" }),
      new GroupSort2(),
      new ScaledL2NormPool2d({ kernelSize: 2 }),
      new Flatten(),
      new SpectralLinear(1568, 64),
      new GroupSort2(),
      new SpectralLinear(64, 10, { bias: false }),
    ],
    { kCoefLip: 1 },
  );
}

/** The reference run's optimizer and loss, with a larger rate for shorter training. */
export const referenceOptions = () => ({
  optimizer: new Adam({ lr: 1e-3 }),
  loss: new HKRMulticlassLoss({ alpha: 100, minMargin: 0.25 }),
  verbose: false,
});

/** Three Gaussian clouds in eight dimensions. */
export function clouds(samples = 60, seed = 7): Dataset {
  const noise = randn([samples, 8], { seed }).dataSync();
  const labels = Array.from({ length: samples }, (_, i) => i % 3);
  const values = Float32Array.from(noise, (x, k) => 0.5 * x + (k % 8 === (labels[Math.floor(k / 8)] ?? 0) ? 2 : 0));
  return fromArrays(values, [samples, 8], labels);
}

/** A small ordinary network for {@link clouds}. */
export function smallNetwork(seed = 1): Sequential {
  manualSeed(seed);
  return new Sequential([new Linear(8, 16), new ReLU(), new Linear(16, 3)], { constrained: false });
}

/** All parameters, one after another. */
export function weightsOf(model: Module): number[] {
  return model.parameters().flatMap((parameter) => Array.from(parameter.dataSync()));
}

/** Code of the TslipError that `run` throws or rejects with. */
export async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof TslipError) return error.code;
    throw error;
  }
  return "nothing thrown";
}
