// Prints the microseconds of a prediction and of a certificate of one image, each the shortest of many rounds.

import { reference } from "../../dist/benches/networks.js";
import { certify, randn, tensor } from "../../dist/index.js";

const model = reference.build().eval();
const served = process.argv[2] === "an export" ? model.vanillaExport() : model;
const image = tensor(randn([784], { seed: 1 }).dataSync(), [1, 1, 28, 28]);
const works = { predict: () => served.predict(image), certify: () => certify(served, image) };

const shortest = { predict: Number.POSITIVE_INFINITY, certify: Number.POSITIVE_INFINITY };
for (let round = 0; round < 40; round++) {
  for (const [name, work] of Object.entries(works)) {
    const start = performance.now();
    for (let i = 0; i < 200; i++) await work();
    shortest[name] = Math.min(shortest[name], (1000 * (performance.now() - start)) / 200);
  }
}
console.log(JSON.stringify(shortest));
