// The L2 attack of Carlini and Wagner (2017), with foolbox's defaults and order of operations, each image by itself.

import { Adam } from "../optim/index.js";
import { flag, number, type Options, readOptions, type Schema, whole } from "../options.js";
import {
  assign,
  full,
  grad,
  Parameter,
  Program,
  type State,
  state,
  type Tensor,
  tensor,
  zeros,
} from "../tensor/index.js";
import { assignInTurn } from "../tensor/state.js";
import { repeat } from "../train/loop.js";
import { Attack, isAboveZero, type Search } from "./attack.js";
import { L2 } from "./norm.js";
import { aboveZero, atLeastZero } from "./options.js";
import type { Bounds } from "./space.js";

/** Options of {@link L2CarliniWagnerAttack}. */
export interface L2CarliniWagnerOptions {
  /** How often the weight of misclassification is adjusted, by default 9. */
  binarySearchSteps?: number;
  /** Steps of Adam for each weight, by default 10,000. */
  steps?: number;
  /** Step size of Adam, by default 0.01. */
  stepsize?: number;
  /** How far the logit of the other class must lead, by default 0. */
  confidence?: number;
  /** First weight of misclassification, by default 1e-3. */
  initialConst?: number;
  /** An image rests for the weight at hand once a tenth of the steps brought it no progress, by default true. */
  abortEarly?: boolean;
}

/** Pixels are kept this far inside their bounds before atanh. */
const INSIDE = 0.999999;
/** With at least this many binary search steps the last one tries the largest weights once. */
const REPEATING_STEPS = 10;
const LARGEST_CONST = 1e10;
/** A check finds progress when the loss is below this share of the one before. */
const PROGRESS = 0.9999;

const OPTIONS = {
  binarySearchSteps: whole(1, 9),
  steps: whole(1, 10_000),
  stepsize: aboveZero(0.01),
  confidence: atLeastZero(0),
  initialConst: number(
    `above 0 in float32 and at most ${LARGEST_CONST}`,
    (value) => isAboveZero(value) && value <= LARGEST_CONST,
    1e-3,
  ),
  abortEarly: flag(true),
} satisfies Schema<keyof L2CarliniWagnerOptions>;

/**
 * Minimizes |x' - x|^2 + c max(0, logit of the label - largest other logit) over x' = tanh(w), which keeps pixels inside
 * their bounds, by Adam; c is searched for each image between the largest that failed and the smallest that succeeded.
 */
export class L2CarliniWagnerAttack extends Attack {
  readonly norm = L2;
  protected override readonly bounded = true;
  override readonly confidence: number;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  constructor(options: L2CarliniWagnerOptions = {}) {
    super();
    this.options = readOptions("L2CarliniWagnerAttack", OPTIONS, options);
    this.confidence = this.options.confidence;
  }

  protected async search(search: Search): Promise<void> {
    const { binarySearchSteps, steps, initialConst } = this.options;
    const { best, signal, progress } = search;
    const { count } = search.task;
    const descent = new Descent(search, this.options);
    let consts = new Float64Array(count).fill(initialConst);
    const lower = new Float64Array(count);
    const upper = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
    for (let round = 0; round < binarySearchSteps; round++) {
      if (round === binarySearchSteps - 1 && binarySearchSteps >= REPEATING_STEPS) {
        consts = upper.map((c) => Math.min(c, LARGEST_CONST));
      }
      await descent.restart(consts);
      const { values } = await repeat(descent.program, {
        steps,
        until: descent.rests,
        signal,
        onProgress: (step, _, [found = 0]) => progress((round + step / steps) / binarySearchSteps, found),
      });
      const succeeded = await best.found.data();
      for (let i = 0; i < count; i++) {
        const c = consts[i] ?? 0;
        if (succeeded[i]) upper[i] = c;
        else lower[i] = c;
      }
      consts = consts.map((c, i) => {
        const high = upper[i] ?? 0;
        return Number.isFinite(high) ? ((lower[i] ?? 0) + high) / 2 : Math.min(c * 10, LARGEST_CONST);
      });
      progress((round + 1) / binarySearchSteps, values.found.item());
    }
  }
}

