// Trains, predicts and compiles on the GPU again and again, drops the models, and prints after each round what is left: words of
// the GPU that tensors take, and resident bytes, among which a software GPU's memory is; started by memory.test.ts.
import {
  Adam,
  CrossEntropyLoss,
  compile,
  fit,
  fromArrays,
  GroupSort2,
  Linear,
  manualSeed,
  onDevice,
  ones,
  Sequential,
} from "../../dist/index.js";
import { gpuCounters } from "../../dist/native.js";

const CALLS = 8;
const ROUNDS = 5;
const FEATURES = 400;
const WIDTH = 256;

async function once(i) {
  manualSeed(i);
  const values = Float32Array.from({ length: 16 * FEATURES }, (_, k) => Math.sin(k * (i + 1)));
  const labels = Array.from({ length: 16 }, (_, k) => k % 4);
  // The weight of 400 KB, and its moments, are what a leak would leave.
  const layers = [new Linear(FEATURES, WIDTH), new GroupSort2(), new Linear(WIDTH, 4)];
  const model = new Sequential(layers, { constrained: false });
  await fit(model, fromArrays(values, [16, FEATURES], labels), {
    epochs: 1,
    batchSize: 12,
    device: "gpu",
    optimizer: new Adam(),
    loss: new CrossEntropyLoss(),
    verbose: false,
  });
  await onDevice("gpu", async () => {
    await model.predict(ones([3, FEATURES]));
    const doubled = compile((x) => x.mul(2).add(model.parameters()[1]));
    await doubled(ones([2, WIDTH]));
  });
}

/** Collects what is unreachable; finalizers run between turns of the event loop. */
async function settle() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

// First values are computed on the CPU, which keeps 16 MiB of them: so many that there are no more.
for (let i = 0; i < 48; i++) {
  manualSeed(1000 + i);
  new Linear(FEATURES, WIDTH).parameters()[0].dataSync();
  await settle();
}
const rounds = [];
for (let round = 0; round < ROUNDS; round++) {
  for (let i = 0; i < CALLS; i++) {
    await once(round * CALLS + i);
    await settle();
  }
  // A job lets go of what earlier ones have left.
  await onDevice("gpu", () => ones([3]).add(1).data());
  const { wordsInUse, pipelines } = gpuCounters(0);
  rounds.push({ wordsInUse, pipelines, resident: process.memoryUsage.rss() });
}
console.log(JSON.stringify(rounds));
