// The fast minimum norm attacks, beside the same search written as float64 loops, and where the nearest adversarial is known.
import {
  Attack,
  type FMNOptions,
  L0FMNAttack,
  L1FMNAttack,
  L2,
  L2DeepFoolAttack,
  L2FMNAttack,
  Linear,
  LinfDeepFoolAttack,
  LinfFMNAttack,
  Module,
  type Norm,
  randn,
  type Search,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { problem } from "./linear.js";

const [PIXELS, CLASSES, IMAGES] = [6, 4, 10];
const members = { L2: L2FMNAttack, Linf: LinfFMNAttack, L1: L1FMNAttack, L0: L0FMNAttack };
const names = Object.keys(members) as Norm["name"][];

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
const at = (values: readonly number[], i: number): number => values[i] ?? Number.NaN;

/** Lengths, dual norms of gradients and nearest points of balls, as sorting has them. */
const norms: Record<
  Norm["name"],
  { of: (d: number[]) => number; dual: (g: number[]) => number; nearest: (d: number[], radius: number) => number[] }
> = {
  L2: {
    of: (d) => Math.hypot(...d),
    dual: (g) => Math.hypot(...g),
    nearest: (d, radius) => d.map((v) => v * Math.min(1, radius / Math.hypot(...d))),
  },
  Linf: {
    of: (d) => Math.max(...d.map(Math.abs)),
    dual: (g) => sum(g.map(Math.abs)),
    nearest: (d, radius) => d.map((v) => Math.min(Math.max(v, -radius), radius)),
  },
  L1: {
    of: (d) => sum(d.map(Math.abs)),
    dual: (g) => Math.max(...g.map(Math.abs)),
    nearest(d, radius) {
      if (sum(d.map(Math.abs)) <= radius) return d;
      const sizes = d.map(Math.abs).sort((a, b) => b - a);
      const thresholds = sizes.map((_, k) => (sum(sizes.slice(0, k + 1)) - radius) / (k + 1));
      const last = sizes.findLastIndex((size, k) => size > at(thresholds, k));
      return d.map((v) => Math.sign(v) * Math.max(Math.abs(v) - at(thresholds, last), 0));
    },
  },
  L0: {
    of: (d) => d.filter((v) => v !== 0).length,
    dual: () => Number.NaN,
    nearest(d, radius) {
      const order = d.map((_, k) => k).sort((a, b) => Math.abs(at(d, b)) - Math.abs(at(d, a)));
      return d.map((v, k) => (order.indexOf(k) < radius ? v : 0));
    },
  },
};

interface Linearity {
  weight: number[][];
  bias: number[];
  bounds: readonly [number, number];
}

/** The smallest norm that the search finds for an image of a linear classifier. */
function reference(name: Norm["name"], p: Linearity, image: number[], label: number, o: Required<Searched>): number {
  const norm = norms[name];
  const [low, high] = p.bounds;
  const widest = norm.of(image.map((x) => Math.max(x - low, high - x)));
  let delta = image.map(() => 0);
  let epsilon = name === "L0" ? 1 : Number.POSITIVE_INFINITY;
  let best = Number.POSITIVE_INFINITY;
  const annealed = (first: number, last: number, i: number): number =>
    last + ((first - last) * (1 + Math.cos((Math.PI * i) / o.steps))) / 2;
  for (let i = 0; i < o.steps; i++) {
    const gamma = annealed(o.gamma, 0.001, i);
    const x = image.map((v, k) => v + at(delta, k));
    const logits = p.weight.map((row, c) => at(p.bias, c) + sum(row.map((w, k) => w * at(x, k))));
    const others = logits.map((y, c) => (c === label ? Number.NEGATIVE_INFINITY : y));
    const rival = others.indexOf(Math.max(...others));
    const lead = at(logits, label) - at(logits, rival);
    const gradient = image.map((_, k) => {
      const g = at(p.weight[label] ?? [], k) - at(p.weight[rival] ?? [], k);
      return (g > 0 ? at(x, k) <= low : at(x, k) >= high) ? 0 : g;
    });
    if (lead < 0) best = Math.min(best, norm.of(delta));
    const isCount = name === "L0";
    const [less, more] = [epsilon * (1 - gamma), epsilon * (1 + gamma)];
    if (lead < 0) epsilon = Math.min(isCount ? Math.max(1, Math.min(epsilon - 1, Math.floor(less))) : less, best);
    else if (isCount) epsilon = Math.max(epsilon + 1, Math.floor(more));
    else if (best < Number.POSITIVE_INFINITY) epsilon = more;
    else epsilon = norm.of(delta) + Math.abs(lead) / norm.dual(gradient) + 1e-4 * (high - low);
    epsilon = Math.min(epsilon, widest);
    const length = Math.hypot(...gradient);
    const rate = annealed(o.maxStepsize, o.minStepsize, i);
    const moved = delta.map((d, k) => d - (length > 0 ? (rate * at(gradient, k)) / length : 0));
    const kept = norm.nearest(moved, epsilon);
    delta = image.map((v, k) => Math.min(Math.max(v + at(kept, k), low), high) - v);
  }
  return best;
}

type Searched = Pick<FMNOptions, "steps" | "maxStepsize" | "minStepsize" | "gamma">;

describe.each(names)("the fast minimum norm attack: %s", (name) => {
  const make = (options: FMNOptions = {}): Attack => new members[name](options);

  it.each([
    { steps: 100, maxStepsize: 1, minStepsize: 0.01, gamma: 0.05 },
    { steps: 60, maxStepsize: 0.3, minStepsize: 0.1, gamma: 0.2 },
  ])("finds what the same search finds in float64 on linear classifiers: %o", async (options) => {
    for (const bounds of [
      [-3, 3],
      [0.25, 0.75],
    ] as const) {
      const weight = randn([CLASSES, PIXELS], { seed: 31 });
      const bias = randn([CLASSES], { seed: 32 }).mul(0.1);
      const model = new Linear(PIXELS, CLASSES, {}, { weight, bias });
      const images = randn([IMAGES, PIXELS], { seed: 33 }).mul(0.2).add(0.5).clip(0.25, 0.75);
      const labels = [...(await model.classify(images))];
      const rows = (x: Tensor, width: number): number[][] =>
        Array.from({ length: x.dataSync().length / width }, (_, i) => [
          ...x.dataSync().slice(i * width, (i + 1) * width),
        ]);
      const linear = { weight: rows(weight, PIXELS), bias: [...bias.dataSync()], bounds };
      const { distances } = await make(options).run(model, images, labels, { bounds });
      rows(images, PIXELS).forEach((image, i) => {
        const wanted = reference(name, linear, image, labels[i] ?? 0, options);
        if (Number.isFinite(wanted)) expect(Math.abs((distances[i] ?? 0) / wanted - 1)).toBeLessThan(2e-3);
        else expect(distances[i]).toBe(wanted);
      });
    }
  });

  it("gets past pixels on their bounds, to the nearest adversarial within them", async () => {
    /** Class 1 from 0.5 of the first pixel on; the second one would lead there sooner, if it could be less than 0. */
    class Walled extends Module {
      forward(x: Tensor): Tensor {
        const side = x.slice([0, 0], [x.shape[0] ?? 0, 1]);
        const wall = x.slice([0, 1], [x.shape[0] ?? 0, 2]).mul(100);
        return side.neg().add(0.5).add(wall).concat(side.sub(0.5), 1);
      }
    }
    const { distances } = await make().run(new Walled(), tensor([[0.4, 0]]), [0]);
    expect(distances[0]).toBeCloseTo(name === "L0" ? 1 : 0.1, 3);
  });

  it("starts from what another attack finds, and is nowhere farther", async () => {
    const { model, images, labels } = problem();
    const bounds = [-3, 3] as const;
    const initAttack = new LinfDeepFoolAttack({ overshoot: 3 });
    const { raw } = await initAttack.run(model, images, labels, { bounds });
    const [before, far] = [images.dataSync(), raw.dataSync()];
    const { norm } = make();
    const { distances } = await make({ initAttack, steps: 1, binarySearchSteps: 12 }).run(model, images, labels, {
      bounds,
    });
    const size = before.length / labels.length;
    distances.forEach((distance, i) => {
      const range = [i * size, (i + 1) * size] as const;
      const reached = norm.between(far.slice(...range), before.slice(...range));
      // Four times as far as the border is where the start was, but for pixels that are all moved alike.
      expect(distance).toBeLessThan(name === "L0" ? reached + 1 : reached * 0.5);
    });
  });

  it("starts from what is beyond a border by one rounding", async () => {
    const model = new Linear(1, 2, {}, { weight: tensor([[-1], [1]]), bias: tensor([0.5, -0.5]) });
    const edge = 0.5 + 2 ** -23;
    class Edge extends Attack {
      readonly norm = L2;
      protected async search({ task, best }: Search): Promise<void> {
        const moved = tensor([[edge]]);
        best.offer(moved, task.model.forward(moved));
      }
    }
    const attack = make({ initAttack: new Edge(), steps: 1, binarySearchSteps: 1 });
    const { raw } = await attack.run(model, tensor([[0.1]]), [0]);
    expect([...raw.dataSync()]).toEqual([Math.fround(edge)]);
  });

  it("starts from the image where the other attack finds nothing", async () => {
    const { model, images, labels } = problem();
    const bounds = [-3, 3] as const;
    const initAttack = new L2DeepFoolAttack({ steps: 1, overshoot: 0 });
    class Nothing extends L2DeepFoolAttack {
      protected override async search(): Promise<void> {}
    }
    const { distances: without } = await make().run(model, images, labels, { bounds });
    const none = await make({ initAttack: new Nothing() }).run(model, images, labels, { bounds });
    expect(none.distances).toEqual(without);
    const some = await make({ initAttack }).run(model, images, labels, { bounds });
    expect(some.success.every(Boolean)).toBe(true);
  });
});

it("epsilon counts to the number of pixels: the least that a linear classifier needs", async () => {
  const weight = tensor([
    [1, 2, 4, 0],
    [-1, -2, -4, 0],
  ]);
  for (const [bias, least] of [
    [3, 1],
    [5, 2],
    [6.5, 3],
  ] as const) {
    const model = new Linear(4, 2, {}, { weight, bias: tensor([bias, -bias]) });
    const { distances } = await new L0FMNAttack().run(model, tensor([[0, 0, 0, 0]]), [0], { bounds: [-1, 1] });
    expect(distances[0]).toBe(least);
  }
});

it("the options are those of foolbox, and wrong ones are refused by name", async () => {
  expect(new L2FMNAttack().options).toEqual({
    steps: 100,
    maxStepsize: 1,
    minStepsize: 0.01,
    gamma: 0.05,
    initAttack: undefined,
    binarySearchSteps: 10,
  });
  expect(new L1FMNAttack({ maxStepsize: 3 }).options.minStepsize).toBe(0.03);
  for (const [options, message] of [
    [{ steps: 0 }, /steps must be a whole number >= 1; given 0/],
    [{ maxStepsize: 0 }, /maxStepsize must be finite and above 0 in float32; given 0/],
    [{ minStepsize: -1 }, /minStepsize must be finite and above 0 in float32; given -1/],
    [{ gamma: 1 }, /gamma must be above 0 and below 1; given 1/],
    [{ initAttack: "DDN" }, /initAttack must be an attack, such as new LinfDeepFoolAttack\(\); given "DDN"/],
    [{ max_stepsize: 1 }, /L2FMNAttack has no option "max_stepsize"; did you mean "maxStepsize"/],
  ] as const) {
    expect(() => new L2FMNAttack(options as FMNOptions)).toThrow(message);
    expect(await codeOf(() => new L2FMNAttack(options as FMNOptions))).toBe("INVALID_ARGUMENT");
  }
});

it("tells of the share of the work, that of the first attack's way included, and ends when it is aborted", async () => {
  const { model, images, labels } = problem();
  const shares: number[] = [];
  const attack = new L2FMNAttack({ initAttack: new LinfDeepFoolAttack() });
  await attack.run(model, images, labels, { onProgress: (share) => void shares.push(share) });
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  expect(shares.at(-1)).toBe(1);
  const signal = AbortSignal.abort(new Error("enough"));
  for (const each of [attack, new L0FMNAttack()]) {
    await expect(each.run(model, images, labels, { signal })).rejects.toThrow("enough");
  }
});
