// DeepFool (Moosavi-Dezfooli et al. 2016), with foolbox's defaults and order of operations, each image until it is adversarial.
import { type Options, readOptions } from "../options.js";
import { assign, Program, state, type Tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { DEEPFOOL_OPTIONS, type DeepFoolOptions, nearestBorders } from "./borders.js";
import { L2, Linf, perSample } from "./norm.js";

/** What the attacks share. */
abstract class DeepFoolAttack extends Attack {
  protected override readonly bounded = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof DEEPFOOL_OPTIONS>;

  constructor(options: DeepFoolOptions = {}) {
    super();
    this.options = readOptions(new.target.name, DEEPFOOL_OPTIONS, options);
  }

  protected async search(search: Search): Promise<void> {
    const { steps, overshoot } = this.options;
    const { task, best, signal, progress } = search;
    const { model, images, bounds } = task;
    const batched = true;
    const toBorders = await nearestBorders(search, this.norm, this.options);
    const moved = state(images, { batched, name: "perturbed images" });
    const total = state(zeros(images.shape), { batched, name: "sum of steps" });
    const rests = state(zeros([], { dtype: "bool" }), { name: "all images rest" });
    const step = (): { found: Tensor } => {
      const logits = model.forward(moved);
      const hit = best.offer(moved, logits);
      const sum = total.add(toBorders(moved, logits));
      const next = best.originals.add(sum.mul(1 + overshoot)).clip(...bounds);
      assign(total, sum);
      assign(moved, perSample(hit, moved).where(moved, next));
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

/**
 * DeepFool (Moosavi-Dezfooli et al. 2016) in L2 norm: steps to the nearest border of the network made linear, and a little beyond it,
 * until the image is adversarial. Fast; what it finds is near, yet not the nearest.
 */
export class L2DeepFoolAttack extends DeepFoolAttack {
  readonly norm = L2;
}

/** {@link L2DeepFoolAttack} for the largest change of a pixel. */
export class LinfDeepFoolAttack extends DeepFoolAttack {
  readonly norm = Linf;
}
