// Trains three small networks and prints a hash of the bits of their parameters; started by threads.test.ts.
import { createHash } from "node:crypto";
import {
  Adam,
  Flatten,
  fit,
  fromArrays,
  GroupSort,
  GroupSort2,
  HKRMulticlassLoss,
  manualSeed,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
} from "../../dist/index.js";

const networks = [
  () => [
    new SpectralConv2d(1, 16, { kernelSize: 3, padding: "same" }),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Flatten(),
    new SpectralLinear(16 * 36, 64),
    new GroupSort2(),
    new SpectralLinear(64, 10),
  ],
  () => [
    new SpectralConv2d(1, 9, { kernelSize: 5, stride: 2 }),
    new GroupSort(3),
    new Flatten(),
    new SpectralLinear(9 * 16, 33),
    new SpectralLinear(33, 10),
  ],
  () => [new Flatten(), new SpectralLinear(144, 200), new GroupSort2(), new SpectralLinear(200, 10)],
];

const hash = createHash("sha256");
for (const layers of networks) {
  manualSeed(0);
  const model = new Sequential(layers());
  const pixels = Float32Array.from({ length: 277 * 144 }, (_, i) => Math.sin(0.37 * i));
  const data = fromArrays(
    pixels,
    [277, 1, 12, 12],
    Array.from({ length: 277 }, (_, i) => i % 10),
  );
  const loss = new HKRMulticlassLoss({ alpha: 10, minMargin: 0.25 });
  await fit(model, data, { epochs: 2, batchSize: 130, optimizer: new Adam({ lr: 1e-3 }), loss, verbose: false });
  for (const parameter of model.parameters()) hash.update(new Uint8Array(parameter.dataSync().buffer));
}
process.stdout.write(hash.digest("hex"));
