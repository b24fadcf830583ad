// The L2 attack of Carlini and Wagner (2017), with foolbox's defaults and order of operations, each image by itself.

import { Adam } from "../optim/index.js";
import { type Options, readOptions, type Schema } from "../options.js";
import { grad, Parameter, state, type Tensor, zeros } from "../tensor/index.js";
import { Attack, type Search } from "./attack.js";
import { L2 } from "./norm.js";
import { aboveZero } from "./options.js";
import type { Bounds } from "./space.js";
import { type Beginning, searchWeights, WEIGHT_SEARCH_OPTIONS, type WeightSearchOptions } from "./weight-search.js";

/** Options of {@link L2CarliniWagnerAttack}. */
export interface L2CarliniWagnerOptions extends WeightSearchOptions {
  /** Step size of Adam, by default 0.01. */
  stepsize?: number;
}

/** Pixels are kept this far inside their bounds before atanh. */
const INSIDE = 0.999999;

const OPTIONS = { ...WEIGHT_SEARCH_OPTIONS, stepsize: aboveZero(0.01) } satisfies Schema<keyof L2CarliniWagnerOptions>;

/**
 * Minimizes |x' - x|^2 + c max(0, logit of the label - largest other logit) over x' = tanh(w), which keeps pixels inside
 * their bounds, by Adam; c is searched for each image between the largest that failed and the smallest that succeeded.
 */
export class L2CarliniWagnerAttack extends Attack {
  readonly norm = L2;
  protected override readonly bounded = true;
  override readonly confidence: number;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(options: L2CarliniWagnerOptions = {}) {
    super();
    this.options = readOptions("L2CarliniWagnerAttack", OPTIONS, options);
    this.confidence = this.options.confidence;
  }

  protected async search(search: Search): Promise<void> {
    const { task, best } = search;
    const { images, bounds, model } = task;
    const batched = true;
    const delta = new Parameter(zeros(images.shape), { batched, name: "delta" });
    const optimizer = new Adam({ lr: this.options.stepsize });
    optimizer.track([delta]);
    const [low, high] = bounds;
    const [center, half] = [(low + high) / 2, (high - low) / 2];
    const outer = state(images.sub(center).div(half).mul(INSIDE).atanh(), { batched, name: "images before tanh" });
    const inModel = (w: Tensor): Tensor => limited(w.tanh().mul(half).add(center), bounds);
    const start = state(inModel(outer), { batched, name: "images after tanh" });
    const moments = optimizer.namedStates().filter(([name]) => name !== "rate");
    const beginnings = [delta, ...moments.map(([, moment]) => moment)].map(
      (one): Beginning => [one, zeros(one.shape, { dtype: one.dtype })],
    );
    await searchWeights(search, this.options, {
      beginnings,
      step: (weighed) => {
        const perturbed = inModel(outer.add(delta));
        const logits = model.forward(perturbed);
        const { losses, awake } = weighed.losses(perturbed, start, logits);
        optimizer.update([delta], grad(losses.sum(), [delta]));
        best.offer(perturbed, logits, awake);
        return best.count();
      },
    });
  }
}

/** Pixels that rounding carried out of their bounds back on them; one that is on its bound keeps its gradient. */
function limited(images: Tensor, [low, high]: Bounds): Tensor {
  const below = images.greater(high).where(high, images);
  return below.less(low).where(low, below);
}
