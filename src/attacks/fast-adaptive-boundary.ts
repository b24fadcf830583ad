// The fast adaptive boundary attack (Croce and Hein 2020), its targeted version FAB-T.
import { number, type Options, optional, readOptions, type Schema, whole } from "../options.js";
import { assign, Generator, grad, Program, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { repeat as repeatedly } from "../train/loop.js";
import { aimsOf } from "./aims.js";
import { Attack, isAboveZero, type Search } from "./attack.js";
import { halve } from "./halving.js";
import { dualNorm, L1, L2, Linf, type Norm, perSample, SMALLEST } from "./norm.js";
import { share } from "./options.js";
import { toPlanes } from "./planes.js";
import { widest } from "./space.js";

/** Options of {@link L2FABAttack}, {@link LinfFABAttack} and {@link L1FABAttack}. */
export interface FABOptions {
  /** Of each run, by default 100. */
  steps?: number;
  /** Classes that are aimed at, each in runs of its own: those of the largest logits beside the label; by default 9. */
  targetClasses?: number;
  /** Runs for each class, by default 1: the first from the image, others from random points, half as far as what was found. */
  repeat?: number;
  /** Of the random starts; by default the next of the sequence that `manualSeed` restarts. */
  seed?: number;
  /** How much at most of a step starts from the image, by default 0.1. */
  alphaMax?: number;
  /** Times the way to a border that steps go, by default 1.05. */
  eta?: number;
  /** Where an adversarial image is left for a nearer one, as a share of the way from the image; by default 0.9. */
  beta?: number;
  /** How often the way to what was found is halved in the end, by default 10. */
  binarySearchSteps?: number;
}

const OPTIONS = {
  steps: whole(1, 100),
  targetClasses: whole(1, 9),
  repeat: whole(1, 1),
  seed: optional(whole(0)),
  alphaMax: number("at least 0 and at most 1", (value) => value >= 0 && value <= 1, 0.1),
  eta: number("finite in float32 and at least 1", (value) => isAboveZero(value) && value >= 1, 1.05),
  beta: share(0.9),
  binarySearchSteps: whole(1, 10),
} satisfies Schema<keyof FABOptions>;

/** How far beyond borders steps go at least, so that they cross those that they are on; a share of the bounds' width. */
const BEYOND = 1e-5;

/** What the attacks share. */
abstract class FABAttack extends Attack {
  protected override readonly bounded = true;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(
    readonly norm: Norm,
    name: string,
    options: FABOptions,
  ) {
    super();
    this.options = readOptions(name, OPTIONS, options);
  }

  protected async search(search: Search): Promise<void> {
    const { steps, targetClasses, repeat, seed, alphaMax, eta, beta, binarySearchSteps } = this.options;
    const { task, best, signal, progress } = search;
    const { model, images, bounds } = task;
    const { norm } = this;
    const { originals } = best;
    const aims = await aimsOf(search, targetClasses);
    const moved = state(images, { batched: true, name: "perturbed images" });
    const aim = state(zeros([]), { name: "class that is aimed at" });
    const begins = state(zeros([]), { name: "whether a run begins: 1 at the image, 2 elsewhere" });
    const generator = repeat > 1 ? new Generator(seed === undefined ? {} : { seed }) : undefined;
    const one = zeros([1, ...images.shape.slice(1)]);
    const start = (): Tensor => {
      if (generator === undefined) return originals;
      const radii = best.distances.minimum(norm.distance(widest(originals, bounds))).mul(0.5);
      const way = norm.random(generator, one, zeros([1]).add(1));
      const onSphere = way.div(perSample(norm.distance(way).maximum(SMALLEST), way)).mul(perSample(radii, images));
      return begins.greater(1).where(originals.add(onSphere).clip(...bounds), originals);
    };
    const step = (): { found: Tensor } => {
      const from = begins.greater(0).where(start(), moved);
      const logits = model.forward(from);
      const rise = aims.rise(logits, aim);
      const [gradient] = grad(rise.sum(), [from]);
      best.offer(from, logits);
      const beyond = dualNorm(gradient, norm).mul(BEYOND * (bounds[1] - bounds[0]));
      const gap = rise.neg().add(beyond);
      const offset = from.sub(originals);
      const along = gradient.mul(offset).flatten(1).sum(1);
      const near = toPlanes(from, gradient, gap, bounds, norm);
      const nearest = toPlanes(originals, gradient, gap.add(along), bounds, norm);
      const [here, there] = [norm.distance(near), norm.distance(nearest)];
      const biased = perSample(here.div(here.add(there).maximum(SMALLEST)).minimum(alphaMax), from);
      const next = originals
        .add(offset.add(near.mul(eta)).mul(biased.neg().add(1)))
        .add(nearest.mul(biased.mul(eta)))
        .clip(...bounds);
      const hit = best.offer(next, model.forward(next));
      const back = originals.add(next.sub(originals).mul(beta)).clip(...bounds);
      assign(moved, perSample(hit, next).where(back, next));
      return { found: best.count() };
    };
    const program = model.evaluating(() => Program.record(step, []));
    const total = steps * repeat * aims.count;
    const run = (i: number): number => Math.floor(i / steps);
    const table = (value: (i: number) => number): Float32Array =>
      Float32Array.from({ length: total }, (_, i) => value(i));
    const first = total / (total + binarySearchSteps);
    await repeatedly(program, {
      steps: total,
      tables: [
        { state: aim, values: table((i) => run(i) % aims.count) },
        { state: begins, values: table((i) => (i % steps > 0 ? 0 : run(i) < aims.count ? 1 : 2)) },
      ],
      signal,
      onProgress: (done, all, [found = 0]) => progress((first * done) / all, found),
    });
    const found = tensor(await best.values(), images.shape);
    await halve(search, norm, found, binarySearchSteps, (part, count) => progress(first + (1 - first) * part, count));
  }
}

/**
 * The fast adaptive boundary attack (Croce and Hein 2020) in L2 norm, in its targeted version FAB-T: steps to the border with a class,
 * of the network made linear, and a little beyond it, that are drawn to the point of the border nearest to the image; back towards
 * the image where they are adversarial. Both points are the nearest within the bounds. It finds what is near without a radius or a
 * step size.
 */
export class L2FABAttack extends FABAttack {
  constructor(options: FABOptions = {}) {
    super(L2, "L2FABAttack", options);
  }
}

/** {@link L2FABAttack} for the largest change of a pixel. */
export class LinfFABAttack extends FABAttack {
  constructor(options: FABOptions = {}) {
    super(Linf, "LinfFABAttack", options);
  }
}

/** {@link L2FABAttack} for the sum of changes. */
export class L1FABAttack extends FABAttack {
  constructor(options: FABOptions = {}) {
    super(L1, "L1FABAttack", options);
  }
}
