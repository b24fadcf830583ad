// Uses a GPU for the first time while a timer counts: prints how long that took, and the longest time without a tick.
import {
  Adam,
  CrossEntropyLoss,
  certify,
  DDNAttack,
  fit,
  fromArrays,
  SpectralLinear,
  setDefaultDevice,
  tensor,
} from "../../dist/index.js";

const images = new Float32Array(16).map((_, i) => Math.abs(Math.sin(i)));
const batch = { data: images, shape: [2, 8] };
const works = {
  predict: async (model) => await model.predict(batch),
  certify: async (model) => await certify(model, batch),
  attack: async (model) =>
    await new DDNAttack({ steps: 2 }).run(model, tensor(images, [2, 8]), [0, 1], { bounds: [0, 1] }),
  fit: async (model) => {
    const [loss, optimizer] = [new CrossEntropyLoss(), new Adam({ lr: 1e-3 })];
    await fit(model, fromArrays(images, [2, 8], [0, 1]), { epochs: 1, batchSize: 2, loss, optimizer, verbose: false });
  },
};
const work = works[process.argv[2]];
// All that is compiled when first used, but the GPU.
await work(new SpectralLinear(8, 3));

setDefaultDevice("gpu");
const model = new SpectralLinear(8, 3);
const begun = performance.now();
let [last, longest] = [begun, 0];
const tick = () => {
  const now = performance.now();
  longest = Math.max(longest, now - last);
  last = now;
};
const timer = setInterval(tick, 1);
await work(model);
tick();
clearInterval(timer);
process.stdout.write(JSON.stringify({ took: performance.now() - begun, longest }));
