// The attack of decoupled direction and norm (Rony et al. 2019), with foolbox's defaults and order of operations.
import { number, type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, grad, Program, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { annealed } from "./annealed.js";
import { Attack, type Search } from "./attack.js";
import { L2, perSample } from "./norm.js";
import { aboveZero } from "./options.js";
import { widest } from "./space.js";

/** Options of {@link DDNAttack}. */
export interface DDNOptions {
  /** Norm of the first perturbation, by default 1. */
  initEpsilon?: number;
  /** By default 100. */
  steps?: number;
  /** Share by which the norm shrinks at a step where the image is adversarial, and grows elsewhere; by default 0.05. */
  gamma?: number;
}

const OPTIONS = {
  initEpsilon: aboveZero(1),
  steps: whole(1, 100),
  gamma: number("above 0 and below 1", (value) => value > 0 && value < 1, 0.05),
} satisfies Schema<keyof DDNOptions>;

const [FIRST_STEP, LAST_STEP] = [1, 0.01];

/** Steps up the cross-entropy by its normalized gradient; the norm of the perturbation follows its success. */
export class DDNAttack extends Attack {
  readonly norm = L2;
  protected override readonly bounded = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(options: DDNOptions = {}) {
    super();
    this.options = readOptions("DDNAttack", OPTIONS, options);
  }

  protected async search({ task, best, criterion, signal, progress }: Search): Promise<void> {
    const { initEpsilon, steps, gamma } = this.options;
    const { model, images, count, bounds } = task;
    const batched = true;
    const delta = state(zeros(images.shape), { batched, name: "perturbation" });
    const epsilon = state(tensor(new Float32Array(count).fill(initEpsilon)), { batched, name: "its norm" });
    const rate = state(zeros([]), { name: "step size" });
    const { originals } = best;
    const [low, high] = bounds;
    const largest = L2.distance(widest(originals, bounds));
    const step = (): { found: Tensor } => {
      // A sum with what clipping left of a step may be rounded out of the bounds.
      const perturbed = originals.add(delta).clip(low, high);
      const logits = model.forward(perturbed);
      const [gradient] = grad(criterion.odds(logits).sum(), [perturbed]);
      const hit = best.offer(perturbed, logits);
      const moved = delta.add(L2.steepest(gradient).mul(rate));
      const norm = epsilon.mul(hit.where(1 - gamma, 1 + gamma)).minimum(largest);
      const scaled = L2.steepest(moved).mul(perSample(norm, moved));
      assign(epsilon, norm);
      assign(delta, originals.add(scaled).clip(low, high).sub(originals));
      return { found: best.count() };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const values = annealed(steps, FIRST_STEP, LAST_STEP);
    const onProgress = (done: number, _: number, [found = 0]: Float64Array): void => progress(done / steps, found);
    const last = await repeat(program, { steps, tables: [{ state: rate, values }], signal, onProgress });
    progress(1, last.values.found.item());
  }
}
