// Attacks of the literature: where they step to is known in a case each, wrong options, signals and progress.
import {
  type Attack,
  EADAttack,
  L1ALMAAttack,
  L1FABAttack,
  L1PDPGDAttack,
  L2ALMAAttack,
  L2APGDAttack,
  L2BrendelBethgeAttack,
  L2CarliniWagnerAttack,
  L2FABAttack,
  L2PDGDAttack,
  L2PDPGDAttack,
  Linear,
  NewtonFoolAttack,
  randn,
  tensor,
  VirtualAdversarialAttack,
} from "tslip";
import { describe, expect, it } from "vitest";
import { codeOf } from "../train/subset.js";
import { problem } from "./linear.js";

const bounds = [-50, 50] as const;

describe("NewtonFool", () => {
  it("steps to where the probability of the label would be that of chance if it were linear, and 1 % of that less", async () => {
    const model = new Linear(
      2,
      2,
      { bias: false },
      {
        weight: tensor([
          [3, 4],
          [0, 0],
        ]),
        bias: undefined,
      },
    );
    for (const probability of [0.55, 0.6]) {
      // The logit of this probability, along the gradient, whose length is 5.
      const along = Math.log(probability / (1 - probability)) / 5;
      const image = tensor([[(along * 3) / 5, (along * 4) / 5]]);
      const wanted = (probability - 0.99 / 2) / (5 * probability * (1 - probability));
      const attack = new NewtonFoolAttack({ steps: 1, stepsize: 100 });
      const { distances } = await attack.run(model, image, [0], { bounds });
      expect(distances[0]).toBeCloseTo(wanted, 4);
    }
  });

  it("steps no farther than a share of the image's norm", async () => {
    const model = new Linear(
      2,
      2,
      { bias: false },
      {
        weight: tensor([
          [1, 0],
          [0, 0],
        ]),
        bias: undefined,
      },
    );
    const image = tensor([[0.05, 12]]);
    for (const [steps, stepsize, reach] of [
      [1, 0.01, 0.12],
      [4, 0.001, Number.POSITIVE_INFINITY],
      [5, 0.001, 0.06],
    ] as const) {
      const { distances } = await new NewtonFoolAttack({ steps, stepsize }).run(model, image, [0], { bounds });
      if (reach === Number.POSITIVE_INFINITY) expect(distances[0]).toBe(reach);
      // Half of what is left to chance and below may be less than the longest step.
      else expect(distances[0]).toBeLessThanOrEqual(reach * 1.001);
    }
  });
});

it("virtual adversarial directions are those in which the Fisher information is largest", async () => {
  const [CLASSES, PIXELS, IMAGES] = [4, 5, 8];
  const weight = randn([CLASSES, PIXELS], { seed: 3 });
  const model = new Linear(PIXELS, CLASSES, { bias: false }, { weight, bias: undefined });
  const images = randn([IMAGES, PIXELS], { seed: 4 });
  const labels = await model.classify(images);
  const attack = new VirtualAdversarialAttack({ steps: 200, seed: 1, xi: 1e-3 });
  const [result] = await attack.run(model, images, labels, { bounds, epsilons: [10] });
  const logits = [...model.predictSync(images).dataSync()];
  const [w, x, found] = [[...weight.dataSync()], [...images.dataSync()], [...(result?.raw.dataSync() ?? [])]];
  let hits = 0;
  for (let n = 0; n < IMAGES; n++) {
    if (!result?.success[n]) continue;
    hits += 1;
    const likelihoods = logits.slice(n * CLASSES, (n + 1) * CLASSES).map(Math.exp);
    const total = likelihoods.reduce((sum, v) => sum + v, 0);
    const p = likelihoods.map((v) => v / total);
    let v = Array.from({ length: PIXELS }, (_, k) => Math.sin(k + 1));
    for (let i = 0; i < 2000; i++) {
      const change = p.map((_, c) => v.reduce((sum, each, k) => sum + each * (w[c * PIXELS + k] ?? 0), 0));
      const mean = change.reduce((sum, each, c) => sum + each * (p[c] ?? 0), 0);
      const next = v.map((_, k) =>
        change.reduce((sum, each, c) => sum + (p[c] ?? 0) * (each - mean) * (w[c * PIXELS + k] ?? 0), 0),
      );
      v = next.map((each) => each / Math.hypot(...next));
    }
    const cosine = v.reduce(
      (sum, each, k) => sum + (each * ((found[n * PIXELS + k] ?? 0) - (x[n * PIXELS + k] ?? 0))) / 10,
      0,
    );
    expect(Math.abs(cosine)).toBeGreaterThan(0.999);
  }
  expect(hits).toBeGreaterThan(3);
});

