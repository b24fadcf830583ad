// NewtonFool (Jang, Wu and Jha 2017): steps of Newton's method for the probability of the label.
import { type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, grad, Program, state, type Tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { L2, perSample, SMALLEST } from "./norm.js";
import { aboveZero } from "./options.js";

/** Options of {@link NewtonFoolAttack}. */
export interface NewtonFoolOptions {
  /** At most so many, by default 100. */
  steps?: number;
  /** Longest step, as a share of the image's L2 norm, by default 0.01. */
  stepsize?: number;
}

const OPTIONS = { steps: whole(1, 100), stepsize: aboveZero(0.01) } satisfies Schema<keyof NewtonFoolOptions>;

/** How far below the probability of chance steps lead, as a share of it. */
const BELOW = 0.01;

/**
 * NewtonFool (Jang, Wu and Jha 2017) in L2 norm: down the gradient of the label's probability as far as would take it to that of chance
 * were it linear, yet no farther than a share of the image's norm, until the image is adversarial. With targets it is the probability of
 * all other classes that goes down, to a half. An image of zeros has no step.
 *
 * Steps have the lengths of the paper; foolbox divides by the fourth power of the gradient's norm, where that has the second.
 */
export class NewtonFoolAttack extends Attack {
  readonly norm = L2;
  protected override readonly bounded = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(options: NewtonFoolOptions = {}) {
    super();
    this.options = readOptions("NewtonFoolAttack", OPTIONS, options);
  }

  protected async search({ task, best, criterion, signal, progress }: Search): Promise<void> {
    const { steps, stepsize } = this.options;
    const { model, images, bounds, classes } = task;
    const moved = state(images, { batched: true, name: "perturbed images" });
    const rests = state(zeros([], { dtype: "bool" }), { name: "all images rest" });
    const chance = (1 - BELOW) / (criterion.targeted ? 2 : classes);
    const step = (): { found: Tensor } => {
      const logits = model.forward(moved);
      const hit = best.offer(moved, logits);
      const odds = criterion.odds(logits);
      const [gradient] = grad(odds.sum(), [moved]);
      // The probability that is to go down, p, has the gradient -p (1 - p) times that of the odds.
      const probability = odds.neg().sigmoid();
      const slope = L2.distance(gradient).mul(probability).mul(odds.sigmoid());
      const longest = L2.distance(best.originals).mul(stepsize);
      const length = probability.sub(chance).relu().div(slope.maximum(SMALLEST)).minimum(longest);
      const next = moved.add(L2.steepest(gradient).mul(perSample(length, images))).clip(...bounds);
      assign(moved, perSample(hit, images).where(moved, next));
      assign(rests, hit.all());
      return { found: best.count() };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const onProgress = (done: number, all: number, [found = 0]: Float64Array): void => progress(done / all, found);
    // What the last step leads to is looked at as well.
    const { values } = await repeat(program, { steps: steps + 1, until: rests, signal, onProgress });
    progress(1, values.found.item());
  }
}
