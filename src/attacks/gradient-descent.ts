// Ascents of the loss within a radius, with foolbox's defaults and order of operations: rules for their steps.
import { corrected } from "../optim/adam.js";
import { type Options, optional, type Schema, whole } from "../options.js";
import { assign, type State, state, type Tensor, zeros } from "../tensor/index.js";
import { type Ascent, AscentAttack, type Climbing, type Place, type StartOptions, startOptions } from "./ascent.js";
import type { Search } from "./attack.js";
import { L1, type Norm, perSample, scaledL1 } from "./norm.js";
import { aboveZero, atLeastZero, decay } from "./options.js";
import type { Bounds } from "./space.js";

/** Options of iterative attacks within a radius. */
export interface DescentOptions extends StartOptions {
  /** Step size as a share of the radius. */
  relStepsize?: number;
  /** Step size, in the place of `relStepsize`. */
  absStepsize?: number;
  steps?: number;
}

/** Further options of attacks that step by Adam's rule. */
export interface AdamDescentOptions extends DescentOptions {
  /** Decay of the running mean of gradients, by default 0.9. */
  adamBeta1?: number;
  /** Decay of the running mean of their squares, by default 0.999. */
  adamBeta2?: number;
  /** Added to the root of the second moment, by default 1e-8. */
  adamEpsilon?: number;
}

/** Further options of attacks with momentum. */
export interface MomentumDescentOptions extends DescentOptions {
  /** Share that is kept of the gradients before, by default 1. */
  momentum?: number;
}

/** Schema of {@link DescentOptions}, with these defaults. */
export const descentOptions = (relStepsize: number, steps: number, randomStart: boolean) =>
  ({
    relStepsize: aboveZero(relStepsize),
    absStepsize: optional(aboveZero()),
    steps: whole(1, steps),
    ...startOptions(randomStart),
  }) satisfies Schema<keyof DescentOptions>;

/** Schema of what {@link AdamDescentOptions} adds. */
export const ADAM_OPTIONS = {
  adamBeta1: decay(0.9),
  adamBeta2: decay(0.999),
  adamEpsilon: aboveZero(1e-8),
} satisfies Schema<Exclude<keyof AdamDescentOptions, keyof DescentOptions>>;

/** Schema of what {@link MomentumDescentOptions} adds. */
export const MOMENTUM_OPTIONS = {
  momentum: atLeastZero(1),
} satisfies Schema<Exclude<keyof MomentumDescentOptions, keyof DescentOptions>>;

/** Where a step goes, in step sizes: made of gradients that are divided by their norms, kept in as many slots as it needs. */
interface Rule {
  readonly slots: number;
  direction(gradient: Tensor, slots: readonly State[], place: Place, norm: Norm): Tensor;
}

const PLAIN: Rule = { slots: 0, direction: (gradient) => gradient };

/** Adam (Kingma and Ba 2015). */
export const adam = ({ adamBeta1, adamBeta2, adamEpsilon }: Options<typeof ADAM_OPTIONS>): Rule => ({
  slots: 2,
  direction(gradient, [first, second], { step, held }) {
    const mean = (slot: State | undefined, value: Tensor, beta: number): Tensor => {
      const next = held(slot as State)
        .mul(beta)
        .add(value.mul(1 - beta));
      assign(slot as State, next);
      return next.div(corrected(beta, step));
    };
    const scale = mean(second, gradient.square(), adamBeta2).sqrt().add(adamEpsilon);
    return mean(first, gradient, adamBeta1).div(scale);
  },
});

/** The sum of all gradients, the earlier ones by powers of the momentum, divided by its norm (Dong et al. 2018). */
export const momentum = (share: number): Rule => ({
  slots: 1,
  direction(gradient, [sum], { held }, norm) {
    const next = held(sum as State)
      .mul(share)
      .add(gradient);
    assign(sum as State, next);
    return norm.steepest(next);
  },
});

/** Options as they are read; those that do not say how steps are taken take one, as long as the radius. */
type Read = Climbing & Partial<Options<ReturnType<typeof descentOptions>>>;

/** Climbs the cross-entropy of the label, or descends that of the target, by steps of gradients that are divided by their norms. */
export abstract class GradientDescentAttack<
  O extends Read = Options<ReturnType<typeof descentOptions>>,
> extends AscentAttack<O> {
  readonly #rule: Rule;
  /** By which steps are normalized and kept within the radius. */
  readonly #ball: Norm;

  constructor(norm: Norm, options: O, rule = PLAIN, ball = norm === L1 ? scaledL1 : norm) {
    super(norm, options);
    [this.#rule, this.#ball] = [rule, ball];
  }

  /** What steps follow of the gradient at images, by default all of it. */
  protected usable(gradient: Tensor, _images: Tensor, _bounds: Bounds): Tensor {
    return gradient;
  }

  protected ascent({ task: { images, bounds }, criterion }: Search): Ascent {
    const { relStepsize = 1, absStepsize }: Read = this.options;
    const norm = this.#ball;
    const slots = Array.from({ length: this.#rule.slots }, () =>
      state(zeros(images.shape), { batched: true, name: "moment of gradients" }),
    );
    return {
      rises: (logits) => criterion.odds(logits),
      next: (place) => {
        const { delta, gradient, radius } = place;
        const uphill = norm.steepest(this.usable(gradient, place.images, bounds));
        const direction = this.#rule.direction(uphill, slots, place, norm);
        const size = absStepsize === undefined ? perSample(radius.mul(relStepsize), images) : absStepsize;
        return norm.project(delta.add(direction.mul(size)), radius);
      },
    };
  }
}
