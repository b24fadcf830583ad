// Auto-PGD beside the same steps written as a float64 loop, and where classes have to be aimed at.
import {
  type APGDOptions,
  L1APGDAttack,
  L2APGDAttack,
  Linear,
  LinfAPGDAttack,
  Module,
  randn,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";

type Row = readonly number[];
const [PIXELS, CLASSES, IMAGES] = [6, 4, 12];
const sum = (row: Row): number => row.reduce((a, b) => a + b, 0);
const at = (row: ArrayLike<number>, k: number): number => row[k] ?? Number.NaN;
const rowsOf = (x: Tensor, width: number): number[][] =>
  Array.from({ length: x.size / width }, (_, i) => [...x.dataSync().slice(i * width, (i + 1) * width)]);

/** Logits of a linear layer, the second pixel squared: gradients turn on the way. */
class Bent extends Module {
  constructor(readonly inner: Linear) {
    super();
  }
  forward(x: Tensor): Tensor {
    return this.inner.forward(x.mul(x.add(1)));
  }
}

function network(): { model: Bent; images: Tensor; weight: Row[]; bias: Row } {
  const [weight, bias] = [randn([CLASSES, PIXELS], { seed: 31 }), randn([CLASSES], { seed: 32 }).mul(0.1)];
  const inner = new Linear(PIXELS, CLASSES, {}, { weight, bias });
  const images = randn([IMAGES, PIXELS], { seed: 33 }).mul(0.4).add(0.4).clip(0, 1);
  return { model: new Bent(inner), images, weight: rowsOf(weight, PIXELS), bias: [...bias.dataSync()] };
}

interface Seen {
  /** What rises, its gradient, and the lead of the label. */
  height: number;
  gradient: Row;
  lead: number;
}

/** Of a point of the network {@link network} what "ce" or "dlr" sees. */
function seen({ weight, bias }: { weight: Row[]; bias: Row }, x: Row, own: number, loss: string): Seen {
  const logits = weight.map((row, c) => sum(row.map((w, k) => w * at(x, k) * (at(x, k) + 1))) + at(bias, c));
  const others = logits.map((z, c) => (c === own ? Number.NEGATIVE_INFINITY : z));
  const best = Math.max(...others);
  const lead = at(logits, own) - best;
  const pull = (factors: Row): Row =>
    x.map((v, k) => (2 * v + 1) * sum(factors.map((f, c) => f * at(weight[c] ?? [], k))));
  if (loss === "ce") {
    const likelihoods = others.map((z) => Math.exp(z - best));
    const factors = likelihoods.map((p, c) => p / sum(likelihoods) - Number(c === own));
    return { height: best + Math.log(sum(likelihoods)) - at(logits, own), gradient: pull(factors), lead };
  }
  const order = logits.map((_, c) => c).sort((a, b) => at(logits, b) - at(logits, a));
  const spread = at(logits, at(order, 0)) - at(logits, at(order, 2));
  const factors = logits.map(
    (_, c) =>
      (Number(c === others.indexOf(best)) - Number(c === own)) / spread +
      (lead / spread ** 2) * (Number(c === order[0]) - Number(c === order[2])),
  );
  return { height: -lead / spread, gradient: pull(factors), lead };
}

/** The iterate of one run from the image that leads most; null where the run comes to where the ratio has no slope, but roundings. */
function climbed(
  look: (x: Row) => Seen,
  image: Row,
  epsilon: number,
  steps: number,
  norm: "L2" | "Linf",
): Row | undefined | null {
  const within = (x: Row): number[] => {
    const d = x.map((v, k) => v - at(image, k));
    const share = Math.min(1, epsilon / Math.hypot(...d));
    return d.map((v, k) => {
      const kept = norm === "L2" ? v * share : Math.min(Math.max(v, -epsilon), epsilon);
      return Math.min(Math.max(at(image, k) + kept, 0), 1);
    });
  };
  const uphill = (g: Row): Row => (norm === "L2" ? g.map((v) => v / Math.hypot(...g)) : g.map(Math.sign));
  const shares = [0, 0.22];
  while (at(shares, shares.length - 1) <= 1) {
    const [before, last] = [at(shares, shares.length - 2), at(shares, shares.length - 1)];
    shares.push(last + Math.max(last - before - 0.03, 0.06));
  }
  const checks = shares.map((share) => Math.ceil(share * steps));
  let [size, x, last] = [2 * epsilon, [...image], [...image]];
  let best: { x: Row; lead: number } | undefined;
  let peak = { x, ...look(x) };
  const sizes = [size];
  const heights: number[] = [];
  const peaks: number[] = [];
  for (let i = 0; i <= steps; i++) {
    let here = { x, ...look(x) };
    if (Math.hypot(...here.gradient) < 1e-9) return null;
    if (here.lead < 0 && here.lead < (best?.lead ?? 0)) best = { x, lead: here.lead };
    if (here.height > peak.height) peak = here;
    heights.push(here.height);
    const check = checks.indexOf(i);
    if (check > 0) {
      const from = at(checks, check - 1);
      const risen = heights.filter((h, k) => k > from && h > at(heights, k - 1)).length;
      const same = check > 1 && at(sizes, check - 1) === at(sizes, check - 2) && at(peaks, check - 2) >= peak.height;
      if (risen < 0.75 * (i - from) || same) {
        size /= 2;
        here = peak;
      }
      sizes.push(size);
      peaks.push(peak.height);
    }
    const direction = uphill(here.gradient);
    const straight = within(here.x.map((v, k) => v + size * at(direction, k)));
    const alpha = i === 0 ? 1 : 0.75;
    const next = here.x.map((v, k) => v + alpha * (at(straight, k) - v) + (1 - alpha) * (v - at(last, k)));
    last = [...here.x];
    x = within(next);
  }
  return best?.x;
}

describe.each([
  ["L2", L2APGDAttack, 0.25],
  ["Linf", LinfAPGDAttack, 0.12],
] as const)("Auto-PGD in %s", (norm, Member, epsilon) => {
  it.each(["ce", "dlr"] as const)("comes to the points that the same steps lead to in float64, by %s", async (loss) => {
    const { model, images, ...numbers } = network();
    const labels = [...(await model.classify(images))];
    const attack = new Member({ loss, randomStart: false, steps: 25 });
    const [result] = await attack.run(model, images, labels, { epsilons: [epsilon] });
    const found = rowsOf(result?.raw ?? images, PIXELS);
    let hits = 0;
    rowsOf(images, PIXELS).forEach((image, i) => {
      const own = labels[i] ?? 0;
      const wanted = climbed((x) => seen(numbers, x, own, loss), image, epsilon, 25, norm);
      if (wanted === null) return;
      expect(result?.success[i]).toBe(wanted !== undefined);
      if (wanted === undefined) return;
      hits += 1;
      wanted.forEach((value, k) => {
        expect(Math.abs(at(found[i] ?? [], k) - value)).toBeLessThan(1e-4);
      });
    });
    expect(hits).toBeGreaterThan(2);
  });
});

/** The nearest point of an L1 ball, far from bounds. */
function ontoL1(d: Row, radius: number): number[] {
  const cut = (threshold: number): number[] => d.map((v) => Math.sign(v) * Math.max(Math.abs(v) - threshold, 0));
  const length = (row: Row): number => sum(row.map(Math.abs));
  if (length(d) <= radius) return [...d];
  let [low, high] = [0, Math.max(...d.map(Math.abs))];
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (length(cut(middle)) > radius) low = middle;
    else high = middle;
  }
  return cut(high);
}

