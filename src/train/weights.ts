// Weights of samples and of classes in a training: how much each counts in the loss.
import type { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type Loss, WeightedLoss } from "../losses/index.js";
import { forwardOf, totalOf } from "../losses/weighted.js";
import { arange, tensor, zeros } from "../tensor/create.js";
import { assignInTurn, type State, state } from "../tensor/state.js";
import type { Tensor } from "../tensor/tensor.js";

/** Places are counted in f32. */
const MOST_SAMPLES = 2 ** 24;

/** What float32 takes to infinity is none. */
function isWeight(given: unknown): boolean {
  return typeof given === "number" && given >= 0 && Number.isFinite(Math.fround(given));
}

/** How much each sample of a data set counts, in the order in which an epoch takes them. */
export class SampleWeights {
  readonly #given: Float32Array;
  readonly #ordered: State;

  /** Throws `INVALID_ARGUMENT` unless there is a finite weight of at least 0 for each sample, and one above 0. */
  constructor(given: ArrayLike<number>, { length }: Dataset) {
    const refuse = (what: string): TslipError =>
      new TslipError("INVALID_ARGUMENT", `sampleWeights must be ${length} numbers, one for each sample; ${what}`);
    if (typeof given !== "object" || given === null || typeof given.length !== "number")
      throw refuse(`given ${describe(given)}`);
    if (given.length !== length) throw refuse(`given ${given.length}`);
    if (length > MOST_SAMPLES) throw refuse(`data sets of more than ${MOST_SAMPLES} samples take none`);
    for (let at = 0; at < length; at++) {
      if (!isWeight(given[at])) throw refuse(`finite and at least 0; that of sample ${at} is ${describe(given[at])}`);
    }
    this.#given = Float32Array.from(given);
    if (!this.#given.some((weight) => weight > 0)) throw refuse("all are 0, so that none counts");
    this.#ordered = state(zeros([length]), { name: "sample weights" });
  }

  /** Brings them into the order of an epoch that is about to be run, in the order of jobs. */
  async arrange(order: Uint32Array): Promise<void> {
    const ordered = new Float32Array(order.length);
    for (let i = 0; i < order.length; i++) ordered[i] = this.#given[order[i] as number] ?? Number.NaN;
    await assignInTurn([[this.#ordered, tensor(ordered, [ordered.length])]]);
  }

  /** Those of a step, whose number is a 0-d state, of `size` samples; all before had `batchSize`. */
  ofStep(step: Tensor, batchSize: number, size: number): Tensor {
    return this.#ordered.gather(arange(size).cast("i32").add(step.cast("i32").mul(batchSize)));
  }
}

/** A loss of outputs and targets, and what its mean was divided by: nothing where all samples count alike. */
export interface WeighedLoss {
  forward(output: Tensor, target: Tensor): Tensor;
  totalWeight(output: Tensor, target: Tensor): Tensor | undefined;
}

/** A loss in which classes count so much, and the samples of a step as `weights` says. */
export function weighedLoss(
  loss: Loss,
  classWeights: readonly number[] | undefined,
  weights: ((samples: number) => Tensor) | undefined,
): WeighedLoss {
  const ofClasses = classWeights === undefined ? loss : new WeightedLoss(loss, { classWeights });
  const weightsOf = (output: Tensor) => weights?.(output.shape[0] ?? 0);
  return {
    forward: (output, target) => forwardOf(ofClasses, output, target, weightsOf(output)),
    totalWeight: (output, target) => totalOf(ofClasses, output, target, weightsOf(output)),
  };
}