const quick: [string, () => Attack][] = [
  ["FAB", () => new L2FABAttack({ steps: 5, repeat: 2, seed: 1 })],
  ["ALMA", () => new L2ALMAAttack({ steps: 30 })],
  ["PDGD", () => new L2PDGDAttack({ steps: 30 })],
  ["PDPGD", () => new L2PDPGDAttack({ steps: 30 })],
  ["Brendel-Bethge", () => new L2BrendelBethgeAttack({ steps: 30, seed: 1 })],
  ["Carlini-Wagner", () => new L2CarliniWagnerAttack({ steps: 30 })],
  ["elastic net", () => new EADAttack({ steps: 30 })],
  ["NewtonFool", () => new NewtonFoolAttack()],
  ["virtual adversarial directions", () => new VirtualAdversarialAttack({ seed: 1 })],
  ["Auto-PGD", () => new L2APGDAttack({ steps: 5, targetClasses: 2, seed: 1 })],
];

it.each(quick)("%s is ended by a signal, and its shares of the work grow to 1", async (_, make) => {
  const { model, images, labels } = problem();
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(make().run(model, images, labels, { signal })).rejects.toThrow("enough");
  const shares: number[] = [];
  await make().run(model, images, labels, { onProgress: (share) => void shares.push(share) });
  expect(shares).toEqual(shares.toSorted((a, b) => a - b));
  expect(shares.at(-1)).toBe(1);
});

it.each<[(options: never) => Attack, object, RegExp]>([
  [(o) => new L2FABAttack(o), { eta: 0.5 }, /eta must be finite in float32 and at least 1; given 0.5/],
  [(o) => new L1FABAttack(o), { alpha_max: 0.1 }, /L1FABAttack has no option "alpha_max"/],
  [(o) => new L2FABAttack(o), { beta: 0 }, /beta must be above 0 in float32 and at most 1; given 0/],
  [(o) => new L2ALMAAttack(o), { alpha: 1 }, /alpha must be at least 0 and below 1 in float32; given 1/],
  [(o) => new L1ALMAAttack(o), { gamma: 1 }, /gamma must be finite in float32 and above 1; given 1/],
  [(o) => new L2PDGDAttack(o), { proximalSteps: 5 }, /L2PDGDAttack has no option "proximalSteps"/],
  [(o) => new L1PDPGDAttack(o), { proximalSteps: 0 }, /proximalSteps must be a whole number >= 1; given 0/],
  [(o) => new L2PDPGDAttack(o), { dualMinRatio: 2 }, /dualMinRatio must be above 0 in float32 and at most 1; given 2/],
  [(o) => new NewtonFoolAttack(o), { stepsize: 0 }, /stepsize must be finite and above 0 in float32; given 0/],
  [(o) => new VirtualAdversarialAttack(o), { xi: 1e-60 }, /xi must be finite and above 0 in float32; given 1e-60/],
])("wrong options are refused by name: %#", async (make, options, message) => {
  expect(() => make(options as never)).toThrow(message);
  expect(await codeOf(() => make(options as never))).toBe("INVALID_ARGUMENT");
});