/** {@link climbed} in L1 norm, through phases of so many steps within so many times epsilon. */
function climbedL1(
  look: (x: Row) => Seen,
  image: Row,
  epsilon: number,
  phases: readonly (readonly [number, number])[],
) {
  const count = (row: Row): number => row.filter((v) => v !== 0).length;
  let from: Row = image.map(() => 0);
  let best: { x: Row; lead: number } | undefined;
  const offered = (d: Row): void => {
    const x = image.map((v, k) => v + at(d, k));
    const { lead } = look(x);
    if (lead < 0 && lead < (best?.lead ?? 0)) best = { x, lead };
  };
  phases.forEach(([steps, times], phase) => {
    const radius = times * epsilon;
    const every = Math.max(Math.floor(0.04 * steps), 1);
    const last = phase === phases.length - 1;
    let d = from;
    let peak: { d: Row; gradient: Row; height: number } | undefined;
    let [pace, width, before] = [radius, 0.2 * PIXELS, PIXELS];
    for (let i = 0; i < steps + Number(!last); i++) {
      const { height, gradient } = look(image.map((v, k) => v + at(d, k)));
      if (last) offered(d);
      if (peak === undefined || height > peak.height) peak = { d, gradient, height };
      const dense = count(peak.d);
      if (i === 0 && phase > 0) [width, before] = [dense / 1.5, dense];
      let [begin, slope] = [d, gradient];
      if (i > 0 && i % every === 0) {
        width = dense / 1.5;
        if (dense < 0.95 * before) {
          pace = radius;
          [begin, slope] = [peak.d, peak.gradient];
        } else pace = Math.max(pace / 1.5, radius / 10);
        before = dense;
      }
      const order = slope.map((_, k) => k).sort((a, b) => Math.abs(at(slope, b)) - Math.abs(at(slope, a)));
      const moved = order.slice(0, Math.max(Math.floor(width), 1));
      const step = begin.map((v, k) => v + (moved.includes(k) ? (Math.sign(at(slope, k)) * pace) / moved.length : 0));
      d = i === steps ? ontoL1(peak.d, at(phases[phase + 1] ?? [], 1) * epsilon) : ontoL1(step, radius);
    }
    from = d;
  });
  offered(from);
  return best?.x;
}

