// The elastic-net attack of Chen et al. (2018), with foolbox's defaults and order of operations, each image by itself.

import { choice, type Options, readOptions, type Schema } from "../options.js";
import { assign, full, grad, Program, scalar, state, type Tensor } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { L1, perSample, softThreshold } from "./norm.js";
import { aboveZero, atLeastZero } from "./options.js";
import type { Bounds } from "./space.js";
import { searchWeights, WEIGHT_SEARCH_OPTIONS, type WeightSearchOptions } from "./weight-search.js";

/** Options of {@link EADAttack}. */
export interface EADOptions extends WeightSearchOptions {
  /** First step size, by default 0.01; that of step k of n is √(1 - k/n) of it. */
  initialStepsize?: number;
  /** By how much each step shrinks the change of a pixel, and the weight of the L1 norm in the elastic-net distance; by default 0.01. */
  regularization?: number;
  /** Of the adversarials the one that is kept: that of the least elastic-net distance, "EN", as by default, or of the least L1 norm, "L1". */
  decisionRule?: "EN" | "L1";
}

const OPTIONS = {
  ...WEIGHT_SEARCH_OPTIONS,
  initialStepsize: aboveZero(0.01),
  regularization: atLeastZero(0.01),
  decisionRule: choice(["EN", "L1"], "EN"),
} satisfies Schema<keyof EADOptions>;

/**
 * The z within the bounds with the least |z - point|² / 2 + threshold ‖z - images‖₁: what ISTA's shrinkage makes of the way from the
 * images (Chen et al. 2018, equation 7). All `[n, ...]`.
 */
export function shrunk(point: Tensor, images: Tensor, threshold: number, bounds: Bounds): Tensor {
  return images.add(softThreshold(point.sub(images), scalar(threshold))).clip(...bounds);
}

/**
 * EAD (Chen et al. 2018): minimizes |x' - x|² + c max(0, logit of the label - largest other logit) + β ‖x' - x‖₁ by FISTA, steps down the
 * gradient of the first two, each followed by the shrinkage that the last one asks for and by momentum; so that few pixels change. The weight
 * c is searched for each image as by {@link L2CarliniWagnerAttack}. Results are measured in L1 norm; what is kept of a run goes by `decisionRule`,
 * and is offered at the end of it.
 */
export class EADAttack extends Attack {
  readonly norm = L1;
  protected override readonly bounded = true;
  override readonly confidence: number;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(options: EADOptions = {}) {
    super();
    this.options = readOptions("EADAttack", OPTIONS, options);
    this.confidence = this.options.confidence;
  }

  protected async search(search: Search): Promise<void> {
    const { steps, initialStepsize, regularization, decisionRule } = this.options;
    const { task, best, criterion, signal } = search;
    const { images, count, bounds, model } = task;
    const { originals } = best;
    const batched = true;
    const point = state(images, { batched, name: "perturbed images" });
    const ahead = state(images, { batched, name: "perturbed images with momentum" });
    const kept = state(images, { batched, name: "best adversarials by the decision rule" });
    const said = state(task.logits, { batched, name: "their logits" });
    const ranks = state(full([count], Number.POSITIVE_INFINITY), { batched, name: "their distances by it" });
    const rate = state(scalar(0), { name: "step size" });
    const momentum = state(scalar(0), { name: "momentum" });
    const rankOf = (delta: Tensor): Tensor => {
      const sum = L1.distance(delta);
      return decisionRule === "L1" ? sum : delta.flatten(1).square().sum(1).add(sum.mul(regularization));
    };
    const table = (value: (k: number) => number) => Float32Array.from({ length: steps }, (_, k) => value(k));
    await searchWeights(search, this.options, {
      beginnings: [
        [point, images],
        [ahead, images],
      ],
      tables: [
        { state: rate, values: table((k) => initialStepsize * Math.sqrt(1 - k / steps)) },
        { state: momentum, values: table((k) => k / (k + 3)) },
      ],
      step: (weighed) => {
        const { losses, awake } = weighed.losses(ahead, originals, model.forward(ahead));
        const [gradient] = grad(losses.sum(), [ahead]);
        const next = shrunk(ahead.sub(gradient.mul(rate)), originals, regularization, bounds);
        assign(ahead, next.add(next.sub(point).mul(momentum)));
        assign(point, next);
        const logits = model.forward(next);
        const hit = criterion.met(logits).and(awake);
        const rank = rankOf(next.sub(originals));
        const better = hit.and(rank.less(ranks));
        assign(kept, perSample(better, next).where(next, kept));
        assign(said, perSample(better, logits).where(logits, said));
        assign(ranks, better.where(rank, ranks));
        assign(best.found, best.found.or(hit));
        return ranks.less(Number.POSITIVE_INFINITY).cast("f32").sum();
      },
    });
    // The frame keeps the nearest of what it is offered, which another rule may have passed over.
    const offered = Program.record(() => {
      best.offer(kept, said);
      return {};
    }, []);
    await repeat(offered, { steps: 1, signal });
  }
}
