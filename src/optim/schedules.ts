// Learning-rate schedules in closed form: the value at a step does not depend on how one got there.
import { givenOptions, TslipError } from "../errors.js";
import { atLeastZero } from "./optimizer.js";

/** Learning rate, and momentum where the schedule cycles it, for a step counted from 0. */
export interface Schedule {
  at(step: number): { lr: number; momentum?: number };
}

/** lr gamma^floor(step / stepSize). */
export class StepLR implements Schedule {
  readonly #options: { lr: number; stepSize: number; gamma: number };

  constructor(options: { lr: number; stepSize: number; gamma?: number }) {
    const { lr, stepSize, gamma = 0.1 } = givenOptions("StepLR", options, "{ lr: 0.1, stepSize: 1000 }");
    atLeastZero("lr", lr);
    positiveInteger("stepSize", stepSize);
    atLeastZero("gamma", gamma);
    this.#options = { lr, stepSize, gamma };
  }

  at(step: number): { lr: number } {
    const { lr, stepSize, gamma } = this.#options;
    return { lr: lr * gamma ** Math.floor(step / stepSize) };
  }
}

/** etaMin + (lr - etaMin) (1 + cos(pi step / tMax)) / 2 (Loshchilov and Hutter 2017). */
export class CosineAnnealingLR implements Schedule {
  readonly #options: { lr: number; tMax: number; etaMin: number };

  constructor(options: { lr: number; tMax: number; etaMin?: number }) {
    const { lr, tMax, etaMin = 0 } = givenOptions("CosineAnnealingLR", options, "{ lr: 0.1, tMax: 1000 }");
    atLeastZero("lr", lr);
    positiveInteger("tMax", tMax);
    atLeastZero("etaMin", etaMin);
    this.#options = { lr, tMax, etaMin };
  }

  at(step: number): { lr: number } {
    const { lr, tMax, etaMin } = this.#options;
    return { lr: etaMin + ((lr - etaMin) * (1 + Math.cos((Math.PI * step) / tMax))) / 2 };
  }
}

/** Options of {@link OneCycleLR}; defaults are PyTorch's. */
export interface OneCycleOptions {
  maxLr: number;
  totalSteps: number;
  /** Share of the steps in which the rate rises, by default 0.3. */
  pctStart?: number;
  annealStrategy?: "cos" | "linear";
  /** Three phases: up, down as long again to where it started, then to the end. By default two: up, then to the end. */
  threePhase?: boolean;
  /** The rate starts at maxLr / divFactor, by default / 25. */
  divFactor?: number;
  /** It ends at that over finalDivFactor, by default / 1e4. */
  finalDivFactor?: number;
  cycleMomentum?: boolean;
  baseMomentum?: number;
  maxMomentum?: number;
}

/** Up to maxLr and down again, momentum the other way (Smith and Topin 2019). */
export class OneCycleLR implements Schedule {
  readonly #options: Required<OneCycleOptions>;

  constructor(options: OneCycleOptions) {
    givenOptions("OneCycleLR", options, "{ maxLr: 0.1, totalSteps: 1000 }");
    const { maxLr, totalSteps, pctStart = 0.3, annealStrategy = "cos", divFactor = 25, finalDivFactor = 1e4 } = options;
    const { cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95, threePhase = false } = options;
    atLeastZero("maxLr", maxLr);
    positiveInteger("totalSteps", totalSteps);
    within("pctStart", pctStart, 0, 1);
    if (annealStrategy !== "cos" && annealStrategy !== "linear") {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `annealStrategy must be "cos" or "linear"; given ${String(annealStrategy)}`,
      );
    }
    within("divFactor", divFactor, Number.MIN_VALUE, Number.MAX_VALUE);
    within("finalDivFactor", finalDivFactor, Number.MIN_VALUE, Number.MAX_VALUE);
    within("baseMomentum", baseMomentum, 0, 1);
    within("maxMomentum", maxMomentum, 0, 1);
    const momentum = { cycleMomentum, baseMomentum, maxMomentum, threePhase };
    this.#options = { maxLr, totalSteps, pctStart, annealStrategy, divFactor, finalDivFactor, ...momentum };
  }

  at(step: number): { lr: number; momentum?: number } {
    const o = this.#options;
    if (step >= o.totalSteps) {
      throw new TslipError("INVALID_ARGUMENT", `step ${step} of a cycle of ${o.totalSteps} steps; raise totalSteps`);
    }
    const first = o.maxLr / o.divFactor;
    const last = first / o.finalDivFactor;
    const [rest, cycled] = [o.maxMomentum, o.baseMomentum];
    const [peak, end] = [o.pctStart * o.totalSteps - 1, o.totalSteps - 1];
    const valley = 2 * o.pctStart * o.totalSteps - 2;
    const rise = { until: peak, lr: [first, o.maxLr], momentum: [rest, cycled] } as const;
    const phases = o.threePhase
      ? ([
          rise,
          { until: valley, lr: [o.maxLr, first], momentum: [cycled, rest] },
          { until: end, lr: [first, last], momentum: [rest, rest] },
        ] as const)
      : ([rise, { until: end, lr: [o.maxLr, last], momentum: [cycled, rest] }] as const);
    const at = Math.max(
      0,
      phases.findIndex(({ until }) => step <= until),
    );
    const from = phases[at - 1]?.until ?? 0;
    const { until, lr, momentum } = phases[at] ?? rise;
    // A phase that ends where it begins has nothing to anneal.
    const share = until === from ? 1 : (step - from) / (until - from);
    const between = ([start, stop]: readonly [number, number]): number =>
      o.annealStrategy === "linear"
        ? start + (stop - start) * share
        : stop + ((start - stop) / 2) * (1 + Math.cos(Math.PI * share));
    return o.cycleMomentum ? { lr: between(lr), momentum: between(momentum) } : { lr: between(lr) };
  }
}

function positiveInteger(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1) {
    throw new TslipError("INVALID_ARGUMENT", `${name} must be a positive integer; given ${String(value)}`);
  }
}

function within(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  const range = least === Number.MIN_VALUE ? "finite and above 0" : `from ${least} to ${most}`;
  throw new TslipError("INVALID_ARGUMENT", `${name} must be ${range}; given ${String(value)}`);
}
