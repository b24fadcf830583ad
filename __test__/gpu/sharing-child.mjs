// Three threads that each run steps of some ten milliseconds and more on one GPU; prints the errors of all.
import { isMainThread, parentPort, Worker } from "node:worker_threads";

const { compile, onDevice, state, zeros } = await import("../../dist/index.js");
const SIDE = 300;
const STEPS = 8;

const weight = state(zeros([SIDE, SIDE]));
const step = compile(() => {
  weight.assign(weight.matmul(weight).mul(1e-3).add(1));
  return weight.sum();
});

async function errors() {
  const found = [];
  await onDevice("gpu", async () => {
    for (let i = 0; i < STEPS; i++) await step().catch((error) => found.push(`${error.code} ${error.message}`));
  });
  return found;
}

if (isMainThread) {
  const workers = [0, 1].map(() => new Worker(new URL(import.meta.url)));
  const theirs = workers.map((worker) => new Promise((resolve) => worker.once("message", resolve)));
  const all = [await errors(), ...(await Promise.all(theirs))];
  console.log(JSON.stringify(all.flat()));
} else parentPort.postMessage(await errors());
