// The shrunk reference network of the training, attack and interoperation cases.
import {
  Conv2d,
  Flatten,
  GroupSort2,
  Linear,
  type Module,
  ScaledL2NormPool2d,
  Sequential,
  SpectralConv2d,
  SpectralLinear,
  type Tensor,
} from "tslip";
import type { Case } from "./case.js";
import { floats, input } from "./compute.js";

/** Names of the generator's layers and their places in the Sequential. */
const PLACES: Readonly<Record<string, number>> = { conv1: 0, conv2: 3, fc1: 7, fc2: 9 };

export interface Sizes {
  readonly channels: readonly [number, number];
  readonly image: number;
  readonly width: number;
  readonly classes: number;
}

/** Sizes read off the weights of a case. */
export function sizesOf(c: Case): Sizes {
  const rows = (name: string): number => input(c, `${name}.weight`).shape[0] ?? 0;
  const image = input(c, "x").shape[2] ?? 0;
  return { channels: [rows("conv1"), rows("conv2")], image, width: rows("fc1"), classes: rows("fc2") };
}

/** The network with normalized weights. */
export function spectralNetwork(sizes: Sizes, options: { bjorckIterations?: number } = {}): Sequential {
  const [a, b] = sizes.channels;
  const convolution = { kernelSize: 3, padding: "same", ...options } as const;
  return network(
    new SpectralConv2d(1, a, convolution),
    new SpectralConv2d(a, b, convolution),
    new SpectralLinear(features(sizes), sizes.width, options),
    new SpectralLinear(sizes.width, sizes.classes, { bias: false, ...options }),
  );
}

/** The same of ordinary layers, with or without a bias in the last one. */
export function ordinaryNetwork(sizes: Sizes, bias: boolean): Sequential {
  const [a, b] = sizes.channels;
  const convolution = { kernelSize: 3, padding: "same" } as const;
  return network(
    new Conv2d(1, a, convolution),
    new Conv2d(a, b, convolution),
    new Linear(features(sizes), sizes.width),
    new Linear(sizes.width, sizes.classes, { bias }),
  );
}

function network(conv1: Module, conv2: Module, fc1: Module, fc2: Module): Sequential {
  const pool = () => new ScaledL2NormPool2d({ kernelSize: 2 });
  const sort = () => new GroupSort2();
  const layers = [conv1, sort(), pool(), conv2, sort(), pool(), new Flatten(), fc1, sort(), fc2];
  return new Sequential(layers, { constrained: conv1.lipschitzByConstruction });
}

/** Pixels that are left after two poolings, times channels. */
function features({ channels, image }: Sizes): number {
  return channels[1] * Math.floor(image / 4) ** 2;
}

/** Loads the weights of a case under the generator's names; `weightKey` is the model's name for a weight. */
export function loadWeights(model: Sequential, c: Case, weightKey: string): void {
  const record: Record<string, Tensor> = {};
  for (const [name, numbers] of Object.entries(c.inputs)) {
    const [layer = "", part = ""] = name.split(".");
    const place = PLACES[layer];
    if (place !== undefined) record[`${place}.${part === "weight" ? weightKey : part}`] = floats(numbers);
  }
  model.loadStateDict(record);
}

/** The generator's names of a model's parameters, in their order. */
export function weightNames(model: Sequential): string[] {
  return model.namedParameters().map(([key]) => {
    const [place = "", ...rest] = key.split(".");
    const layer = Object.entries(PLACES).find(([, at]) => String(at) === place)?.[0] ?? place;
    return `${layer}.${rest.at(-1) === "bias" ? "bias" : "weight"}`;
  });
}
