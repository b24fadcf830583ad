// Attacks within a radius: against foolbox's order of operations in float64, and where the right answer is known.
import {
  type Attack,
  L1,
  L1AdamBasicIterativeAttack,
  L1BasicIterativeAttack,
  L1FastGradientAttack,
  L1MomentumIterativeFastGradientMethod,
  L1PGD,
  L2,
  L2AdamPGD,
  L2FastGradientAttack,
  L2MomentumIterativeFastGradientMethod,
  L2PGD,
  Linear,
  Linf,
  LinfAdamBasicIterativeAttack,
  LinfAdamPGD,
  LinfFastGradientAttack,
  LinfMomentumIterativeFastGradientMethod,
  LinfPGD,
  Module,
  manualSeed,
  randn,
  type Tensor,
  tensor,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { CLASSES, FEATURES, problem } from "./linear.js";

type Row = readonly number[];

const sum = (row: Row): number => row.reduce((a, b) => a + b, 0);
const sizes: Record<string, (row: Row) => number> = {
  L1: (row) => sum(row.map(Math.abs)),
  L2: (row) => Math.hypot(...row),
  Linf: (row) => Math.max(...row.map(Math.abs)),
};
const sizeOf = (norm: string, row: Row): number => sizes[norm]?.(row) ?? Number.NaN;
const unit = (norm: string, row: Row): number[] =>
  norm === "Linf" ? row.map(Math.sign) : row.map((v) => v / Math.max(sizeOf(norm, row), 1e-12));
const rowsOf = (values: ArrayLike<number>, size: number): number[][] =>
  Array.from({ length: values.length / size }, (_, i) => Array.from(values).slice(i * size, (i + 1) * size));

interface Reference {
  readonly norm: string;
  readonly steps: number;
  readonly stepsize: number;
  readonly epsilon: number;
  readonly bounds: readonly [number, number];
  readonly targeted: boolean;
  /** Where a step goes, of the gradients of all steps so far. */
  readonly rule: (gradients: readonly Row[]) => Row;
}

/** The iterate that leads most, of those of one image on a linear model, none where no iterate is adversarial. */
function climbed(weight: Row[], bias: Row, image: Row, own: number, reference: Reference): Row | undefined {
  const { norm, steps, stepsize, epsilon, bounds, targeted, rule } = reference;
  let x = [...image];
  const gradients: Row[] = [];
  let best: { lead: number; x: Row } | undefined;
  for (let step = 0; step <= steps; step++) {
    const logits = weight.map((row, c) => sum(row.map((w, k) => w * (x[k] ?? 0))) + (bias[c] ?? 0));
    const other = Math.max(...logits.filter((_, c) => c !== own));
    const lead = ((logits[own] ?? 0) - other) * (targeted ? -1 : 1);
    if (lead < 0 && lead < (best?.lead ?? 0)) best = { lead, x };
    const likelihoods = logits.map((z) => Math.exp(z - Math.max(...logits)));
    const factors = likelihoods.map((p, c) => p / sum(likelihoods) - Number(c === own));
    const gradient = image.map((_, k) => sum(factors.map((f, c) => f * (weight[c]?.[k] ?? 0))));
    gradients.push(unit(norm, gradient));
    const direction = rule(gradients);
    const moved = x.map((v, k) => v + (targeted ? -1 : 1) * stepsize * (direction[k] ?? 0) - (image[k] ?? 0));
    const share = Math.min(1, epsilon / Math.max(sizeOf(norm, moved), 1e-12));
    const projected = moved.map((v) => (norm === "Linf" ? Math.min(Math.max(v, -epsilon), epsilon) : v * share));
    x = projected.map((v, k) => Math.min(Math.max(v + (image[k] ?? 0), bounds[0]), bounds[1]));
  }
  return best?.x;
}

const last = (gradients: readonly Row[]): Row => gradients.at(-1) ?? [];
const byMomentum =
  (norm: string, share: number) =>
  (gradients: readonly Row[]): Row =>
    unit(
      norm,
      gradients.reduce((held, g) => g.map((v, k) => share * (held[k] ?? 0) + v)),
    );
const byAdam =
  (beta1: number, beta2: number, eps: number) =>
  (gradients: readonly Row[]): Row => {
    const mean = (beta: number, power: number): Row => {
      const zero: Row = last(gradients).map(() => 0);
      const held = gradients.reduce((m, g) => g.map((v, k) => beta * (m[k] ?? 0) + (1 - beta) * v ** power), zero);
      return held.map((v) => v / (1 - beta ** gradients.length));
    };
    const second = mean(beta2, 2);
    return mean(beta1, 1).map((m, k) => m / (Math.sqrt(second[k] ?? 0) + eps));
  };

const plain = { randomStart: false };
const beside: [string, (o: object) => Attack, number, number, Reference["rule"]][] = [
  ["L1FastGradientAttack", () => new L1FastGradientAttack(), 1, 1, last],
  ["L2FastGradientAttack", () => new L2FastGradientAttack(), 1, 1, last],
  ["LinfFastGradientAttack", () => new LinfFastGradientAttack(), 1, 1, last],
  ["L1PGD", () => new L1PGD(plain), 50, 0.025, last],
  ["L2PGD", () => new L2PGD(plain), 50, 0.025, last],
  ["LinfPGD", () => new LinfPGD(plain), 40, 0.01 / 0.3, last],
  ["L1BasicIterativeAttack", () => new L1BasicIterativeAttack(), 10, 0.2, last],
  [
    "L1MomentumIterativeFastGradientMethod",
    () => new L1MomentumIterativeFastGradientMethod(),
    10,
    0.2,
    byMomentum("L1", 1),
  ],
  [
    "L2MomentumIterativeFastGradientMethod",
    () => new L2MomentumIterativeFastGradientMethod({ momentum: 0.7 }),
    10,
    0.2,
    byMomentum("L2", 0.7),
  ],
  [
    "LinfMomentumIterativeFastGradientMethod",
    () => new LinfMomentumIterativeFastGradientMethod(),
    10,
    0.2,
    byMomentum("Linf", 1),
  ],
  ["L2AdamPGD", () => new L2AdamPGD(plain), 50, 0.025, byAdam(0.9, 0.999, 1e-8)],
  [
    "LinfAdamPGD",
    () => new LinfAdamPGD({ ...plain, adamBeta1: 0.5, adamBeta2: 0.9, adamEpsilon: 0.1 }),
    40,
    0.01 / 0.3,
    byAdam(0.5, 0.9, 0.1),
  ],
  ["L1AdamBasicIterativeAttack", () => new L1AdamBasicIterativeAttack(), 10, 0.2, byAdam(0.9, 0.999, 1e-8)],
  ["LinfAdamBasicIterativeAttack", () => new LinfAdamBasicIterativeAttack(), 10, 0.2, byAdam(0.9, 0.999, 1e-8)],
];

describe.each(beside)("%s", (_, make, steps, relative, rule) => {
  it.each([
    ["a label to leave", false],
    ["a class to reach", true],
  ])("goes where it does in float64, within each epsilon and the bounds, for %s", async (__, targeted) => {
    const { model, images, labels } = problem();
    const attack = make({});
    const norm = attack.norm.name;
    const weight = rowsOf(model.weight.dataSync(), FEATURES);
    const bias = [...(model.bias?.dataSync() ?? [])];
    const targets = labels.map((label) => (label + 1) % CLASSES);
    const scale = targeted ? 3 : 1;
    const shortest = { L1: 0.3, L2: 0.15, Linf: 0.08 }[norm as "L1" | "L2" | "Linf"] * scale;
    const epsilons = [shortest, 2 * shortest, 4 * shortest];
    const bounds = targeted ? ([-1, 2] as const) : ([0.1, 0.9] as const);
    const kept = images.clip(...bounds);
    const results = await attack.run(model, kept, labels, { epsilons, bounds, ...(targeted ? { targets } : {}) });
    let found = 0;
    for (const [e, { clipped, success, distances }] of results.entries()) {
      const epsilon = epsilons[e] ?? 0;
      const ours = rowsOf(clipped.dataSync(), FEATURES);
      for (const [i, image] of rowsOf(kept.dataSync(), FEATURES).entries()) {
        const own = (targeted ? targets : labels)[i] ?? 0;
        const reference = { norm, steps, stepsize: relative * epsilon, epsilon, bounds, targeted, rule };
        const want = climbed(weight, bias, image, own, reference);
        expect(success[i]).toBe(want !== undefined);
        if (want === undefined) continue;
        found += 1;
        want.forEach((v, k) => expect(Math.abs((ours[i]?.[k] ?? 0) - v)).toBeLessThan(2e-5));
        expect(distances[i]).toBeLessThanOrEqual(epsilon);
      }
    }
    expect(found).toBeGreaterThan(6);
    expect(found).toBeLessThan(36);
  });
});

describe("between two classes of a linear model", () => {
  const weight = [0.3, -1, 0.2, 0.6];
  const model = new Linear(4, 2, {}, { weight: tensor([weight, weight.map((w) => -w)]), bias: tensor([0.1, -0.1]) });
  const images = randn([9, 4], { seed: 4 });
  const labels = [...(model.predictSync(images).argmax(1).dataSync() as Int32Array)];
  const leads = rowsOf(images.dataSync(), 4).map((x) => Math.abs(sum(x.map((v, k) => v * (weight[k] ?? 0))) + 0.1));
  const bounds = [-20, 20] as const;
  // Along the gradient, over what a step of norm 1 gains.
  const gains = {
    L1: sizeOf("L2", weight) ** 2 / sizeOf("L1", weight),
    L2: sizeOf("L2", weight),
    Linf: sizeOf("L1", weight),
  };

  it.each([
    [new L1FastGradientAttack(), L1],
    [new L2FastGradientAttack(), L2],
    [new LinfFastGradientAttack(), Linf],
    [new L1BasicIterativeAttack(), L1],
    [new L2PGD({ steps: 100, relStepsize: 0.1, seed: 1 }), L2],
    [new LinfPGD({ steps: 100, relStepsize: 0.1, seed: 1 }), Linf],
  ] as const)(
    "the hyperplane is found without an epsilon, and with one that reaches it alone: %#",
    async (attack, norm) => {
      expect(attack.norm).toBe(norm);
      const away = leads.map((lead) => lead / gains[norm.name as keyof typeof gains]);
      const { distances } = await attack.run(model, images, labels, { bounds });
      distances.forEach((distance, i) => {
        expect(distance).toBeGreaterThan((away[i] ?? 0) * (1 - 1e-5));
        expect(distance).toBeLessThan((away[i] ?? 0) * 1.01 + 2e-3);
      });
      const epsilons = [away.map((d) => d * 0.999), away.map((d) => d * 1.01)];
      const [short, enough] = await attack.run(model, images, labels, { bounds, epsilons });
      expect(short?.success.some(Boolean)).toBe(false);
      expect([...(short?.distances ?? [])]).toEqual(labels.map(() => Number.POSITIVE_INFINITY));
      expect(enough?.success.every(Boolean)).toBe(true);
    },
  );
});

/** Class 1 where |x - 0.5| is below 0.1, and nowhere else. */
class Narrow extends Module {
  forward(x: Tensor): Tensor {
    const depth = x.sub(0.5).abs().neg().add(0.1).mul(10);
    return depth.neg().concat(depth, 1);
  }
}

it("the strongest iterate counts within an epsilon, not the last; without one the nearest", async () => {
  const attack = new LinfPGD({ steps: 4, absStepsize: 0.1, randomStart: false });
  const image = tensor([[0.22]]);
  // To 0.32, 0.42, 0.52 and 0.42: the nearest and the last are less strong than the third.
  const [result] = await attack.run(new Narrow(), image, [0], { epsilons: [1] });
  expect(result?.success).toEqual([true]);
  expect(result?.clipped.dataSync()[0]).toBeCloseTo(0.52, 6);
  const { distances } = await new LinfPGD({ seed: 1 }).run(new Narrow(), image, [0]);
  expect(distances[0]).toBeGreaterThan(0.18 * (1 - 1e-5));
  expect(distances[0]).toBeLessThan(0.19);
});

it("a radius that leads beyond what is searched for is halved until something is found", async () => {
  const { distances, success } = await new LinfFastGradientAttack().run(new Narrow(), tensor([[0.22], [0.9]]), [0, 0]);
  expect(success).toEqual([true, true]);
  for (const [i, want] of [0.18, 0.3].entries()) {
    expect(distances[i]).toBeGreaterThan(want * (1 - 1e-5));
    expect(distances[i]).toBeLessThan(want * 1.05);
  }
});

describe("epsilons", () => {
  const { model, images, labels } = problem();

  it("have a search each, whatever others are asked for, numbers or one for each image", async () => {
    const attack = new L2PGD({ seed: 3, steps: 10, relStepsize: 0.2 });
    const epsilons = [0.6, 0.2, labels.map((_, i) => 0.1 + i / 20)];
    const together = await attack.run(model, images, labels, { epsilons });
    for (const [k, epsilon] of epsilons.entries()) {
      const [alone] = await attack.run(model, images, labels, { epsilons: [epsilon] });
      expect(alone?.distances).toEqual(together[k]?.distances);
      expect(alone?.clipped.dataSync()).toEqual(together[k]?.clipped.dataSync());
      together[k]?.distances.forEach((d, i) => {
        if (together[k]?.success[i]) {
          expect(d).toBeLessThanOrEqual(typeof epsilon === "number" ? epsilon : (epsilon[i] ?? 0));
        }
      });
    }
    expect(together[0]?.success.filter(Boolean).length).toBeGreaterThan(
      together[1]?.success.filter(Boolean).length ?? 12,
    );
    expect(await attack.run(model, images, labels, { epsilons: [] })).toEqual([]);
  });

  it("may be 0, where nothing is found, or Infinity, which is all images within the bounds", async () => {
    const wrong = labels.map((label, i) => (i === 1 ? (label + 1) % CLASSES : label));
    for (const attack of [new LinfFastGradientAttack(), new L1PGD({ seed: 1 }), new L2AdamPGD({ seed: 1 })]) {
      const [none, all] = await attack.run(model, images, wrong, { epsilons: [0, Number.POSITIVE_INFINITY] });
      expect(none?.success.filter(Boolean).length).toBe(1);
      expect(none?.distances[1]).toBe(0);
      expect(all?.success.filter(Boolean).length).toBeGreaterThan(6);
      expect(all?.clipped.dataSync().every((v) => v >= 0 && v <= 1)).toBe(true);
    }
  });

  it("share what onProgress is told, which goes from 0 to 1", async () => {
    const shares: number[] = [];
    const onProgress = (share: number): void => void shares.push(share);
    await new L2PGD({ seed: 1, steps: 5 }).run(model, images, labels, { epsilons: [0.1, 0.2, 0.4], onProgress });
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.length).toBeGreaterThanOrEqual(3);
    expect(shares.at(-1)).toBe(1);
    const controller = new AbortController();
    const long = new L2PGD({ steps: 1_000_000 });
    const running = long.run(model, images, labels, {
      epsilons: [0.1],
      signal: controller.signal,
      onProgress: () => controller.abort("enough"),
    });
    await expect(running).rejects.toBe("enough");
  });
});

