// The direction of virtual adversarial training (Miyato et al. 2016): that in which the predicted distribution changes most.
import { type Options, optional, readOptions, type Schema, whole } from "../options.js";
import { assign, Generator, grad, Program, state, type Tensor, tensor } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { halve } from "./halving.js";
import { L2, perSample } from "./norm.js";
import { aboveZero } from "./options.js";
import { widest } from "./space.js";

/** Options of {@link VirtualAdversarialAttack}. */
export interface VirtualAdversarialOptions {
  /** Of power iteration, by default 10. */
  steps?: number;
  /** L2 norm of the perturbation at which the divergence is differentiated, as a share of the bounds' width; by default 1e-2. */
  xi?: number;
  /** Of the first direction; by default the next of the sequence that `manualSeed` restarts. */
  seed?: number;
  /** How often the way to what is found is halved where `run` is given no epsilons, by default 16. */
  binarySearchSteps?: number;
}

const OPTIONS = {
  steps: whole(1, 10),
  xi: aboveZero(1e-2),
  seed: optional(whole(0)),
  binarySearchSteps: whole(1, 16),
} satisfies Schema<keyof VirtualAdversarialOptions>;

/**
 * Virtual adversarial directions (Miyato et al. 2016) in L2 norm: by power iteration the direction in which the Kullback-Leibler divergence of
 * the prediction from that of the image grows most, either way of it, whatever the label; as long as the epsilons, or without any the
 * nearest on the way out of the bounds. Weak, as one direction says little of a border.
 *
 * foolbox takes one of the two ways, and by default an xi of 1e-6, at which float32 pixels hardly move.
 */
export class VirtualAdversarialAttack extends Attack {
  readonly norm = L2;
  protected override readonly bounded = true;
  protected override readonly within = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(options: VirtualAdversarialOptions = {}) {
    super();
    this.options = readOptions("VirtualAdversarialAttack", OPTIONS, options);
  }

  protected async search(search: Search): Promise<void> {
    const { binarySearchSteps } = this.options;
    const { task, radii, progress } = search;
    const { images, bounds } = task;
    const direction = await this.#direction(search, (part) => progress(part / 2, 0));
    const length = radii === undefined ? L2.distance(widest(images, bounds)) : tensor(Float32Array.from(radii));
    const way = direction.mul(perSample(length, images));
    const ends = [way, way.neg()].map((each) => images.add(L2.project(each, length)).clip(...bounds));
    const halvings = radii === undefined ? binarySearchSteps : 0;
    for (const [i, end] of ends.entries()) {
      await halve(search, L2, end, halvings, (part, found) => progress((1 + (i + part) / 2) / 2, found));
    }
  }

  /** Of norm 1, or 0 where nothing changes. */
  async #direction({ task, best, signal }: Search, report: (share: number) => void): Promise<Tensor> {
    const { steps, xi, seed } = this.options;
    const { model, images, bounds } = task;
    const generator = new Generator(seed === undefined ? {} : { seed });
    // One for all, so that an image has the same whichever are beside it.
    const first = generator.normal([1, ...images.shape.slice(1)]);
    const direction = state(images.mul(0).add(first), { batched: true, name: "direction" });
    const predicted = state((await model.predict(images)).softmax(1), {
      batched: true,
      name: "predicted distributions",
    });
    const length = xi * (bounds[1] - bounds[0]);
    const step = (): { direction: Tensor } => {
      const moved = best.originals.add(L2.steepest(direction).mul(length));
      // Up to a constant the divergence; a masked class has no part in it.
      const likelihoods = predicted.greater(0).where(model.forward(moved).logSoftmax(1), 0);
      const divergence = predicted.mul(likelihoods).sum().neg();
      const [gradient] = grad(divergence, [moved]);
      assign(direction, gradient);
      return { direction: L2.steepest(gradient) };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const { values } = await repeat(program, { steps, signal, onProgress: (done) => report(done / steps) });
    return values.direction;
  }
}
