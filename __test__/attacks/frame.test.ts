// What the frame of attacks does around a search: arguments, the nearest of what is offered, clipping, progress.
import { setTimeout } from "node:timers/promises";
import {
  Attack,
  type AttackResult,
  DDNAttack,
  Generator,
  L0,
  L1,
  L2,
  L2CarliniWagnerAttack,
  L2FastGradientAttack,
  L2ProjectedGradientDescentAttack,
  Linear,
  Linf,
  Module,
  type Norm,
  type Search,
  type Tensor,
  tensor,
} from "tslip";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Engine } from "../../src/native.js";
import { Program } from "../../src/tensor/index.js";
import { codeOf } from "../train/subset.js";
import { problem } from "./linear.js";

describe("an attack of one's own", () => {
  /** Tries the corners of a box in some order: the frame keeps the nearest. */
  class Corners extends Attack {
    constructor(
      readonly norm: Norm,
      readonly steps: readonly number[],
    ) {
      super();
    }
    protected async search({ task, best }: Search): Promise<void> {
      const { model, images } = task;
      for (const step of this.steps) {
        const moved = images.add(step).clip(...task.bounds);
        best.offer(moved, model.forward(moved));
      }
    }
  }

  it.each([
    [undefined, "given undefined"],
    ["L2", 'given "L2" (a string)'],
    [{ name: "L2" }, "given { name }"],
  ])("is told which norm it has to have, where it has %o", async (norm, given) => {
    const run = new Corners(norm as unknown as Norm, [1]).run(new Linear(1, 2), tensor([[0.3]]), [0]);
    const message = expect.stringContaining("the field norm of Corners must be a norm such as L2, with distance()");
    await expect(run).rejects.toMatchObject({ code: "INVALID_ARGUMENT", message });
    await expect(run).rejects.toThrow(given);
  });

  it("is a search alone: the nearest of what it offers counts, in its norm, in whatever order it comes", async () => {
    const model = new Linear(1, 2, {}, { weight: tensor([[1], [-1]]), bias: tensor([0, 0]) });
    const image = tensor([[0.3]]);
    for (const steps of [[-0.5, -1.2, -0.4, 0.1], [0.1, -0.4, -0.5], [-0.4]]) {
      const { distances, raw } = await new Corners(Linf, steps).run(model, image, [0], { bounds: [-2, 2] });
      expect(distances[0]).toBeCloseTo(0.4, 6);
      expect(raw.dataSync()[0]).toBeCloseTo(-0.1, 6);
    }
    const nothing = await new Corners(L2, [0.1]).run(model, image, [0], { bounds: [-2, 2] });
    expect([nothing.success[0], nothing.distances[0], nothing.raw.dataSync()[0]]).toEqual([
      false,
      Number.POSITIVE_INFINITY,
      Math.fround(0.3),
    ]);
  });
});

it("what an attack of one's own offers outside the bounds does not count, though it is nearer", async () => {
  const model = new Linear(
    2,
    2,
    {},
    {
      weight: tensor([
        [1, 0],
        [-1, 0],
      ]),
      bias: tensor([0, 0]),
    },
  );
  class Outward extends Attack {
    readonly norm = L2;
    protected async search({ task, best }: Search): Promise<void> {
      for (const moved of [tensor([[-0.4, 0.9]]), tensor([[-0.1, 1.001]]), tensor([[-0.2, Number.NaN]])]) {
        best.offer(moved, task.model.forward(moved));
      }
    }
  }
  const { raw, success } = await new Outward().run(model, tensor([[0.3, 0.9]]), [0], { bounds: [-1, 1] });
  expect(success).toEqual([true]);
  expect(raw.dataSync()).toEqual(Float32Array.of(-0.4, 0.9));
});

describe("images clipped to an epsilon", () => {
  /** Offers one perturbation of every image. */
  class Moving extends Attack {
    constructor(
      readonly norm: Norm,
      readonly moved: Tensor,
    ) {
      super();
    }
    protected async search({ task, best }: Search): Promise<void> {
      best.offer(this.moved, task.model.forward(this.moved));
    }
  }
  /** Class 0 for pixels that are multiples of 1/256, all others are of class 1. */
  class OffLattice extends Module {
    forward(x: Tensor): Tensor {
      const pixels = x.flatten(1).mul(256);
      const off = pixels.sub(pixels.floor()).sum(1, { keepdims: true });
      return off.mul(0).concat(off, 1);
    }
  }

  it.each([L2, L1, Linf, L0])("are nowhere farther than it, not by a rounding: $name", async (norm) => {
    const generator = new Generator({ seed: 9 });
    const kept: number[] = [];
    for (const [size, count] of [
      [1, 100],
      [3, 100],
      [50, 50],
      [784, 10],
    ] as const) {
      const images = generator.uniform([count, size]).mul(256).floor().div(256);
      const moved = generator.uniform([count, size]);
      const far = norm.distance(moved.sub(images)).dataSync();
      const [original, shares] = [images.dataSync(), generator.uniform([count]).dataSync()];
      for (const scale of [1e-6, 1e-3, 0.1, 0.9, 1 - 1e-7]) {
        const each = Float64Array.from(far, (d, i) => d * scale * (scale < 0.5 ? (shares[i] ?? 0) : 1));
        const one = (far[0] ?? 0) * scale;
        const attack = new Moving(norm, moved);
        const results = await attack.run(new OffLattice(), images, new Int32Array(count), { epsilons: [each, one] });
        for (const [k, { clipped, distances, success }] of results.entries()) {
          const values = clipped.dataSync();
          expect(values.every((value) => value >= 0 && value <= 1)).toBe(true);
          success.forEach((successful, i) => {
            const range = [i * size, (i + 1) * size] as const;
            const distance = norm.between(values.slice(...range), original.slice(...range));
            expect(distances[i]).toBe(successful ? distance : Number.POSITIVE_INFINITY);
            const epsilon = k === 0 ? (each[i] ?? 0) : one;
            expect(distance).toBeLessThanOrEqual(epsilon);
            if (epsilon > 0 && epsilon < (far[i] ?? 0)) kept.push(distance / epsilon);
          });
        }
      }
    }
    // Epsilons of some units in the last place of pixels are not reached in whole ones.
    const nearly = kept.filter((share) => share > 1 - 1e-3).length;
    if (norm !== L0) expect(nearly / kept.length).toBeGreaterThan(0.7);
  });
});

