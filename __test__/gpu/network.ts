// A small network of the reference's kind, and data that it can learn.
import {
  type Dataset,
  Flatten,
  fromArrays,
  GroupSort2,
  manualSeed,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
} from "../../src/index.js";

export const CLASSES = 4;
const SIDE = 8;

/** The same weights each time. */
export function network(): Sequential {
  manualSeed(3);
  return new Sequential([
    new SpectralConv2d(1, 4, { kernelSize: 3, padding: "same" }),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new SpectralConv2d(4, 6, { kernelSize: 3, padding: "same" }),
    new GroupSort2(),
    new ScaledL2NormPool2d({ kernelSize: 2 }),
    new Flatten(),
    new SpectralLinear(24, 8),
    new GroupSort2(),
    new SpectralLinear(8, CLASSES, { bias: false }),
  ]);
}

/** Bytes: a bright quarter says the class. */
export function images(count: number): Dataset {
  const pixels = new Uint8Array(count * SIDE * SIDE);
  const labels = Array.from({ length: count }, (_, i) => i % CLASSES);
  for (let i = 0; i < pixels.length; i++) {
    const sample = Math.floor(i / (SIDE * SIDE));
    const quarter = 2 * Number(Math.floor((i / SIDE) % SIDE) >= SIDE / 2) + Number(i % SIDE >= SIDE / 2);
    const noise = 60 * (1 + Math.sin(12.9898 * i));
    pixels[i] = Math.floor(noise + (quarter === sample % CLASSES ? 130 : 0));
  }
  return fromArrays(pixels, [count, 1, SIDE, SIDE], labels);
}
