// An attack on a GPU: loops of many steps that end early, and find what they find on the CPU.
import { expect, it } from "vitest";
import {
  type Attack,
  type AttackResult,
  EADAttack,
  GenAttack,
  L0BrendelBethgeAttack,
  L0FMNAttack,
  L1FMNAttack,
  L2CarliniWagnerAttack,
  L2FMNAttack,
  L2PGD,
  LinfDeepFoolAttack,
  LinfFMNAttack,
  onDevice,
  SuperDeepFoolAttack,
} from "../../src/index.js";
import { gpuCounters } from "../../src/native.js";
import { describeGpu } from "./gpu.js";
import { images, network } from "./network.js";

/** Steps along gradients amplify rounding. */
const OF_DISTANCES = 0.05;

describeGpu("an attack on a GPU", () => {
  const model = network();
  const { images: pixels, labels } = images(4).batch(0);
  const attack = (steps: number): Promise<AttackResult> =>
    new L2CarliniWagnerAttack({ binarySearchSteps: 2, steps }).run(model, pixels, labels, { bounds: [0, 1] });

  it.each<[string, () => Attack]>([
    ["Carlini and Wagner", () => new L2CarliniWagnerAttack({ binarySearchSteps: 2, steps: 60 })],
    ["elastic net", () => new EADAttack({ binarySearchSteps: 2, steps: 60, initialConst: 10 })],
    ["L2 FMN", () => new L2FMNAttack({ steps: 20, initAttack: new LinfDeepFoolAttack() })],
    ["Linf FMN", () => new LinfFMNAttack({ steps: 20 })],
    ["L1 FMN", () => new L1FMNAttack({ steps: 20 })],
    ["L0 FMN", () => new L0FMNAttack({ steps: 20 })],
    ["PGD", () => new L2PGD({ steps: 5, repeat: 2, binarySearchSteps: 6, seed: 1 })],
    ["GenAttack", () => new GenAttack({ steps: 8, population: 5, binarySearchSteps: 4, seed: 1 })],
    ["Brendel-Bethge for L0", () => new L0BrendelBethgeAttack({ steps: 10, lr: 0.02, seed: 1 })],
    ["SuperDeepFool", () => new SuperDeepFoolAttack({ steps: 20 })],
  ])("finds adversarials at the distances that it finds on the CPU: %s", async (_, make) => {
    const run = (): Promise<AttackResult> => make().run(model, pixels, labels, { bounds: [0, 1] });
    const [cpu, gpu] = [await run(), await onDevice("gpu", run)];
    expect(gpu.success).toEqual(cpu.success);
    expect(gpu.success).toContain(true);
    for (const [i, distance] of gpu.distances.entries()) {
      const wanted = cpu.distances[i] ?? Number.NaN;
      if (Number.isFinite(wanted)) expect(Math.abs(distance - wanted)).toBeLessThanOrEqual(OF_DISTANCES * wanted);
    }
  });

  it("is one submission a step, and hears of its end without waiting for it", async () => {
    await onDevice("gpu", () => attack(20));
    const before = gpuCounters(0);
    await onDevice("gpu", () => attack(20));
    const after = gpuCounters(0);
    expect(after.pipelines - before.pipelines).toBe(0);
    // Two searches of twenty steps, what is read after each, and what is asked of the images before and after.
    expect(after.submits - before.submits).toBeLessThanOrEqual(2 * 20 + 30);
    expect((after.dispatches - before.dispatches) / 40).toBeLessThanOrEqual(64);
  });
});
