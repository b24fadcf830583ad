// What is made larger and larger: batch, width, image size and depth of the reference network, one at a time.
import { Flatten, GroupSort2, manualSeed, ScaledL2NormPool2d, Sequential, SpectralConv2d, SpectralLinear } from "tslip";
import type { Network } from "../networks.js";

/** What is varied. */
export type Axis = "batch" | "width" | "size" | "depth";

/** One network and batch to be measured. */
export interface Point {
  axis: Axis;
  /** Where the point is on its axis. */
  at: number;
  batch: number;
  network: Network;
}

/** One measurement. */
export interface Cost {
  axis: Axis;
  at: number;
  work: "training" | "inference";
  threads: number;
  /** Milliseconds. */
  median: number;
  min: number;
  max: number;
  /** Floating-point operations in convolutions and matrix products. */
  flops: number;
}

/** How an axis is called in tables and plots. */
export const TITLES: Readonly<Record<Axis, string>> = {
  batch: "images in a batch",
  width: "channels of the first convolution",
  size: "pixels on a side",
  depth: "convolutions",
};

const BATCH = 256;
const REFERENCE = { channels: 16, size: 28, middle: 0 };

/** All points, smallest first on each axis. What is not varied is as in the reference network, the batch is 256. */
export const POINTS: readonly Point[] = [
  ...[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192].map(
    (at): Point => ({ axis: "batch", at, batch: at, network: growing({}) }),
  ),
  ...[4, 8, 16, 32, 64, 128].map(
    (at): Point => ({ axis: "width", at, batch: BATCH, network: growing({ channels: at }) }),
  ),
  ...[8, 16, 28, 56, 112].map((at): Point => ({ axis: "size", at, batch: BATCH, network: growing({ size: at }) })),
  ...[2, 3, 4, 6, 10, 18].map(
    (at): Point => ({ axis: "depth", at, batch: BATCH, network: growing({ middle: at - 2 }) }),
  ),
];

/** The reference network, except for what is given: `middle` are further convolutions between the second and its pooling. */
function growing(options: Partial<typeof REFERENCE>): Network {
  const { channels, size, middle } = { ...REFERENCE, ...options };
  const wide = 2 * channels;
  const features = wide * (size / 4) ** 2;
  return {
    sample: [1, size, size],
    build: () => {
      manualSeed(0);
      const repeated = Array.from({ length: middle }, () => [
        new SpectralConv2d(wide, wide, { kernelSize: 3, padding: "same" }),
        new GroupSort2(),
      ]);
      return new Sequential([
        new SpectralConv2d(1, channels, { kernelSize: 3, padding: "same" }),
        new GroupSort2(),
        new ScaledL2NormPool2d({ kernelSize: 2 }),
        new SpectralConv2d(channels, wide, { kernelSize: 3, padding: "same" }),
        new GroupSort2(),
        ...repeated.flat(),
        new ScaledL2NormPool2d({ kernelSize: 2 }),
        new Flatten(),
        new SpectralLinear(features, 4 * channels),
        new GroupSort2(),
        new SpectralLinear(4 * channels, 10, { bias: false }),
      ]);
    },
  };
}