describe("passes that judge images", () => {
  /** How many batches a model is asked to judge while an attack runs, gradients and steps of the search left out. */
  async function judged(attack: Attack, epsilons: number[]): Promise<number> {
    const { model, images, labels } = problem();
    const predict = vi.spyOn(model, "predict");
    await attack.run(model, images, labels, { epsilons });
    return predict.mock.calls.length;
  }

  it("are one for the originals, one for what is found, and one for each epsilon that cuts something off", async () => {
    expect(await judged(new L2FastGradientAttack(), [0.5])).toBe(2);
    expect(await judged(new L2FastGradientAttack(), [0.5, 0.2, 0.1])).toBe(4);
    expect(await judged(new DDNAttack({ steps: 20 }), [1e3])).toBe(2);
    expect(await judged(new DDNAttack({ steps: 20 }), [1e3, 1e-3, 1e-4])).toBe(4);
  });

  it("take no gradient: a search within a radius has as many of them as steps", async () => {
    const { model, images, labels } = problem();
    const recorded = vi.spyOn(Program, "record");
    const run = vi.spyOn(Engine.prototype, "run");
    const gradients = async (attack: Attack): Promise<number> => {
      recorded.mockClear();
      run.mockClear();
      await attack.run(model, images, labels, { epsilons: [0.5] });
      const programs = recorded.mock.results.map(({ value }) => value as Program<unknown>);
      const climbing = programs.filter((program) => program.recorded.nodes.some(({ op }) => op === "grad"));
      const plans = new Set(climbing.map(({ plan }) => plan));
      const stretches = run.mock.calls.flatMap(([job]) => job.stretches);
      return stretches.reduce((sum, { plan, steps }) => sum + (plans.has(plan) ? steps : 0), 0);
    };
    try {
      expect(await gradients(new L2FastGradientAttack())).toBe(1);
      expect(await gradients(new L2ProjectedGradientDescentAttack({ steps: 7, repeat: 3, seed: 1 }))).toBe(21);
    } finally {
      recorded.mockRestore();
      run.mockRestore();
    }
  });
});

describe("u8 images", () => {
  it("are attacked as the model sees them, not with pixels up to 255", async () => {
    const identity = new Linear(
      2,
      2,
      {},
      {
        weight: tensor([
          [1, 0],
          [0, 1],
        ]),
        bias: tensor([0, 0]),
      },
    );
    const bytes = tensor(Uint8Array.of(200, 100, 30, 90), [2, 2]);
    const seen = tensor(
      Float32Array.of(200, 100, 30, 90).map((pixel) => pixel / 255),
      [2, 2],
    );
    const labels = await identity.classify(bytes);
    for (const attack of [new DDNAttack(), new L2CarliniWagnerAttack({ binarySearchSteps: 6, steps: 200 })]) {
      const { distances, success, raw, clipped } = await attack.run(identity, bytes, labels);
      expect(success).toEqual([true, true]);
      // The logits are equal halfway between the pixels.
      expect(distances[0]).toBeGreaterThan((100 / 255) * Math.SQRT1_2 * (1 - 1e-5));
      expect(distances[0]).toBeLessThan((100 / 255) * Math.SQRT1_2 * 1.1);
      expect([raw.dtype, clipped.dtype]).toEqual(["f32", "f32"]);
      const same = await attack.run(identity, seen, labels);
      expect(distances).toEqual(same.distances);
      expect(raw.dataSync()).toEqual(same.raw.dataSync());
      const [near] = await attack.run(identity, bytes, labels, { epsilons: [0.25] });
      expect(near?.success).toEqual([false, true]);
      const wide = await attack.run(identity, bytes, labels, { bounds: [0, 255] });
      expect(wide.distances[0]).toBeGreaterThan((100 / 255) * Math.SQRT1_2 * (1 - 1e-5));
    }
    const narrow = new DDNAttack().run(identity, bytes, labels, { bounds: [0, 0.5] });
    await expect(narrow).rejects.toThrow(/pixel 0 of image 0 is 0\.784/);
  });

  it("are the only ones beside f32: no others are cast for a model that tells them apart", async () => {
    class Telling extends Module {
      forward(x: Tensor): Tensor {
        return x.dtype === "f32" ? x.neg() : x.cast("f32");
      }
    }
    const images = tensor(Int32Array.of(0, 1), [1, 2]);
    expect(await codeOf(() => new DDNAttack().run(new Telling(), images, [1]))).toBe("DTYPE_MISMATCH");
  });
});

