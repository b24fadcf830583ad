// Learning-rate schedules in closed form: the value at a step does not depend on how one got there.
import { TslipError } from "../errors.js";
import { atLeastZero } from "./optimizer.js";

/** Learning rate, and momentum where the schedule cycles it, for a step counted from 0. */
export interface Schedule {
  at(step: number): { lr: number; momentum?: number };
}

/** lr gamma^floor(step / stepSize). */
export class StepLR implements Schedule {
  readonly #options: { lr: number; stepSize: number; gamma: number };

  constructor(options: { lr: number; stepSize: number; gamma?: number }) {
    const { lr, stepSize, gamma = 0.1 } = options;
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
    const { lr, tMax, etaMin = 0 } = options;
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
  /** The rate starts at maxLr / divFactor, by default / 25. */
  divFactor?: number;
  /** It ends at that over finalDivFactor, by default / 1e4. */
  finalDivFactor?: number;
  cycleMomentum?: boolean;
  baseMomentum?: number;
  maxMomentum?: number;
}

/** Up to maxLr and down again, momentum the other way (Smith and Topin 2019), in two phases. */
export class OneCycleLR implements Schedule {
  readonly #options: Required<OneCycleOptions>;

  constructor(options: OneCycleOptions) {
    const { maxLr, totalSteps, pctStart = 0.3, annealStrategy = "cos", divFactor = 25, finalDivFactor = 1e4 } = options;
    const { cycleMomentum = true, baseMomentum = 0.85, maxMomentum = 0.95 } = options;
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
    const momentum = { cycleMomentum, baseMomentum, maxMomentum };
    this.#options = { maxLr, totalSteps, pctStart, annealStrategy, divFactor, finalDivFactor, ...momentum };
  }

  at(step: number): { lr: number; momentum?: number } {
    const o = this.#options;
    if (step >= o.totalSteps) {
      throw new TslipError("INVALID_ARGUMENT", `step ${step} of a cycle of ${o.totalSteps} steps; raise totalSteps`);
    }
    const peak = o.pctStart * o.totalSteps - 1;
    const rising = step <= peak;
    // A peak at the first step leaves nothing to rise.
    const risen = peak === 0 ? 1 : step / peak;
    const share = rising ? risen : (step - peak) / (o.totalSteps - 1 - peak);
    const between = (from: number, to: number): number =>
      o.annealStrategy === "linear"
        ? from + (to - from) * share
        : to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
    const first = o.maxLr / o.divFactor;
    const lr = rising ? between(first, o.maxLr) : between(o.maxLr, first / o.finalDivFactor);
    if (!o.cycleMomentum) return { lr };
    const momentum = rising ? between(o.maxMomentum, o.baseMomentum) : between(o.baseMomentum, o.maxMomentum);
    return { lr, momentum };
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
