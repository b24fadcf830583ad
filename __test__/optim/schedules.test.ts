// Schedules against PyTorch's step-by-step recurrences.

import {
  CosineAnnealingLR,
  fit,
  fromArrays,
  Linear,
  OneCycleLR,
  type OneCycleOptions,
  type Schedule,
  SGD,
  StepLR,
  type Tensor,
  TslipError,
} from "tslip";
import { describe, expect, it } from "vitest";

/** Closed form against recurrence in float64, over a hundred steps. */
const FLOAT64_STEPS = 1e-12;

const ratesOf = (schedule: Schedule, steps: number): number[] =>
  Array.from({ length: steps }, (_, step) => schedule.at(step).lr);

function expectNear(given: readonly number[], expected: readonly number[]): void {
  expect(given).toHaveLength(expected.length);
  given.forEach((value, i) => {
    expect(Math.abs(value - (expected[i] ?? Number.NaN))).toBeLessThanOrEqual(FLOAT64_STEPS);
  });
}

describe("StepLR", () => {
  it("multiplies by gamma after every stepSize steps", () => {
    let lr = 0.3;
    const expected = Array.from({ length: 20 }, (_, step) => {
      if (step > 0 && step % 6 === 0) lr *= 0.5;
      return lr;
    });
    expectNear(ratesOf(new StepLR({ lr: 0.3, stepSize: 6, gamma: 0.5 }), 20), expected);
  });

  it("has PyTorch's gamma of 0.1 unless told", () => {
    expect(new StepLR({ lr: 1, stepSize: 1 }).at(1).lr).toBe(0.1);
  });
});

describe("CosineAnnealingLR", () => {
  it("follows PyTorch's recurrence down to etaMin and up again", () => {
    const [base, tMax, etaMin] = [0.8, 16, 0.05];
    let lr = base;
    const expected = Array.from({ length: 40 }, (_, step) => {
      if (step === 0) return lr;
      if ((step - 1 - tMax) % (2 * tMax) === 0) lr += ((base - etaMin) * (1 - Math.cos(Math.PI / tMax))) / 2;
      else {
        const ratio = (1 + Math.cos((Math.PI * step) / tMax)) / (1 + Math.cos((Math.PI * (step - 1)) / tMax));
        lr = ratio * (lr - etaMin) + etaMin;
      }
      return lr;
    });
    const given = ratesOf(new CosineAnnealingLR({ lr: base, tMax, etaMin }), 40);
    expectNear(given, expected);
    expect(given[tMax]).toBe(etaMin);
  });
});

/** torch.optim.lr_scheduler.OneCycleLR with two phases, as written there. */
function oneCycle(o: Required<OneCycleOptions>, step: number): { lr: number; momentum: number } {
  const first = o.maxLr / o.divFactor;
  const phases = [
    { end: o.pctStart * o.totalSteps - 1, lr: [first, o.maxLr], momentum: [o.maxMomentum, o.baseMomentum] },
    { end: o.totalSteps - 1, lr: [o.maxLr, first / o.finalDivFactor], momentum: [o.baseMomentum, o.maxMomentum] },
  ];
  const anneal = ([from = 0, to = 0]: number[], share: number): number =>
    o.annealStrategy === "cos" ? to + ((from - to) / 2) * (Math.cos(Math.PI * share) + 1) : (to - from) * share + from;
  let start = 0;
  for (const [i, phase] of phases.entries()) {
    if (step <= phase.end || i === phases.length - 1) {
      const share = (step - start) / (phase.end - start);
      return { lr: anneal(phase.lr, share), momentum: anneal(phase.momentum, share) };
    }
    start = phase.end;
  }
  throw new Error("a step is in some phase");
}

