// A weight of misclassification for each image, searched as by Carlini and Wagner (2017): between the largest that failed and the smallest
// that succeeded, with a descent from the image for each.

import { flag, number, type Options, type Schema, whole } from "../options.js";
import { assign, full, Program, type State, state, type Tensor, tensor, zeros } from "../tensor/index.js";
import { assignInTurn } from "../tensor/state.js";
import { type LoopOptions, repeat } from "../train/loop.js";
import { isAboveZero, type Search } from "./attack.js";
import { atLeastZero } from "./options.js";

/** Options of attacks that search weights of misclassification. */
export interface WeightSearchOptions {
  /** How often the weight of misclassification is adjusted, by default 9. */
  binarySearchSteps?: number;
  /** Steps for each weight, by default 10,000. */
  steps?: number;
  /** How far the logit of the other class must lead, by default 0. */
  confidence?: number;
  /** First weight of misclassification, by default 1e-3. */
  initialConst?: number;
  /** An image rests for the weight at hand once a tenth of the steps brought it no progress, by default true. */
  abortEarly?: boolean;
}

/** With at least this many binary search steps the last one tries the largest weights once. */
const REPEATING_STEPS = 10;
const LARGEST_CONST = 1e10;
/** A check finds progress when the loss is below this share of the one before. */
const PROGRESS = 0.9999;

/** Schema of {@link WeightSearchOptions}. */
export const WEIGHT_SEARCH_OPTIONS = {
  binarySearchSteps: whole(1, 9),
  steps: whole(1, 10_000),
  confidence: atLeastZero(0),
  initialConst: number(
    `above 0 in float32 and at most ${LARGEST_CONST}`,
    (value) => isAboveZero(value) && value <= LARGEST_CONST,
    1e-3,
  ),
  abortEarly: flag(true),
} satisfies Schema<keyof WeightSearchOptions>;

/** A state, and what it begins with for each weight. */
export type Beginning = readonly [State, Tensor];

/** What an attack descends by. */
export interface Descent {
  readonly beginnings: readonly Beginning[];
  readonly tables?: LoopOptions["tables"];
  /** Records a step; how many images something was found for, 0-d f32. `search.best.found` is what it found with the weight at hand. */
  step(weighed: Weighed): Tensor;
}

/** The loss of a step for the weight at hand, and who is still at it. */
export class Weighed {
  readonly #search: Search;
  readonly #consts: State;
  /** Images that have made no progress, `[n]`. */
  readonly #resting: State;
  /** Loss of each image at the last check. */
  readonly #previous: State;
  /** Whether progress is checked in this step. */
  readonly due = state(zeros([]), { name: "whether progress is checked" });
  /** Whether every image rests: nothing would change any more. */
  readonly rests = state(zeros([], { dtype: "bool" }), { name: "all images rest" });

  constructor(
    search: Search,
    /** Whether images rest at all: else nothing of it is recorded. */
    readonly aborts: boolean,
  ) {
    const { count } = search.task;
    const batched = true;
    this.#search = search;
    this.#consts = state(zeros([count]), { batched, name: "consts" });
    this.#resting = state(zeros([count], { dtype: "bool" }), { batched, name: "resting" });
    this.#previous = state(full([count], Number.POSITIVE_INFINITY), { batched, name: "loss at the last check" });
  }

  /** What a descent with these weights begins with. */
  beginnings(consts: Float64Array): Beginning[] {
    return [
      ...[this.#resting, this.rests, this.#search.best.found].map(
        (one) => [one, zeros(one.shape, { dtype: one.dtype })] as const,
      ),
      [this.#previous, full(this.#previous.shape, Number.POSITIVE_INFINITY)],
      [this.#consts, tensor(Float32Array.from(consts))],
    ];
  }

  /**
   * Of each image |moved - from|^2 + c max(0, logit of the label - largest other logit + confidence), `[n]`, and who goes on: every
   * tenth of the steps an image without progress rests before what the step finds is looked at. To be called once in a step.
   */
  losses(moved: Tensor, from: Tensor, logits: Tensor): { losses: Tensor; awake: Tensor } {
    const { criterion } = this.#search;
    // Where logits are equal, yet in the wrong order, the hinge is 0 and its gradient still that of the lead.
    const lead = criterion.lead(logits).add(criterion.confidence);
    const met = criterion.met(logits);
    const hinge = met.where(lead.relu(), lead);
    const losses = hinge.mul(this.#consts).add(moved.sub(from).flatten(1).square().sum(1));
    if (!this.aborts) return { losses, awake: full(this.#resting.shape, 1).greater(0) };
    const due = this.due.greater(0);
    const resting = this.#resting.or(due.and(losses.lessEqual(this.#previous.mul(PROGRESS)).not()));
    // No progress is possible from the loss of an image with equal logits, which must grow at first.
    const comparable = met.or(losses.greater(0)).where(losses, Number.POSITIVE_INFINITY);
    assign(this.#previous, due.where(comparable, this.#previous));
    assign(this.#resting, resting);
    assign(this.rests, resting.all());
    return { losses, awake: resting.not() };
  }
}

/** Descends with one weight after another, each in one native loop. */
export async function searchWeights(
  search: Search,
  options: Options<typeof WEIGHT_SEARCH_OPTIONS>,
  { beginnings, tables = [], step }: Descent,
): Promise<void> {
  const { binarySearchSteps, steps, initialConst, abortEarly } = options;
  const { best, signal, progress } = search;
  const { count, model } = search.task;
  const weighed = new Weighed(search, abortEarly);
  const program = model.evaluating(() => Program.record(() => ({ found: step(weighed) }), []));
  const every = Math.ceil(steps / 10);
  const due = Float32Array.from({ length: steps }, (_, i) => Number(i % every === 0));
  let consts = new Float64Array(count).fill(initialConst);
  const lower = new Float64Array(count);
  const upper = new Float64Array(count).fill(Number.POSITIVE_INFINITY);
  for (let round = 0; round < binarySearchSteps; round++) {
    if (round === binarySearchSteps - 1 && binarySearchSteps >= REPEATING_STEPS) {
      consts = upper.map((c) => Math.min(c, LARGEST_CONST));
    }
    await assignInTurn([...beginnings, ...weighed.beginnings(consts)]);
    const { values } = await repeat(program, {
      steps,
      ...(abortEarly && { until: weighed.rests }),
      tables: abortEarly ? [...tables, { state: weighed.due, values: due }] : tables,
      signal,
      onProgress: (done, _, [found = 0]) => progress((round + done / steps) / binarySearchSteps, found),
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