/** The states of a descent, and the program of one step of Adam. */
class Descent {
  /** Whether every image rests: nothing would change any more. */
  readonly rests = state(zeros([], { dtype: "bool" }), { name: "all images rest" });
  readonly program: Program<{ found: Tensor }>;
  readonly #search: Search;
  readonly #delta: Parameter;
  readonly #consts: State;
  /** Images that have made no progress, `[n]`. */
  readonly #resting: State;
  /** Loss of each image at the last check. */
  readonly #previous: State;
  readonly #steps = state(zeros([]), { name: "step" });
  readonly #optimizer: Adam;

  constructor(search: Search, options: Options<typeof OPTIONS>) {
    const { images, count, bounds, model } = search.task;
    const batched = true;
    this.#search = search;
    this.#delta = new Parameter(zeros(images.shape), { batched, name: "delta" });
    this.#consts = state(zeros([count]), { batched, name: "consts" });
    this.#resting = state(zeros([count], { dtype: "bool" }), { batched, name: "resting" });
    this.#previous = state(full([count], Number.POSITIVE_INFINITY), { batched, name: "loss at the last check" });
    this.#optimizer = new Adam({ lr: options.stepsize });
    this.#optimizer.track([this.#delta]);
    const [low, high] = bounds;
    const [center, half] = [(low + high) / 2, (high - low) / 2];
    const outer = state(images.sub(center).div(half).mul(INSIDE).atanh(), { batched, name: "images before tanh" });
    const inModel = (w: Tensor): Tensor => limited(w.tanh().mul(half).add(center), bounds);
    const start = state(inModel(outer), { batched, name: "images after tanh" });
    const perturbed = (): Tensor => inModel(outer.add(this.#delta));
    this.program = model.evaluating(() => Program.record(() => this.#step(start, perturbed(), options), []));
  }

  /** Back to no perturbation, with new weights of misclassification. */
  async restart(consts: Float64Array): Promise<void> {
    const moments = this.#optimizer.namedStates().filter(([name]) => name !== "rate");
    const zero = [this.#delta, this.#steps, this.#resting, this.rests, this.#search.best.found];
    await assignInTurn([
      ...[...zero, ...moments.map(([, moment]) => moment)].map(
        (one) => [one, zeros(one.shape, { dtype: one.dtype })] as const,
      ),
      [this.#previous, full(this.#previous.shape, Number.POSITIVE_INFINITY)],
      [this.#consts, tensor(Float32Array.from(consts))],
    ]);
  }

  #step(
    start: State,
    perturbed: Tensor,
    { steps, abortEarly }: { steps: number; abortEarly: boolean },
  ): { found: Tensor } {
    const { task, best, criterion } = this.#search;
    const logits = task.model.forward(perturbed);
    // Where logits are equal, yet in the wrong order, the hinge is 0 and its gradient still that of the lead.
    const lead = criterion.lead(logits).add(criterion.confidence);
    const met = criterion.met(logits);
    const hinge = met.where(lead.relu(), lead);
    const losses = hinge.mul(this.#consts).add(perturbed.sub(start).flatten(1).square().sum(1));
    this.#optimizer.update([this.#delta], grad(losses.sum(), [this.#delta]));
    // Every tenth of the steps: an image without progress rests before this step's is looked at.
    const step = this.#steps;
    const every = Math.ceil(steps / 10);
    const due = abortEarly ? step.sub(step.div(every).floor().mul(every)).equal(0) : step.less(0);
    const resting = this.#resting.or(due.and(losses.lessEqual(this.#previous.mul(PROGRESS)).not()));
    best.offer(perturbed, logits, resting.not());
    // No progress is possible from the loss of an image with equal logits, which must grow at first.
    const comparable = met.or(losses.greater(0)).where(losses, Number.POSITIVE_INFINITY);
    assign(this.#previous, due.where(comparable, this.#previous));
    assign(this.#resting, resting);
    assign(this.rests, resting.all());
    assign(this.#steps, step.add(1));
    return { found: best.count() };
  }
}

/** Pixels that rounding carried out of their bounds back on them; one that is on its bound keeps its gradient. */
function limited(images: Tensor, [low, high]: Bounds): Tensor {
  const below = images.greater(high).where(high, images);
  return below.less(low).where(low, below);
}
