// Learning-rate schedules in closed form: the value at a step does not depend on how one got there.
import { TslipError } from "../errors.js";
import {
  choice,
  flag,
  notNegative,
  number,
  type Options,
  positive,
  readOptions,
  type Schema,
  whole,
} from "../options.js";
import { wholeNumber } from "../tensor/shape.js";

/** Learning rate, and momentum where the schedule cycles it, for a step counted from 0. */
export interface Schedule {
  at(step: number): { lr: number; momentum?: number };
}

const STEP = { lr: notNegative(), stepSize: whole(1), gamma: notNegative(0.1) };

/** lr gamma^floor(step / stepSize). */
export class StepLR implements Schedule {
  readonly #options: Options<typeof STEP>;

  constructor(options: { lr: number; stepSize: number; gamma?: number }) {
    this.#options = readOptions("StepLR", STEP, options);
  }

  at(step: number): { lr: number } {
    wholeNumber("step", step, 0);
    const { lr, stepSize, gamma } = this.#options;
    return { lr: lr * gamma ** Math.floor(step / stepSize) };
  }
}

const COSINE = { lr: notNegative(), tMax: whole(1), etaMin: notNegative(0) };

/** etaMin + (lr - etaMin) (1 + cos(pi step / tMax)) / 2 (Loshchilov and Hutter 2017). */
export class CosineAnnealingLR implements Schedule {
  readonly #options: Options<typeof COSINE>;

  constructor(options: { lr: number; tMax: number; etaMin?: number }) {
    this.#options = readOptions("CosineAnnealingLR", COSINE, options);
  }

  at(step: number): { lr: number } {
    wholeNumber("step", step, 0);
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

const share = (byDefault: number) => number("from 0 to 1", (value) => value >= 0 && value <= 1, byDefault);

const ONE_CYCLE = {
  maxLr: notNegative(),
  totalSteps: whole(1),
  pctStart: share(0.3),
  annealStrategy: choice(["cos", "linear"], "cos"),
  threePhase: flag(false),
  divFactor: positive(25),
  finalDivFactor: positive(1e4),
  cycleMomentum: flag(true),
  baseMomentum: share(0.85),
  maxMomentum: share(0.95),
} satisfies Schema<keyof OneCycleOptions>;

/** Up to maxLr and down again, momentum the other way (Smith and Topin 2019). */
export class OneCycleLR implements Schedule {
  readonly #options: Options<typeof ONE_CYCLE>;

  constructor(options: OneCycleOptions) {
    this.#options = readOptions("OneCycleLR", ONE_CYCLE, options);
  }

  at(step: number): { lr: number; momentum?: number } {
    const o = this.#options;
    wholeNumber("step", step, 0);
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
