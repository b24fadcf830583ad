// Ascents of the loss within a radius, with foolbox's defaults and order of operations: the loop that they share, and its rules.
import { TslipError } from "../errors.js";
import { corrected } from "../optim/adam.js";
import { flag, number, type Option, type Options, optional, readOptions, type Schema, whole } from "../options.js";
import { assign, Generator, grad, Program, type State, state, type Tensor, zeros } from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, isAboveZero, type Search } from "./attack.js";
import { L1, type Norm, scaledL1 } from "./norm.js";
import { SearchRadius } from "./search-radius.js";
import { type Bounds, isFloat32 } from "./space.js";

/** Options of every attack within a radius. */
export interface StartOptions {
  /** Whether to start at a random point within the radius, at the same multiples of it for all images. */
  randomStart?: boolean;
  /** Runs from random starts, of which the best is kept; by default 1. */
  repeat?: number;
  /** Of the random starts; by default the next of the sequence that `manualSeed` restarts. */
  seed?: number;
  /**
   * Radii that are tried for an image where `run` is given no epsilons, by default 16. The first is that of all images within the bounds;
   * it is halved until something is found, then put in the middle between the nearest adversarial and the largest radius that held none.
   */
  binarySearchSteps?: number;
}

/** Options of iterative attacks within a radius. */
export interface DescentOptions extends StartOptions {
  /** Step size as a share of the radius. */
  relStepsize?: number;
  /** Step size, in the place of `relStepsize`. */
  absStepsize?: number;
  steps?: number;
}

/** Further options of attacks that step by Adam's rule. */
export interface AdamDescentOptions extends DescentOptions {
  /** Decay of the running mean of gradients, by default 0.9. */
  adamBeta1?: number;
  /** Decay of the running mean of their squares, by default 0.999. */
  adamBeta2?: number;
  /** Added to the root of the second moment, by default 1e-8. */
  adamEpsilon?: number;
}

/** Further options of attacks with momentum. */
export interface MomentumDescentOptions extends DescentOptions {
  /** Share that is kept of the gradients before, by default 1. */
  momentum?: number;
}

const aboveZero = (byDefault?: number): Option<number> =>
  number("finite and above 0 in float32", isAboveZero, byDefault);

const decay = (byDefault: number): Option<number> =>
  number("at least 0 and below 1 in float32", (value) => value >= 0 && Math.fround(value) < 1, byDefault);

/** Schema of {@link StartOptions}. */
export const startOptions = (randomStart: boolean) =>
  ({
    randomStart: flag(randomStart),
    repeat: whole(1, 1),
    seed: optional(whole(0)),
    binarySearchSteps: whole(1, 16),
  }) satisfies Schema<keyof StartOptions>;

/** Schema of {@link DescentOptions}, with these defaults. */
export const descentOptions = (relStepsize: number, steps: number, randomStart: boolean) =>
  ({
    relStepsize: aboveZero(relStepsize),
    absStepsize: optional(aboveZero()),
    steps: whole(1, steps),
    ...startOptions(randomStart),
  }) satisfies Schema<keyof DescentOptions>;

/** Schema of what {@link AdamDescentOptions} adds. */
export const ADAM_OPTIONS = {
  adamBeta1: decay(0.9),
  adamBeta2: decay(0.999),
  adamEpsilon: aboveZero(1e-8),
} satisfies Schema<Exclude<keyof AdamDescentOptions, keyof DescentOptions>>;

/** Schema of what {@link MomentumDescentOptions} adds. */
export const MOMENTUM_OPTIONS = {
  momentum: number("finite in float32 and at least 0", (value) => isFloat32(value) && value >= 0, 1),
} satisfies Schema<Exclude<keyof MomentumDescentOptions, keyof DescentOptions>>;

/** Names by which other libraries take the radius where an attack is made. */
const RADII = ["epsilons", "epsilon", "eps"];

