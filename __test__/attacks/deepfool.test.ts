// DeepFool and SuperDeepFool, beside the same steps written as float64 loops, and where the nearest adversarial is known.
import {
  type DeepFoolOptions,
  L2DeepFoolAttack,
  Linear,
  LinfDeepFoolAttack,
  Module,
  ReLU,
  randn,
  Sequential,
  SuperDeepFoolAttack,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { problem } from "./linear.js";

const [PIXELS, HIDDEN, CLASSES, IMAGES] = [6, 16, 4, 10];
const BEYOND = 1e-4;
const members = { L2: L2DeepFoolAttack, Linf: LinfDeepFoolAttack };
const names = ["L2", "Linf"] as const;

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const at = (values: readonly number[], i: number): number => values[i] ?? Number.NaN;
const rowsOf = (x: Tensor, width: number): number[][] =>
  Array.from({ length: x.dataSync().length / width }, (_, i) => [...x.dataSync().slice(i * width, (i + 1) * width)]);

/** A network of two layers with its images, and the same in float64. */
async function network() {
  const weights = [randn([HIDDEN, PIXELS], { seed: 51 }), randn([CLASSES, HIDDEN], { seed: 52 })] as const;
  const biases = [randn([HIDDEN], { seed: 53 }), randn([CLASSES], { seed: 54 })] as const;
  const model = new Sequential(
    [
      new Linear(PIXELS, HIDDEN, {}, { weight: weights[0], bias: biases[0] }),
      new ReLU(),
      new Linear(HIDDEN, CLASSES, {}, { weight: weights[1], bias: biases[1] }),
    ],
    { constrained: false },
  );
  const images = randn([IMAGES, PIXELS], { seed: 55 }).mul(0.3).add(0.5).clip(0, 1);
  const [first, second] = [rowsOf(weights[0], PIXELS), rowsOf(weights[1], HIDDEN)];
  const [b, d] = biases.map((bias) => [...bias.dataSync()]) as [number[], number[]];
  const hidden = (x: number[]): number[] =>
    first.map((row, j) => Math.max(at(b, j) + sum(row.map((w, k) => w * at(x, k))), 0));
  return {
    model,
    images,
    labels: [...(await model.classify(images))],
    logitsOf(x: number[]): number[] {
      const active = hidden(x);
      return second.map((row, c) => at(d, c) + sum(row.map((w, j) => w * at(active, j))));
    },
    /** Of the logit of class a less that of class b. */
    gradientOf(x: number[], a: number, b: number): number[] {
      const active = hidden(x);
      const slopes = active.map((h, j) => (h > 0 ? at(second[a] ?? [], j) - at(second[b] ?? [], j) : 0));
      return x.map((_, k) => sum(slopes.map((s, j) => s * at(first[j] ?? [], k))));
    },
  };
}

describe.each(names)("DeepFool: %s", (name) => {
  it.each<Required<DeepFoolOptions>>([
    { steps: 50, candidates: 10, overshoot: 0.02, loss: "logits" },
    { steps: 50, candidates: 2, overshoot: 0.02, loss: "logits" },
    { steps: 50, candidates: 3, overshoot: 0, loss: "crossentropy" },
    { steps: 2, candidates: null, overshoot: 0, loss: "logits" },
  ])("comes to the points that the same steps lead to in float64: %o", async (options) => {
    const { model, images, labels, logitsOf, gradientOf } = await network();
    const { raw, success } = await new members[name](options).run(model, images, labels);
    const found = rowsOf(raw, PIXELS);
    const wanted = rowsOf(images, PIXELS).map((image, i) => {
      const own = labels[i] ?? 0;
      const logits = logitsOf(image);
      const order = logits.map((_, c) => c).sort((a, b) => at(logits, b) - at(logits, a));
      const rivals = order.slice(1, options.candidates ?? CLASSES);
      let x = image;
      let total = image.map(() => 0);
      const fools = (): boolean => logitsOf(x).indexOf(Math.max(...logitsOf(x))) !== own;
      for (let step = 0; step < options.steps && !fools(); step++) {
        const borders = rivals.map((rival) => {
          const g = gradientOf(x, rival, own);
          const size = name === "L2" ? Math.hypot(...g) : sum(g.map(Math.abs));
          const distance = Math.abs(at(logitsOf(x), rival) - at(logitsOf(x), own)) / size;
          return { distance, direction: g.map((v) => (name === "L2" ? v / size : Math.sign(v))) };
        });
        const nearest = borders.reduce((one, other) => (other.distance < one.distance ? other : one));
        total = total.map((t, k) => t + (nearest.distance + BEYOND) * at(nearest.direction, k));
        x = image.map((v, k) => Math.min(Math.max(v + (1 + options.overshoot) * at(total, k), 0), 1));
      }
      return { fools: fools(), x: fools() ? x : image };
    });
    expect(success).toEqual(wanted.map(({ fools }) => fools));
    expect(success).toContain(true);
    wanted.forEach(({ x }, i) => {
      x.forEach((value, k) => {
        expect(Math.abs(at(found[i] ?? [], k) - value)).toBeLessThan(1e-5);
      });
    });
  });

  it("is beyond the nearest border of a linear classifier by the overshoot and 1e-4", async () => {
    const { model, images, labels, nearest } = problem(name);
    for (const overshoot of [0, 0.02, 0.5]) {
      const attack = new members[name]({ overshoot });
      const { distances } = await attack.run(model, images, labels, { bounds: [-3, 3] });
      nearest.forEach((distance, i) => {
        const wanted = (1 + overshoot) * (distance + BEYOND);
        expect(Math.abs(at([...distances], i) / wanted - 1)).toBeLessThan(1e-4);
      });
    }
  });

  it("looks at the point after the last step", async () => {
    const { model, images, labels } = problem();
    const { success } = await new members[name]({ steps: 1 }).run(model, images, labels, { bounds: [-3, 3] });
    expect(success.every(Boolean)).toBe(true);
  });

  it("considers the classes of the largest logits, as many as are asked for", async () => {
    // The nearest border is that of the class with the smallest logit.
    const weight = tensor([[0], ...Array.from({ length: 10 }, (_, c) => [0.1 * c]), [100]]);
    const bias = tensor([1, ...new Array<number>(10).fill(0), -10]);
    const model = new Linear(1, 12, {}, { weight, bias });
    const find = async (candidates?: number | null): Promise<number> => {
      const attack = new members[name](candidates === undefined ? {} : { candidates });
      const { distances } = await attack.run(model, tensor([[0]]), [0], { bounds: [-3, 3] });
      return distances[0] ?? 0;
    };
    expect(await find(null)).toBeCloseTo(0.11, 2);
    expect(await find(12)).toBe(await find(null));
    expect(await find(11)).toBeGreaterThan(1);
    expect(await find()).toBe(await find(10));
    expect(await find()).toBeGreaterThan(1);
  });

  it("rests where it has come to an adversarial, and ends once all images rest", async () => {
    const { model, images, labels } = problem();
    const steps: number[] = [];
    const onProgress = (share: number): void => void steps.push(share);
    const attack = new members[name]({ steps: 1_000_000 });
    const started = performance.now();
    await attack.run(model, images, labels, { bounds: [-3, 3], onProgress });
    expect(steps.at(-1)).toBe(1);
    // A million steps would take minutes.
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe("SuperDeepFool", () => {
  /** Class 1 above a parabola. Projections go astray where it is curved more than the images' distance from it allows. */
  class Parabola extends Module {
    forward(x: Tensor): Tensor {
      const side = x.slice([0, 0], [x.shape[0] ?? 0, 1]);
      const above = x
        .slice([0, 1], [x.shape[0] ?? 0, 2])
        .sub(side.square())
        .sub(0.2);
      return above.neg().concat(above, 1);
    }
  }
  const images = [
    [0.5, 0.1],
    [0.9, 0.3],
    [-0.7, 0.4],
    [0.2, 0],
  ];
  /** How far the parabola is. */
  const nearest = images.map(([a = 0, b = 0]) =>
    Math.min(...Array.from({ length: 20_001 }, (_, i) => i / 1e4 - 1).map((u) => Math.hypot(u - a, u * u + 0.2 - b))),
  );

  it("comes to the point of a curved border that is nearest, where DeepFool passes it by", async () => {
    const run = async (attack: L2DeepFoolAttack | SuperDeepFoolAttack): Promise<number[]> => {
      const { distances } = await attack.run(new Parabola(), tensor(images), [0, 0, 0, 0], { bounds: [-2, 2] });
      return [...distances];
    };
    const [found, passed] = [await run(new SuperDeepFoolAttack()), await run(new L2DeepFoolAttack())];
    nearest.forEach((distance, i) => {
      expect(at(found, i)).toBeGreaterThan(distance * (1 - 1e-5));
      expect(at(found, i)).toBeLessThan(distance * 1.002);
      expect(at(found, i)).toBeLessThan(at(passed, i));
    });
  });

  it("halves the way in the end, as often as is asked for", async () => {
    const { model, images: pixels, labels, nearest: borders } = problem();
    for (const [binarySearchSteps, share] of [
      [1, 1],
      [10, 2 ** -10],
      [20, 2 ** -20],
    ] as const) {
      const attack = new SuperDeepFoolAttack({ binarySearchSteps });
      const { distances } = await attack.run(model, pixels, labels, { bounds: [-3, 3] });
      borders.forEach((border, i) => {
        expect(at([...distances], i)).toBeLessThan(1.02 * (border + BEYOND) * 1.0001);
        expect(at([...distances], i) - border).toBeLessThan(share * 1.02 * (border + BEYOND) + 1e-5);
      });
    }
  });
});

it("the options are those of foolbox, and wrong ones are refused by name", async () => {
  const defaults = { steps: 50, candidates: 10, overshoot: 0.02, loss: "logits" };
  expect(new L2DeepFoolAttack().options).toEqual(defaults);
  expect(new SuperDeepFoolAttack().options).toEqual({ ...defaults, steps: 100, binarySearchSteps: 10 });
  for (const [options, message] of [
    [{ steps: 0 }, /steps must be a whole number >= 1; given 0/],
    [{ candidates: 1 }, /candidates must be null for all classes, or a whole number >= 2; given 1/],
    [{ overshoot: -0.1 }, /overshoot must be finite in float32 and at least 0; given -0.1/],
    [{ loss: "hinge" }, /loss must be "logits" or "crossentropy"; given "hinge"/],
    [{ max_iter: 5 }, /(LinfDeepFoolAttack|SuperDeepFoolAttack) has no option "max_iter"/],
  ] as const) {
    for (const AttackClass of [LinfDeepFoolAttack, SuperDeepFoolAttack]) {
      expect(() => new AttackClass(options as DeepFoolOptions)).toThrow(message);
      expect(await codeOf(() => new AttackClass(options as DeepFoolOptions))).toBe("INVALID_ARGUMENT");
    }
  }
});

it("a signal ends both, and shares of the work grow to 1", async () => {
  const { model, images, labels } = problem();
  const signal = AbortSignal.abort(new Error("enough"));
  for (const attack of [new L2DeepFoolAttack(), new SuperDeepFoolAttack()]) {
    await expect(attack.run(model, images, labels, { signal })).rejects.toThrow("enough");
    const shares: number[] = [];
    await attack.run(model, images, labels, { onProgress: (share) => void shares.push(share) });
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  }
});