describe("an onProgress that is async", () => {
  const { model, images, labels } = problem();
  const unhandled = vi.fn();
  beforeAll(() => {
    process.on("unhandledRejection", unhandled);
  });
  afterAll(() => {
    process.off("unhandledRejection", unhandled);
  });
  const attack = new DDNAttack({ steps: 1_000_000 });

  it("ends the attack with what it rejects with, which nobody else has to handle", async () => {
    const reason = new Error("no more reports");
    const options = { onProgress: async () => Promise.reject(reason) };
    await expect(attack.run(model, images, labels, options)).rejects.toBe(reason);
    const { signal } = new AbortController();
    await expect(attack.run(model, images, labels, { ...options, signal })).rejects.toBe(reason);
    await setTimeout(20);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it("leaves nothing unhandled either where another reason ended the attack before", async () => {
    const controller = new AbortController();
    const running = attack.run(model, images, labels, {
      signal: controller.signal,
      onProgress: async () => {
        controller.abort("enough");
        await setTimeout(10);
        throw new Error("late");
      },
    });
    await expect(running).rejects.toBe("enough");
    await setTimeout(50);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it("is waited for, the last call of it too", async () => {
    let ended = 0;
    let begun = 0;
    const short = new DDNAttack({ steps: 10 });
    const slow = async (): Promise<void> => {
      begun += 1;
      await setTimeout(30);
      ended += 1;
    };
    await short.run(model, images, labels, { onProgress: slow });
    expect(ended).toBe(begun);
    const reason = new Error("the last one failed");
    const onProgress = async (share: number): Promise<void> => {
      await setTimeout(30);
      if (share === 1) throw reason;
    };
    await expect(short.run(model, images, labels, { onProgress })).rejects.toBe(reason);
  });
});

describe("arguments", () => {
  const { model, images, labels } = problem();
  it("epsilons may be typed arrays; what is no list of numbers is refused by its name", async () => {
    const attack = new DDNAttack({ steps: 20 });
    const run = (epsilons: unknown, more: object = {}): Promise<AttackResult[]> =>
      attack.run(model, images, labels, { epsilons: epsilons as number[], ...more });
    const [first, second] = await run([0.125, 0.25]);
    for (const list of [Float32Array.of(0.125, 0.25), Float64Array.of(0.125, 0.25)]) {
      const [one, two] = await run(list);
      expect([one?.distances, two?.distances]).toEqual([first?.distances, second?.distances]);
    }
    const [each] = await run([new Float32Array(12).fill(0.125)]);
    expect(each?.distances).toEqual(first?.distances);
    for (const epsilons of [0.1, null, "0.1", new DataView(new ArrayBuffer(8)), tensor([0.1])]) {
      await expect(run(epsilons)).rejects.toThrow(/^epsilons must be a list of numbers/);
    }
    for (const epsilons of [
      [null],
      [undefined],
      ["0.1"],
      [[0.1]],
      [new Array(12).fill("1")],
      [tensor([0.1])],
      [-1],
      [Number.NaN],
      [[1, 2]],
    ]) {
      await expect(run(epsilons)).rejects.toThrow(
        /^epsilons\[0\] must be a number of at least 0, or one for each of 12/,
      );
    }
    for (const bounds of [5, null, {}, [0], [0, 1, 2], ["0", "1"]]) {
      await expect(run([], { bounds })).rejects.toThrow(/^bounds must be \[low, high\]/);
    }
  });

  it("options out of range are refused", async () => {
    for (const make of [
      () => new DDNAttack({ steps: 0 }),
      () => new DDNAttack({ gamma: 1 }),
      () => new DDNAttack({ initEpsilon: 0 }),
      () => new L2CarliniWagnerAttack({ initialConst: 1e20 }),
      // Finite numbers above 0 that float32 does not have.
      () => new L2CarliniWagnerAttack({ initialConst: 1e-50 }),
      () => new L2CarliniWagnerAttack({ stepsize: 1e39 }),
      () => new L2CarliniWagnerAttack({ stepsize: 1e-50 }),
      () => new L2CarliniWagnerAttack({ confidence: 1e39 }),
      () => new DDNAttack({ initEpsilon: 1e39 }),
      () => new DDNAttack({ initEpsilon: 1e-50 }),
      () => new L2CarliniWagnerAttack({ confidence: -1 }),
    ]) {
      expect(await codeOf(make)).toBe("INVALID_ARGUMENT");
    }
  });
});