describe("random starts", () => {
  const { model, images, labels } = problem();
  const epsilons = [0.6];
  const clippedBy = async (attack: Attack): Promise<number[]> => {
    const [result] = await attack.run(model, images, labels, { epsilons });
    return [...(result?.clipped.dataSync() ?? [])];
  };

  it("are those of the seed, or of the sequence that manualSeed restarts", async () => {
    const made = (seed?: number) =>
      new L2FastGradientAttack({ randomStart: true, ...(seed === undefined ? {} : { seed }) });
    expect(await clippedBy(made(5))).toEqual(await clippedBy(made(5)));
    expect(await clippedBy(made(5))).not.toEqual(await clippedBy(made(6)));
    manualSeed(7);
    const drawn = [await clippedBy(made()), await clippedBy(made())];
    expect(drawn[0]).not.toEqual(drawn[1]);
    manualSeed(7);
    expect([await clippedBy(made()), await clippedBy(made())]).toEqual(drawn);
  });

  it("of which the best is kept: more of them find no less", async () => {
    const found = async (times: number) => {
      const attack = new L2FastGradientAttack({ randomStart: true, seed: 2, repeat: times });
      const [result] = await attack.run(model, images, labels, { epsilons });
      return result?.success ?? [];
    };
    const [once, often] = [await found(1), await found(20)];
    expect(once.every((success, i) => !success || often[i])).toBe(true);
    expect(often.filter(Boolean).length).toBeGreaterThan(once.filter(Boolean).length);
  });
});

