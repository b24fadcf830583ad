// The attack of Brendel et al. (2019), which follows the border of a class, with foolbox's defaults and order of operations.
import { number, type Options, optional, readOptions, type Schema, whole } from "../options.js";
import { assign, grad, Program, type State, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { type Border, partly, towardsFewest } from "./fewest.js";
import { halve } from "./halving.js";
import { dot, L0, L1, L2, Linf, type Norm } from "./norm.js";
import { aboveZero, anyAttack, decay, share } from "./options.js";
import { toPlanes } from "./planes.js";
import { asStarts, checkStarts, foundBy, noise, startingPoints } from "./starts.js";

/** Options of {@link L2BrendelBethgeAttack}, {@link LinfinityBrendelBethgeAttack}, {@link L1BrendelBethgeAttack} and {@link L0BrendelBethgeAttack}. */
export interface BrendelBethgeOptions {
  /** Starts from what this attack finds; by default from uniform noise, and from the image itself where none of it is adversarial. */
  initAttack?: Attack;
  /** Adversarials to start from, of the shape of the images, in the place of an attack; where one is none, the image itself. */
  startingPoints?: Tensor;
  /** Draws of noise at most, until one is adversarial; by default 1000. */
  directions?: number;
  /** Of the noise; by default the next of the sequence that `manualSeed` restarts. */
  seed?: number;
  /** Times the way to the border that steps go from images that are not adversarial, by default 1.1; others leave that much of it. */
  overshoot?: number;
  /** By default 1000. */
  steps?: number;
  /** L2 norm of the longest step, as a share of the bounds' width times the pixels of an image; by default 0.01. */
  lr?: number;
  /** What is left of it at each of `lrNumDecay` steps that are as far from one another; by default 0.5. */
  lrDecay?: number;
  /** By default 20. */
  lrNumDecay?: number;
  /** Share of the border's normal that is that of the steps before, by default 0.8. */
  momentum?: number;
  /** How often the way to the start is halved, by default 10. */
  binarySearchSteps?: number;
}

const OPTIONS = {
  initAttack: optional(anyAttack),
  startingPoints,
  directions: whole(1, 1000),
  seed: optional(whole(0)),
  overshoot: number("at least 1 and below 2", (value) => value >= 1 && value < 2, 1.1),
  steps: whole(1, 1000),
  lr: aboveZero(0.01),
  lrDecay: share(0.5),
  lrNumDecay: whole(1, 20),
  momentum: decay(0.8),
  binarySearchSteps: whole(1, 10),
} satisfies Schema<keyof BrendelBethgeOptions>;

/** How far beyond the border steps from it go that is not adversarial, as a share of the bounds' width. */
const BEYOND = 1e-6;

/** What the attacks share. */
abstract class BrendelBethgeAttack extends Attack {
  protected override readonly bounded = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(
    readonly norm: Norm,
    name: string,
    options: BrendelBethgeOptions,
  ) {
    super();
    this.options = readOptions(name, OPTIONS, options);
    checkStarts(name, this.options);
  }

  protected async search(search: Search): Promise<void> {
    const { steps, lr, lrDecay, lrNumDecay, binarySearchSteps } = this.options;
    const { task, best, signal, progress } = search;
    const { model, images, count, bounds } = task;
    const before = binarySearchSteps / (binarySearchSteps + steps);
    const ends = await this.#start(search);
    await halve(search, this.norm, ends, binarySearchSteps, (part, found) => progress(part * before, found));
    const moved = state(tensor(await best.values(), images.shape), { batched: true, name: "perturbed images" });
    const normal = state(zeros(images.shape), { batched: true, name: "normal of the border" });
    const region = state(zeros([]), { name: "longest step" });
    const kept = state(zeros([]), { name: "share of the normals before" });
    const step = (): { found: Tensor } => {
      assign(moved, this.#step(search, moved, normal, { region, kept }).clip(...bounds));
      return { found: best.count() };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const every = Math.max(Math.floor(steps / lrNumDecay), 1);
    const longest = lr * (images.size / count) * (bounds[1] - bounds[0]);
    const table = (value: (i: number) => number) => Float32Array.from({ length: steps }, (_, i) => value(i));
    const last = await repeat(program, {
      steps,
      tables: [
        { state: region, values: table((i) => longest * lrDecay ** Math.floor((i + 2) / every)) },
        { state: kept, values: table((i) => (i === 0 ? 0 : this.options.momentum)) },
      ],
      signal,
      onProgress: (done, _, [found = 0]) => progress(before + ((1 - before) * done) / steps, found),
    });
    progress(1, last.values.found.item());
  }

  /** Where the way to the border begins. */
  async #start(search: Search): Promise<Tensor> {
    const { initAttack, startingPoints, directions, seed } = this.options;
    if (initAttack !== undefined) return await foundBy(initAttack, search);
    if (startingPoints === undefined)
      return await noise(search, directions, seed, (found) => search.progress(0, found));
    return asStarts(startingPoints, search.task);
  }

  /** The images after a step along the border, as the plane of its normal, to where that is nearest to the image. */
  #step({ task, best, criterion }: Search, moved: Tensor, normal: State, pace: Pace): Tensor {
    const { bounds } = task;
    const { overshoot } = this.options;
    const { region, kept } = pace;
    const here = moved.clip(...bounds);
    const logits = task.model.forward(here);
    const lead = criterion.lead(logits);
    const hit = best.offer(here, logits);
    const [gradient] = grad(lead.sum(), [here]);
    const estimate = normal.mul(kept).add(gradient.mul(kept.neg().add(1)));
    assign(normal, estimate);
    const beyond = L2.distance(estimate).mul(BEYOND * (bounds[1] - bounds[0]));
    const gap = hit.where(lead.mul(overshoot - 2), lead.mul(-overshoot).sub(beyond));
    return this.along({ here, originals: best.originals, gradients: estimate, gaps: gap, region, bounds });
  }

  /**
   * The images after a step to the plane within the region: from the point of it that is nearest to here as much of the way to that which is
   * nearest to the image as the region holds. All of it is within the bounds.
   */
  protected along({ here, originals, gradients, gaps, region, bounds }: Border): Tensor {
    const back = originals.sub(here);
    const least = toPlanes(here, gradients, gaps, bounds, L2);
    const near = back.add(toPlanes(originals, gradients, gaps.sub(dot(gradients, back)), bounds, this.norm));
    return here.add(partly(least, near, region));
  }
}

interface Pace {
  /** f32 `[]`. */
  readonly region: State;
  readonly kept: State;
}

/**
 * The attack of Brendel et al. (2019) in L2 norm: from a far adversarial to the border, then along it, as a plane whose normal is the mean
 * of gradients of the lead, to where that is nearest to the image, in steps within a region that gets smaller. A start that needs no
 * gradient gets it past networks whose gradients lead nowhere at the image.
 *
 * Where foolbox does otherwise: its region grows with the images of a batch, so that its `lr` of 1e-3 is that of ten of them; and its steps at
 * bounds are found by passes over the pixels.
 */
export class L2BrendelBethgeAttack extends BrendelBethgeAttack {
  constructor(options: BrendelBethgeOptions = {}) {
    super(L2, "L2BrendelBethgeAttack", options);
  }
}

/** {@link L2BrendelBethgeAttack} for the largest change of a pixel. */
export class LinfinityBrendelBethgeAttack extends BrendelBethgeAttack {
  constructor(options: BrendelBethgeOptions = {}) {
    super(Linf, "LinfinityBrendelBethgeAttack", options);
  }
}

/** {@link L2BrendelBethgeAttack} for the sum of changes. */
export class L1BrendelBethgeAttack extends BrendelBethgeAttack {
  constructor(options: BrendelBethgeOptions = {}) {
    super(L1, "L1BrendelBethgeAttack", options);
  }
}

/**
 * {@link L2BrendelBethgeAttack} for the number of changed pixels, of each channel by itself. A step puts back as many of them as the region and
 * the border let it; foolbox's searches for both multipliers by the simplex method of Nelder and Mead, and keeps to the plane, not to the side of it.
 */
export class L0BrendelBethgeAttack extends BrendelBethgeAttack {
  constructor(options: BrendelBethgeOptions = {}) {
    super(L0, "L0BrendelBethgeAttack", options);
  }

  protected override along(border: Border): Tensor {
    return towardsFewest(border);
  }
}
