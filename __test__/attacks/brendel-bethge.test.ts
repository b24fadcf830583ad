// The attack that follows borders: where it starts, and what it gets past.
import {
  type BrendelBethgeOptions,
  L0BrendelBethgeAttack,
  L1BrendelBethgeAttack,
  L2BrendelBethgeAttack,
  L2DeepFoolAttack,
  LinfinityBrendelBethgeAttack,
  Module,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { problem } from "./linear.js";

const members = [L1BrendelBethgeAttack, L2BrendelBethgeAttack, LinfinityBrendelBethgeAttack];

/** Class 1 where the first pixel is above 0.75; nothing tells so below 0.7. */
class Flat extends Module {
  forward(x: Tensor): Tensor {
    const side = x.slice([0, 0], [x.shape[0] ?? 0, 1]);
    return side.mul(0).add(0.05).concat(side.sub(0.7).relu(), 1);
  }
}

it("L0BrendelBethgeAttack leaves the one pixel that has to differ, where no gradient at the image leads to it", async () => {
  const image = tensor([[0.5, 0.5, 0.5]]);
  const { distances, raw } = await new L0BrendelBethgeAttack({ seed: 1, lr: 0.2 }).run(new Flat(), image, [0]);
  expect(distances[0]).toBe(1);
  expect([...raw.dataSync().slice(1)]).toEqual([0.5, 0.5]);
  expect(raw.dataSync()[0]).toBeGreaterThan(0.75);
});

describe.each(members.map((Member) => ({ name: Member.name, Member })))("$name", ({ Member }) => {
  it("finds the border where no gradient at the image leads to it", async () => {
    const image = tensor([[0.5, 0.5, 0.5]]);
    const flat = await new L2DeepFoolAttack().run(new Flat(), image, [0]);
    expect(flat.success).toEqual([false]);
    const { distances } = await new Member({ seed: 1, lr: 0.02 }).run(new Flat(), image, [0]);
    expect(distances[0]).toBeGreaterThan(0.25 * (1 - 1e-6));
    expect(distances[0]).toBeLessThan(0.2505);
  });

  it("starts from another attack, or from points that are given: a point of the label's class leads nowhere", async () => {
    const image = tensor([[0.5, 0.5, 0.5]]);
    const reach = async (options: BrendelBethgeOptions): Promise<number> => {
      const { distances } = await new Member({ lr: 0.02, steps: 300, ...options }).run(new Flat(), image, [0]);
      return distances[0] ?? 0;
    };
    for (const startingPoints of [tensor([[1, 0.1, 0.9]]), tensor(Uint8Array.from([255, 3, 200]), [1, 3])]) {
      expect(await reach({ startingPoints })).toBeCloseTo(0.25, 3);
    }
    expect(await reach({ startingPoints: tensor([[0.1, 0.1, 0.9]]) })).toBe(Number.POSITIVE_INFINITY);
    const start = await new Member({ seed: 1 }).run(new Flat(), image, [0]);
    expect(await reach({ initAttack: new Member({ seed: 1 }) })).toBeLessThanOrEqual(start.distances[0] ?? 0);
    expect(await reach({ initAttack: new L2DeepFoolAttack() })).toBe(Number.POSITIVE_INFINITY);
  });

  it("refuses starting points of another shape, and two starts at once", async () => {
    const { model, images, labels } = problem();
    const startingPoints = images.slice([1], [3]);
    await expect(new Member({ startingPoints }).run(model, images, labels)).rejects.toThrow(
      "startingPoints are [2,5], the images [12,5]; give one of the same shape for each image",
    );
    const both = { startingPoints, initAttack: new L2DeepFoolAttack() };
    expect(() => new Member(both)).toThrow("was given initAttack and startingPoints; give one of them");
    for (const [options, message] of [
      [{ overshoot: 2 }, /overshoot must be at least 1 and below 2; given 2/],
      [{ startingPoints: [1] }, /startingPoints must be a tensor of the images' shape; given/],
      [{ lr_decay: 1 }, /has no option "lr_decay"/],
    ] as const) {
      expect(await codeOf(() => new Member(options as BrendelBethgeOptions))).toBe("INVALID_ARGUMENT");
      expect(() => new Member(options as BrendelBethgeOptions)).toThrow(message);
    }
  });
});