/** {@link readOptions} of an attack within a radius, which is no option of it. */
export function readDescent<S extends Schema>(owner: string, schema: S, options: unknown): Options<S> {
  const given = RADII.find((name) => typeof options === "object" && options !== null && Object.hasOwn(options, name));
  if (given === undefined) return readOptions(owner, schema, options);
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} has no option "${given}"; radii are given where it runs: run(model, images, labels, { epsilons: [0.5] })`,
  );
}

/** A step of a run, as it is recorded. */
interface Moment {
  /** Of the run, from 1; f32 []. */
  readonly step: State;
  readonly norm: Norm;
  /** What a slot of the rule holds, of the shape of images: 0 at the first step of a run. */
  held(slot: State): Tensor;
}

/** Where a step goes, in step sizes: made of gradients that are divided by their norms, kept in as many slots as it needs. */
interface Rule {
  readonly slots: number;
  direction(gradient: Tensor, slots: readonly State[], moment: Moment): Tensor;
}

const PLAIN: Rule = { slots: 0, direction: (gradient) => gradient };

/** Adam (Kingma and Ba 2015). */
export const adam = ({ adamBeta1, adamBeta2, adamEpsilon }: Options<typeof ADAM_OPTIONS>): Rule => ({
  slots: 2,
  direction(gradient, [first, second], { step, held }) {
    const mean = (slot: State | undefined, value: Tensor, beta: number): Tensor => {
      const next = held(slot as State)
        .mul(beta)
        .add(value.mul(1 - beta));
      assign(slot as State, next);
      return next.div(corrected(beta, step));
    };
    const scale = mean(second, gradient.square(), adamBeta2).sqrt().add(adamEpsilon);
    return mean(first, gradient, adamBeta1).div(scale);
  },
});

/** The sum of all gradients, the earlier ones by powers of the momentum, divided by its norm (Dong et al. 2018). */
export const momentum = (share: number): Rule => ({
  slots: 1,
  direction(gradient, [sum], { norm, held }) {
    const next = held(sum as State)
      .mul(share)
      .add(gradient);
    assign(sum as State, next);
    return norm.steepest(next);
  },
});

/** Options as they are read; those that do not say how steps are taken take one, as long as the radius. */
type Read = Options<ReturnType<typeof startOptions>> & Partial<Options<ReturnType<typeof descentOptions>>>;

/**
 * Climbs the cross-entropy of the label, or descends that of the target, and keeps within a radius and the bounds. Within each of the
 * epsilons it finds the image that leads most of all steps and runs; without epsilons the nearest, over radii of its own.
 */
export abstract class GradientDescentAttack<
  O extends Read = Options<ReturnType<typeof descentOptions>>,
> extends Attack {
  protected override readonly bounded = true;
  protected override readonly within = true;
  readonly #rule: Rule;
  /** By which steps are normalized and kept within the radius. */
  readonly #ball: Norm;

  constructor(
    readonly norm: Norm,
    /** Those given, with the defaults of others. */
    readonly options: O,
    rule = PLAIN,
    ball = norm === L1 ? scaledL1 : norm,
  ) {
    super();
    [this.#rule, this.#ball] = [rule, ball];
    if (options.randomStart || options.repeat === 1) return;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `repeat is ${options.repeat}, expected 1 where randomStart is false, as all runs are the same; give randomStart: true with it`,
    );
  }

  /** What steps follow of the gradient at images, by default all of it. */
  protected usable(gradient: Tensor, _images: Tensor, _bounds: Bounds): Tensor {
    return gradient;
  }

  protected async search(search: Search): Promise<void> {
    const { task, best, criterion, signal, progress } = search;
    const { randomStart, seed, binarySearchSteps, steps = 1, relStepsize = 1, absStepsize }: Read = this.options;
    const { model, images, bounds } = task;
    const [low, high] = bounds;
    const { originals } = best;
    const norm = this.#ball;
    const batched = true;
    const radius = new SearchRadius(search, norm, binarySearchSteps);
    const delta = state(zeros(images.shape), { batched, name: "perturbation" });
    const slots = Array.from({ length: this.#rule.slots }, () =>
      state(zeros(images.shape), { batched, name: "moment of gradients" }),
    );
    const step = state(zeros([]), { name: "step of the run" });
    const last = state(zeros([]), { name: "whether it is the last with this radius" });
    const generator = randomStart ? new Generator(seed === undefined ? {} : { seed }) : undefined;
    // One for all, so that an image has the same whichever are beside it.
    const one = zeros([1, ...images.shape.slice(1)]);
    const start = (): Tensor =>
      generator === undefined
        ? zeros(images.shape)
        : norm.random(generator, one, zeros([1]).add(1)).mul(radius.beside(images));
    const program = model.evaluating(() =>
      Program.record(() => {
        const begins = step.equal(1);
        const perturbed = originals.add(begins.where(start(), delta)).clip(low, high);
        const logits = model.forward(perturbed);
        const [gradient] = grad(criterion.odds(logits).sum(), [perturbed]);
        best.offer(perturbed, logits);
        const held = (slot: State): Tensor => begins.where(0, slot);
        const uphill = norm.steepest(this.usable(gradient, perturbed, bounds));
        const direction = this.#rule.direction(uphill, slots, { step, norm, held });
        const size = absStepsize === undefined ? radius.beside(images).mul(relStepsize) : absStepsize;
        const moved = perturbed.sub(originals).add(direction.mul(size));
        assign(delta, norm.project(moved, radius.value));
        radius.next(last.greater(0));
        return { found: best.count() };
      }, []),
    );
    // The last step of a run offers where the one before it went.
    const length = steps + 1;
    const each = length * this.options.repeat;
    const total = radius.tries * each;
    const tables = [
      { state: step, values: Float32Array.from({ length: total }, (_, i) => (i % length) + 1) },
      { state: last, values: Float32Array.from({ length: total }, (_, i) => Number(i % each === each - 1)) },
    ];
    const onProgress = (done: number, _: number, [found = 0]: Float64Array): void => progress(done / total, found);
    const { values } = await repeat(program, { steps: total, tables, signal, onProgress });
    progress(1, values.found.item());
  }
}
