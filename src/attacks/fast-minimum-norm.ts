// The attacks of a fast minimum norm (Pintor et al. 2021), with foolbox's defaults and order of operations. Otherwise than there, L2 and
// L0 balls are projected onto, pixels on their bounds do not count in gradients, and epsilon is a little beyond borders.
import { number, type Options, optional, readOptions, type Schema, whole } from "../options.js";
import { assign, grad, Program, type State, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { annealed } from "./annealed.js";
import { Attack, type Search } from "./attack.js";
import { halve } from "./halving.js";
import { dualNorm, L0, L1, L2, Linf, type Norm, SMALLEST } from "./norm.js";
import { aboveZero, anyAttack } from "./options.js";
import { withinReach } from "./planes.js";
import { widest } from "./space.js";
import { foundBy } from "./starts.js";

/** Options of {@link L2FMNAttack}, {@link LinfFMNAttack}, {@link L1FMNAttack} and {@link L0FMNAttack}. */
export interface FMNOptions {
  /** By default 100. */
  steps?: number;
  /** L2 norm of the first step, by default 1. */
  maxStepsize?: number;
  /** What step sizes go down to, along half a cosine; by default a hundredth of `maxStepsize`. */
  minStepsize?: number;
  /**
   * Share by which epsilon shrinks at a step where the image is adversarial, and grows elsewhere once it was; by default 0.05, and
   * going down to 0.001 along half a cosine.
   */
  gamma?: number;
  /** Starts from what this attack finds, moved towards the image as far as it stays adversarial; by default from the image itself. */
  initAttack?: Attack;
  /** How often that way is halved, by default 10. */
  binarySearchSteps?: number;
}

const OPTIONS = {
  steps: whole(1, 100),
  maxStepsize: aboveZero(1),
  minStepsize: optional(aboveZero()),
  gamma: number("above 0 and below 1", (value) => value > 0 && value < 1, 0.05),
  initAttack: optional(anyAttack),
  binarySearchSteps: whole(1, 10),
} satisfies Schema<keyof FMNOptions>;

const LAST_GAMMA = 0.001;
/**
 * How far beyond the border of a linear network epsilon is, as a share of the bounds' width. What is just as far as the border would come
 * nearer to it for ever, and stay where logits are equal.
 */
const BEYOND = 1e-4;

/** How epsilon goes on, of each image. */
interface Radii {
  /** Before the first step, of the distances found so far: Infinity where that is nothing. */
  first(distances: Tensor): Tensor;
  /** After an image that is adversarial. */
  smaller(epsilon: Tensor, gamma: Tensor): Tensor;
  /** After one that is not. */
  larger(epsilon: Tensor, gamma: Tensor, seen: { found: Tensor; border: () => Tensor }): Tensor;
}

const LENGTHS: Radii = {
  first: (distances) => distances,
  smaller: (epsilon, gamma) => epsilon.mul(gamma.neg().add(1)),
  larger: (epsilon, gamma, { found, border }) => found.where(epsilon.mul(gamma.add(1)), border()),
};

/** By at least one number a step, and at least one. */
const COUNTS: Radii = {
  first: (distances) => distances.less(Number.POSITIVE_INFINITY).where(distances, 1).maximum(1),
  smaller: (epsilon, gamma) => epsilon.sub(1).minimum(LENGTHS.smaller(epsilon, gamma).floor()).maximum(1),
  larger: (epsilon, gamma) => epsilon.add(1).maximum(epsilon.mul(gamma.add(1)).floor()),
};

/** What the attacks share: a step down the lead of the label, in L2 norm, then the nearest point of a ball that follows success. */
abstract class FMNAttack extends Attack {
  protected override readonly bounded = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS> & { readonly minStepsize: number };
  protected readonly radii: Radii = LENGTHS;

  constructor(options: FMNOptions = {}) {
    super();
    const read = readOptions(new.target.name, OPTIONS, options);
    this.options = Object.freeze({ ...read, minStepsize: read.minStepsize ?? read.maxStepsize / 100 });
  }

  protected async search(search: Search): Promise<void> {
    const { steps, maxStepsize, minStepsize, gamma: firstGamma, initAttack, binarySearchSteps } = this.options;
    const { task, best, signal, progress } = search;
    const batched = true;
    const begun = initAttack === undefined ? 0 : binarySearchSteps / (binarySearchSteps + steps);
    if (initAttack !== undefined) {
      const ends = await foundBy(initAttack, search);
      await halve(search, this.norm, ends, binarySearchSteps, (share, count) => progress(share * begun, count));
    }
    // Where nothing was found, the image itself.
    const start = tensor(await best.values(), task.images.shape);
    const delta = state(start.sub(task.images), { batched, name: "perturbation" });
    const found = tensor(Float32Array.from(await best.distances.data()));
    const epsilon = state(this.radii.first(found), { batched, name: "epsilon" });
    const rate = state(zeros([]), { name: "step size" });
    const gamma = state(zeros([]), { name: "gamma" });
    const program = task.model.evaluating(() =>
      Program.record(() => this.#step(search, { delta, epsilon, rate, gamma }), []),
    );
    const { values } = await repeat(program, {
      steps,
      tables: [
        { state: rate, values: annealed(steps, maxStepsize, minStepsize) },
        { state: gamma, values: annealed(steps, firstGamma, LAST_GAMMA) },
      ],
      signal,
      onProgress: (done, _, [found = 0]) => progress(begun + ((1 - begun) * done) / steps, found),
    });
    progress(1, values.found.item());
  }

  #step(
    { task, best, criterion }: Search,
    { delta, epsilon, rate, gamma }: Readonly<Record<"delta" | "epsilon" | "rate" | "gamma", State>>,
  ): { found: Tensor } {
    const { norm, radii } = this;
    const { originals } = best;
    const [low, high] = task.bounds;
    // A sum with what clipping left of a step may be rounded out of the bounds.
    const perturbed = originals.add(delta).clip(low, high);
    const logits = task.model.forward(perturbed);
    const lead = criterion.lead(logits);
    const hit = best.offer(perturbed, logits);
    const gradient = withinReach(grad(lead.sum(), [perturbed])[0], perturbed, task.bounds);
    const border = (): Tensor => {
      const before = lead.abs().div(dualNorm(gradient, norm).maximum(SMALLEST));
      return norm
        .distance(delta)
        .add(before)
        .add(BEYOND * (high - low));
    };
    // No perturbation within the bounds is larger.
    const largest = norm.distance(widest(originals, task.bounds));
    const smaller = radii.smaller(epsilon, gamma).minimum(best.distances);
    const radius = hit.where(smaller, radii.larger(epsilon, gamma, { found: best.found, border })).minimum(largest);
    const moved = norm.project(delta.sub(L2.steepest(gradient).mul(rate)), radius);
    assign(epsilon, radius);
    assign(delta, originals.add(moved).clip(low, high).sub(originals));
    return { found: best.count() };
  }
}

/**
 * The fast minimum norm attack (Pintor et al. 2021) in L2 norm: steps down the lead of the label over all other classes, or up that of
 * a target, each followed by the nearest point of a ball. Its radius is what a linear network would need until something is found,
 * and then goes down where the image is adversarial, up elsewhere.
 *
 * Where foolbox does otherwise: its L2 member never projects, its L0 member keeps one pixel more than epsilon says; and none of them
 * gets past pixels on their bounds, or over a border that it comes to exactly.
 */
export class L2FMNAttack extends FMNAttack {
  readonly norm = L2;
}

/** {@link L2FMNAttack} for the largest change of a pixel. */
export class LinfFMNAttack extends FMNAttack {
  readonly norm = Linf;
}

/** {@link L2FMNAttack} for the sum of changes. */
export class L1FMNAttack extends FMNAttack {
  readonly norm = L1;
}

/** {@link L2FMNAttack} for the number of changed pixels, of each channel by itself; its radius begins with one and is a whole number. */
export class L0FMNAttack extends FMNAttack {
  readonly norm: Norm = L0;
  protected override readonly radii = COUNTS;
}