describe("Auto-PGD in L1", () => {
  it.each([
    [
      25,
      true,
      [
        [8, 3],
        [8, 2],
        [9, 1],
      ],
    ],
    [25, false, [[25, 1]]],
    [
      4,
      true,
      [
        [1, 3],
        [1, 2],
        [2, 1],
      ],
    ],
    [2, true, [[2, 1]]],
  ] as const)(
    "comes to the points that %i steps, with larger radii: %s, lead to in float64",
    async (steps, largerRadii, phases) => {
      const { model, images, ...numbers } = network();
      const labels = [...(await model.classify(images))];
      const attack = new L1APGDAttack({ randomStart: false, steps, largerRadii });
      const [result] = await attack.run(model, images, labels, { epsilons: [0.5], bounds: [-9, 9] });
      const found = rowsOf(result?.raw ?? images, PIXELS);
      let hits = 0;
      rowsOf(images, PIXELS).forEach((image, i) => {
        const wanted = climbedL1((x) => seen(numbers, x, labels[i] ?? 0, "ce"), image, 0.5, phases);
        expect(result?.success[i]).toBe(wanted !== undefined);
        if (wanted === undefined) return;
        hits += 1;
        wanted.forEach((value, k) => {
          expect(Math.abs(at(found[i] ?? [], k) - value)).toBeLessThan(1e-4);
        });
      });
      expect(hits).toBeGreaterThan(2);
    },
  );
});

describe.each([
  ["L2", L2APGDAttack],
  ["Linf", LinfAPGDAttack],
  ["L1", L1APGDAttack],
] as const)("Auto-PGD in %s", (_, Member) => {
  it("reaches a class that it aims at where the likeliest other one cannot be reached", async () => {
    // The second class is next to the first everywhere within the bounds; the third is far, and takes the lead there.
    const weight = tensor([
      [0, 0],
      [0.05, 0],
      [0, 5],
    ]);
    const model = new Linear(2, 3, {}, { weight, bias: tensor([1, 0.9, -3]) });
    const run = async (options: APGDOptions): Promise<boolean | undefined> => {
      const attack = new Member({ loss: "dlr", seed: 1, randomStart: false, ...options });
      const [result] = await attack.run(model, tensor([[0, 0]]), [0], { epsilons: [2], bounds: [-1, 1] });
      return result?.success[0];
    };
    expect(await run({})).toBe(false);
    expect(await run({ targetClasses: 1 })).toBe(false);
    expect(await run({ targetClasses: 2 })).toBe(true);
    expect(await run({ targetClasses: 9, loss: "ce" })).toBe(true);
  });

  it("climbs the ratio of logits where all scores are large, and where there are but two", async () => {
    for (const scale of [1, 1e3]) {
      for (const firsts of [
        [1, -1],
        [1, -1, -0.5],
        [1, -1, -0.5, -0.6],
      ]) {
        const weight = tensor(firsts.map((v) => [v * scale, 0]));
        // The likeliest two change places where the first pixel is 0; only there has the ratio a slope.
        const bias = tensor(firsts.map((_, c) => (c > 1 ? -c * scale : 0)));
        const model = new Linear(2, firsts.length, {}, { weight, bias });
        const attack = new Member({ loss: "dlr", seed: 1 });
        const { distances } = await attack.run(model, tensor([[0.3, 0.1]]), [0], { bounds: [-1, 1] });
        expect(distances[0]).toBeLessThan(0.31);
        expect(distances[0]).toBeGreaterThan(0.3 * (1 - 1e-6));
      }
    }
  });
});

it("the defaults are those of the papers, and wrong options are refused by name", async () => {
  const { seed: _, ...defaults } = new L2APGDAttack().options;
  expect(defaults).toEqual({
    steps: 100,
    loss: "ce",
    targetClasses: 0,
    randomStart: true,
    repeat: 1,
    binarySearchSteps: 16,
  });
  expect(new L1APGDAttack().options.largerRadii).toBe(true);
  expect(() => new L2APGDAttack({ largerRadii: true } as APGDOptions)).toThrow(/has no option "largerRadii"/);
  for (const [options, message] of [
    [{ steps: 0 }, /steps must be a whole number >= 1; given 0/],
    [{ loss: "cw" }, /loss must be "ce" or "dlr"; given "cw"/],
    [{ targetClasses: -1 }, /targetClasses must be a whole number >= 0; given -1/],
    [{ eps: 1 }, /has no option "eps"; radii are given where it runs/],
    [{ nIter: 5 }, /has no option "nIter"/],
    [{ randomStart: false, repeat: 2 }, /repeat is 2, expected 1 where randomStart is false/],
  ] as const) {
    for (const Member of [L1APGDAttack, L2APGDAttack, LinfAPGDAttack]) {
      expect(() => new Member(options as APGDOptions)).toThrow(message);
      expect(await codeOf(() => new Member(options as APGDOptions))).toBe("INVALID_ARGUMENT");
    }
  }
});