describe("OneCycleLR", () => {
  const defaults = {
    pctStart: 0.3,
    annealStrategy: "cos",
    divFactor: 25,
    finalDivFactor: 1e4,
    cycleMomentum: true,
    baseMomentum: 0.85,
    maxMomentum: 0.95,
    threePhase: false,
  } as const;
  const variants: OneCycleOptions[] = [
    { maxLr: 1, totalSteps: 100 },
    { maxLr: 0.3, totalSteps: 37, pctStart: 0.5, annealStrategy: "linear", divFactor: 10, finalDivFactor: 7 },
    { maxLr: 2, totalSteps: 12, pctStart: 0.25, baseMomentum: 0.6, maxMomentum: 0.99 },
    { maxLr: 1, totalSteps: 1 },
    { maxLr: 1, totalSteps: 2 },
    { maxLr: 1, totalSteps: 3 },
  ];
  it.each(variants)("follows PyTorch's phases with %o", (options) => {
    const schedule = new OneCycleLR(options);
    const all = { ...defaults, ...options };
    for (let step = 0; step < options.totalSteps; step++) {
      const { lr, momentum = Number.NaN } = schedule.at(step);
      const expected = oneCycle(all, step);
      expectNear([lr, momentum], [expected.lr, expected.momentum]);
    }
  });

  it("starts at its peak when the rise is a single step", () => {
    expect(new OneCycleLR({ maxLr: 2, totalSteps: 10, pctStart: 0.1 }).at(0).lr).toBe(2);
    const all = Array.from({ length: 10 }, (_, step) =>
      new OneCycleLR({ maxLr: 2, totalSteps: 10, pctStart: 1 }).at(step),
    );
    expect(all.every(({ lr, momentum = Number.NaN }) => Number.isFinite(lr) && Number.isFinite(momentum))).toBe(true);
  });

  it("leaves momentum out unless it cycles it, and refuses steps past its end", () => {
    const schedule = new OneCycleLR({ maxLr: 1, totalSteps: 5, cycleMomentum: false });
    expect(schedule.at(0)).not.toHaveProperty("momentum");
    expect(() => schedule.at(5)).toThrow(TslipError);
  });
});

describe("a schedule", () => {
  it("refuses options out of range", () => {
    const refused: (() => unknown)[] = [
      () => new StepLR({ lr: 1, stepSize: 0 }),
      () => new StepLR({ lr: Number.NaN, stepSize: 1 }),
      () => new StepLR({ lr: 1, stepSize: 1, gamma: -1 }),
      () => new CosineAnnealingLR({ lr: 1, tMax: 1.5 }),
      () => new CosineAnnealingLR({ lr: 1, tMax: 5, etaMin: Number.NaN }),
      () => new OneCycleLR({ maxLr: 1, totalSteps: 0 }),
      () => new OneCycleLR({ maxLr: -1, totalSteps: 5 }),
      () => new OneCycleLR({ maxLr: 1, totalSteps: 5, pctStart: 1.5 }),
      () => new OneCycleLR({ maxLr: 1, totalSteps: 5, divFactor: 0 }),
      () => new OneCycleLR({ maxLr: 1, totalSteps: 5, annealStrategy: "exp" as "cos" }),
      () => new OneCycleLR({ maxLr: 1, totalSteps: 5, maxMomentum: 1.5 }),
    ];
    for (const make of refused) {
      expect(make).toThrow(TslipError);
      expect(make).toThrow(expect.objectContaining({ code: "INVALID_ARGUMENT" }));
    }
  });

  it("sets the rate of every step of fit, counted over the epochs", async () => {
    // The gradient of a sum of weight * 1 is 1: the weight sinks by the rate of each step.
    const model = new Linear(1, 1, { bias: false });
    const start = model.weight.item();
    const data = fromArrays(
      Float32Array.from({ length: 6 }, () => 1),
      [6, 1],
      [0, 0, 0, 0, 0, 0],
    );
    const rates = [0.5, 0.25, 0.125, 4, 2, 1];
    await fit(model, data, {
      epochs: 2,
      batchSize: 2,
      optimizer: new SGD({ lr: 100 }),
      loss: { forward: (logits: Tensor) => logits.mean() },
      schedule: { at: (step) => ({ lr: rates[step] ?? Number.NaN }) },
      verbose: false,
    });
    expect(model.weight.item()).toBeCloseTo(start - 7.875, 5);
  });
});
