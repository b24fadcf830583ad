// Trains small models again and again and prints resident bytes after each fifty; started by memory.test.ts.
import {
  Adam,
  CrossEntropyLoss,
  fit,
  fromArrays,
  GroupSort2,
  manualSeed,
  Sequential,
  SpectralLinear,
} from "../../dist/index.js";

const CALLS = 50;
const ROUNDS = 5;

async function once(i) {
  manualSeed(i);
  const images = Float32Array.from({ length: 16 * 400 }, (_, k) => Math.sin(k * (i + 1)));
  const labels = Array.from({ length: 16 }, (_, k) => k % 4);
  // The weight of 400 KB is what a leak would leave; orthogonalizing it well is not the point.
  const few = { bjorckIterations: 1 };
  const model = new Sequential([new SpectralLinear(400, 256, few), new GroupSort2(), new SpectralLinear(256, 4)]);
  await fit(model, fromArrays(images, [16, 400], labels), {
    epochs: 1,
    batchSize: 12,
    optimizer: new Adam(),
    loss: new CrossEntropyLoss(),
    verbose: false,
  });
}

/** Collects what is unreachable; finalizers run between turns of the event loop. */
async function settle() {
  for (let i = 0; i < 2; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

const resident = [];
for (let round = 0; round < ROUNDS; round++) {
  for (let i = 0; i < CALLS; i++) {
    await once(round * CALLS + i);
    await settle();
  }
  resident.push(process.memoryUsage().rss);
}
console.log(JSON.stringify(resident));
