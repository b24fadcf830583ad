// Uses the GPU once and ends: as a process, or as a worker thread (with an argument, that many workers one after another).
import { isMainThread, Worker } from "node:worker_threads";
import { Linear, onDevice, Sequential } from "../../dist/index.js";

async function once() {
  const model = new Sequential([new Linear(6, 3)]);
  const logits = await onDevice("gpu", () => model.predict({ data: new Float32Array(12).fill(0.5), shape: [2, 6] }));
  if (!logits.dataSync().every(Number.isFinite)) throw new Error("logits that are not finite");
}

const [, , rounds] = process.argv;
if (isMainThread && rounds !== undefined) {
  const resident = [];
  for (let i = 0; i < Number(rounds); i++) {
    const worker = new Worker(new URL(import.meta.url), { argv: [] });
    await new Promise((resolve, reject) =>
      worker
        .once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`worker ${i} ended with ${code}`))))
        .once("error", reject),
    );
    resident.push(process.memoryUsage.rss());
  }
  process.stdout.write(JSON.stringify(resident));
} else {
  await once();
}
