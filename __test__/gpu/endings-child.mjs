// Trains on the GPU until it is interrupted in the way that the first argument names; started by endings.test.ts.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Adam, CrossEntropyLoss, fit, fromArrays, Linear, manualSeed, onDevice, Sequential } from "../../dist/index.js";

const FEATURES = 6;
const CLASSES = 3;
const SAMPLES = 64;

/** Trains so many epochs and gives the parameters; `begun` is called once it does. */
async function train(epochs, begun = () => {}) {
  manualSeed(2);
  const model = new Sequential([new Linear(FEATURES, 16), new Linear(16, CLASSES)], { constrained: false });
  const values = Float32Array.from({ length: SAMPLES * FEATURES }, (_, i) => Math.sin(i));
  const labels = Array.from({ length: SAMPLES }, (_, i) => i % CLASSES);
  await fit(model, fromArrays(values, [SAMPLES, FEATURES], labels), {
    epochs,
    batchSize: 8,
    device: "gpu",
    optimizer: new Adam({ lr: 1e-3 }),
    loss: new CrossEntropyLoss(),
    verbose: false,
    callbacks: [{ onEpochStart: (epoch) => epoch === 2 && setTimeout(begun, 5) }],
  });
  return model.parameters().map((parameter) => Array.from(parameter.dataSync()));
}

const worker = (epochs) => new Worker(new URL(import.meta.url), { workerData: epochs, argv: [] });
const heard = (one, event) => new Promise((resolve, reject) => one.once(event, resolve).once("error", reject));
const FOREVER = 1e6;

const endings = {
  exit: () => train(FOREVER, () => process.exit(7)),
  exception: () =>
    train(FOREVER, () => {
      throw new Error("not caught");
    }),
  /** A worker is ended while it trains; the GPU is used by who ended it. */
  terminate: async () => {
    const one = worker(FOREVER);
    await heard(one, "message");
    const ended = await one.terminate();
    process.stdout.write(JSON.stringify([ended, await train(1)]));
  },
  /** Workers train at the same time as this thread does. */
  together: async () => {
    const workers = [worker(5), worker(5), worker(5)];
    const trained = workers.map((one) => heard(one, "message").then(() => heard(one, "message")));
    process.stdout.write(JSON.stringify(await Promise.all([train(5), ...trained])));
  },
};

if (isMainThread) await endings[process.argv[2]]();
else parentPort.postMessage(await onDevice("gpu", () => train(workerData, () => parentPort.postMessage("begun"))));