it("options that are out of range, or make no difference, are refused", async () => {
  expect(() => new L2PGD({ repeat: 3, randomStart: false })).toThrow(
    /repeat is 3, expected 1 where randomStart is false/,
  );
  expect(() => new L2FastGradientAttack({ repeat: 2 })).toThrow(/give randomStart: true/);
  for (const make of [
    () => new L2PGD({ repeat: 0 }),
    () => new L2PGD({ steps: 0 }),
    () => new L2PGD({ relStepsize: 0 }),
    () => new L2PGD({ absStepsize: 1e39 }),
    () => new L2PGD({ seed: -1 }),
    () => new L2PGD({ seed: 0.5 }),
    () => new L2PGD({ binarySearchSteps: 0 }),
    () => new L2AdamPGD({ adamBeta1: 1 }),
    () => new L2AdamPGD({ adamBeta2: -0.1 }),
    () => new L2AdamPGD({ adamEpsilon: 0 }),
    () => new LinfMomentumIterativeFastGradientMethod({ momentum: -1 }),
    () => new LinfMomentumIterativeFastGradientMethod({ momentum: 1e39 }),
    () => new L2FastGradientAttack({ steps: 3 } as object),
  ]) {
    expect(await codeOf(make)).toBe("INVALID_ARGUMENT");
  }
});
