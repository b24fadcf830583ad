// SuperDeepFool (Abdollahpourrostam et al. 2024), with DeepFool's defaults.
import { type Options, readOptions, type Schema, whole } from "../options.js";
import { assign, grad, Program, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { DEEPFOOL_OPTIONS, type DeepFoolOptions, nearestBorders } from "./borders.js";
import { halve } from "./halving.js";
import { L2, perSample } from "./norm.js";

/** Options of {@link SuperDeepFoolAttack}. */
export interface SuperDeepFoolOptions extends DeepFoolOptions {
  /** Steps of DeepFool and projections, at most; by default 100. */
  steps?: number;
  /** How often the way to what was found is halved in the end, by default 10. */
  binarySearchSteps?: number;
}

const OPTIONS = {
  ...DEEPFOOL_OPTIONS,
  steps: whole(1, 100),
  binarySearchSteps: whole(1, 10),
} satisfies Schema<keyof SuperDeepFoolOptions>;

/** Cosine between a perturbation and the normal from which on a projection is worth no step. */
const ALIGNED = 1 - 1e-4;

/**
 * SuperDeepFool, SDF(∞, 1) of Abdollahpourrostam et al. (2024), in L2 norm: steps of DeepFool until the image is adversarial, then the
 * projection of the perturbation onto the normal of the border there, in turns until an adversarial perturbation is along the normal.
 * In the end the way from the image to the nearest of what was found is halved.
 */
export class SuperDeepFoolAttack extends Attack {
  readonly norm = L2;
  protected override readonly bounded = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(options: SuperDeepFoolOptions = {}) {
    super();
    this.options = readOptions("SuperDeepFoolAttack", OPTIONS, options);
  }

  protected async search(search: Search): Promise<void> {
    const { steps, overshoot, binarySearchSteps } = this.options;
    const { task, best, criterion, signal, progress } = search;
    const { model, images, bounds } = task;
    const batched = true;
    const toBorders = await nearestBorders(search, L2, this.options);
    const moved = state(images, { batched, name: "perturbed images" });
    const rests = state(zeros([], { dtype: "bool" }), { name: "all images rest" });
    const step = (): { found: Tensor } => {
      const logits = model.forward(moved);
      const hit = best.offer(moved, logits);
      const [gradient] = grad(criterion.lead(logits).sum(), [moved]);
      const normal = L2.steepest(gradient);
      const offset = moved.sub(best.originals);
      const along = offset.mul(normal).flatten(1).sum(1).neg();
      const onNormal = best.originals.sub(normal.mul(perSample(along, moved)));
      const fooling = moved.add(toBorders(moved, logits).mul(1 + overshoot));
      const rest = hit.and(along.greaterEqual(L2.distance(offset).mul(ALIGNED)));
      const next = perSample(hit, moved)
        .where(onNormal, fooling)
        .clip(...bounds);
      assign(moved, perSample(rest, moved).where(moved, next));
      assign(rests, rest.all());
      return { found: best.count() };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const first = steps / (steps + binarySearchSteps);
    const onProgress = (done: number, all: number, [found = 0]: Float64Array): void =>
      progress((first * done) / all, found);
    await repeat(program, { steps: steps + 1, until: rests, signal, onProgress });
    const nearest = tensor(await best.values(), images.shape);
    await halve(search, L2, nearest, binarySearchSteps, (share, found) => progress(first + (1 - first) * share, found));
  }
}
