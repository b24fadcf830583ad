// Attacks that ask alone on a network that was trained on the shipped images: how near they come beside those that have gradients.
import {
  audit,
  BinarySearchContrastReductionAttack,
  BoundaryAttack,
  certify,
  Flatten,
  fit,
  GroupSort2,
  HopSkipJumpAttack,
  L2CarliniWagnerAttack,
  L2RepeatedAdditiveGaussianNoiseAttack,
  L2SquareAttack,
  LinfFMNAttack,
  LinfSquareAttack,
  type Module,
  manualSeed,
  PointwiseAttack,
  type QueryAttack,
  SaltAndPepperNoiseAttack,
  Sequential,
  SpectralLinear,
  type Tensor,
} from "tslip";
import { beforeAll, describe, expect, it } from "vitest";
import { referenceOptions, subset } from "../train/subset.js";

const COUNT = 6;
const LONG = 120_000;

let network: Module;
let images: Tensor;
let labels: number[];
let nearest: { L2: number; Linf: number };

const middle = (values: Iterable<number>): number => [...values].sort((a, b) => a - b)[Math.floor(COUNT / 2)] ?? 0;

beforeAll(async () => {
  manualSeed(3);
  const { train, test } = await subset();
  const model = new Sequential([
    new Flatten(),
    new SpectralLinear(784, 32),
    new GroupSort2(),
    new SpectralLinear(32, 10, { bias: false }),
  ]);
  await fit(model, train, { epochs: 5, batchSize: 256, seed: 3, ...referenceOptions() });
  network = model.vanillaExport().eval();
  const chosen = await test.onePerClass(network);
  images = chosen.images.slice([0], [COUNT]);
  labels = Array.from(chosen.labels).slice(0, COUNT);
  const cw = await new L2CarliniWagnerAttack({ steps: 300, binarySearchSteps: 6 }).run(network, images, labels);
  const fmn = await new LinfFMNAttack().run(network, images, labels);
  nearest = { L2: middle(cw.distances), Linf: middle(fmn.distances) };
}, LONG);

describe("distances beside those of Carlini-Wagner and FMN", () => {
  // Times the median distance of the attack with gradients.
  it.each<[string, "L2" | "Linf", number, () => QueryAttack]>([
    ["HopSkipJump", "L2", 1.5, () => new HopSkipJumpAttack({ steps: 15, seed: 1 })],
    [
      "HopSkipJump with a grid of steps",
      "L2",
      2.5,
      () => new HopSkipJumpAttack({ steps: 3, stepsizeSearch: "grid_search", seed: 1 }),
    ],
    ["the boundary attack", "L2", 3, () => new BoundaryAttack({ steps: 3000, seed: 1 })],
    ["the square attack", "L2", 3, () => new L2SquareAttack({ steps: 500, binarySearchSteps: 8, seed: 1 })],
    ["HopSkipJump", "Linf", 2.5, () => new HopSkipJumpAttack({ steps: 15, constraint: "linf", seed: 1 })],
    ["the square attack", "Linf", 3.5, () => new LinfSquareAttack({ steps: 300, binarySearchSteps: 8, seed: 1 })],
  ])(
    "of %s in %s norm: within %d times",
    async (_, norm, times, make) => {
      const { distances, success, queries = [] } = await make().run(network, images, labels);
      expect(success).toEqual(labels.map(() => true));
      expect(middle(distances)).toBeLessThan(times * nearest[norm]);
      expect(middle(queries)).toBeGreaterThan(100);
    },
    LONG,
  );
});

it(
  "no certificate is beaten by any of them",
  async () => {
    const certificates = await certify(network, images);
    expect(Math.min(...certificates.map(({ radius }) => radius))).toBeGreaterThan(0);
    const attacks = [
      new HopSkipJumpAttack({ steps: 10, seed: 2 }),
      new BoundaryAttack({ steps: 1500, seed: 2 }),
      new L2SquareAttack({ steps: 200, binarySearchSteps: 8, seed: 2 }),
      new PointwiseAttack({ initAttack: new SaltAndPepperNoiseAttack({ steps: 200, seed: 2 }), seed: 2 }),
      new BinarySearchContrastReductionAttack(),
      new L2RepeatedAdditiveGaussianNoiseAttack({ repeats: 20, seed: 2 }),
    ];
    const brackets = await audit(network, images, labels, { attacks });
    for (const { distance, radius } of brackets) expect(distance).toBeGreaterThanOrEqual(radius);
  },
  LONG,
);
