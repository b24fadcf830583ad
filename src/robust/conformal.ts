// Conformal prediction sets that hold a sample's class with a given probability, also where the sample has been perturbed.
import type { BoundedOutputs } from "../certify/outputs.js";
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { checkLogits } from "../logits.js";
import type { ModelInput, Module } from "../nn/index.js";
import { choice, notNegative, number, type Option, type Options, readOptions, type Schema, whole } from "../options.js";
import { BATCHES, type Batches, checkLabel, exported, held, ofOutputs, type PassOptions, radiiOf } from "./batches.js";

/**
 * How little a class y fits a sample x: "logit", -f_y(x), which is L-Lipschitz as f_y is; "margin", the largest other logit less that of y, which is
 * sqrt(2) L-Lipschitz for logits that are L-Lipschitz together, as each difference of two is, and by the rows of a linear last layer often less.
 */
export type ConformalScore = "logit" | "margin";

/** Options of {@link ConformalClassifier.calibrate}. */
export interface ConformalOptions extends PassOptions {
  /** How often at most a set may miss the class: above 0 and below 1, such as 0.1. */
  alpha: number;
  /** By default "logit". */
  score?: ConformalScore;
}

/** Options of {@link ConformalClassifier.sets}. */
export interface ConformalSetsOptions {
  /** L2 norm of perturbations at most, in units of what enters the first layer: for u8 images those are pixels divided by 255. By default 0. */
  radius?: number;
}

/** What a calibration has found, as JSON holds it. */
export interface ConformalJson {
  readonly alpha: number;
  readonly score: ConformalScore;
  /** JSON has no number for an infinite one. */
  readonly threshold: number | "Infinity";
  readonly samples: number;
}

/** What {@link ConformalClassifier.evaluate} finds. */
export interface ConformalEvaluation {
  readonly radii: readonly number[];
  /** Samples that count. */
  readonly samples: number;
  /** At each radius the share of samples whose set has their class. */
  readonly coverage: readonly number[];
  /** At each radius how many classes a set has on average. */
  readonly meanSize: readonly number[];
}

const SCORES: readonly ConformalScore[] = ["logit", "margin"];

const alpha = number("above 0 and below 1", (value) => value > 0 && value < 1);

const OPTIONS = {
  ...BATCHES,
  alpha,
  score: choice(SCORES, "logit"),
} satisfies Schema<keyof ConformalOptions>;

const threshold: Option<number> = {
  read(name, given) {
    const value = given === "Infinity" ? Number.POSITIVE_INFINITY : given;
    if (typeof value === "number" && value > Number.NEGATIVE_INFINITY) return value;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be a number, or "Infinity"; given ${describe(given)}`);
  },
};

const JSON_OF = { alpha, score: choice(SCORES), threshold, samples: whole(1) } satisfies Schema<keyof ConformalJson>;

const SETS = { radius: notNegative(0) } satisfies Schema<keyof ConformalSetsOptions>;

/**
 * A classifier that answers with sets of classes. It is calibrated on n samples that the model was not trained on (split conformal prediction: Papadopoulos et
 * al. 2002; Angelopoulos and Bates 2023, "Conformal Prediction: A Gentle Introduction"): its threshold is the ⌈(n + 1)(1 - alpha)⌉-th smallest score s(x, y)
 * of these samples with their classes, Infinity where that is more than n. The set of a sample x̃ at a radius ε has each class whose score can be as small as
 * the threshold anywhere within ε of x̃: s(x̃, y) less what ε can change of it, by the proved L, and what float32 may round (Massena et al. 2025, "Efficient
 * Robust Conformal Prediction via Lipschitz-Bounded Networks"). So it has all classes of the set of every x within ε of x̃, and
 *
 *     P(Y ∈ C_ε(X̃)) >= 1 - alpha   for any X̃ with ‖X̃ - X‖ <= ε,
 *
 * where (X, Y) and the calibration samples are exchangeable, as independent draws from one distribution are. The probability is over both; of one
 * calibration set and all later samples it is more or less by some sqrt(alpha (1 - alpha) / n). The bound at x̃ is that of the logits
 * themselves: a score that is a growing function of the logit, as a sigmoid or a probability behind it, gives the same sets at ε = 0 and no smaller ones
 * beyond, as its constant is one for all x. Of a model that ends in a `Softmax` "logit" is 1 - p_y but for a constant, the score of least ambiguous sets.
 */
export class ConformalClassifier {
  readonly alpha: number;
  readonly score: ConformalScore;
  /** The score up to which classes are in a set. */
  readonly threshold: number;
  /** How many samples it was calibrated on. */
  readonly samples: number;
  readonly #network: Module;

  private constructor(network: Module, { alpha, score, threshold, samples }: Options<typeof JSON_OF>) {
    this.#network = network;
    this.alpha = alpha;
    this.score = score;
    this.threshold = threshold;
    this.samples = samples;
    Object.freeze(this);
  }

  /**
   * Calibrates on a data set of classes; samples of its `ignoreIndex` do not count. It speaks of the network that the model exports at the call; what
   * exports itself must keep its weights.
   * @throws TslipError `LABEL_OUT_OF_RANGE` for a class that the model has no logit for, `EMPTY_DATASET` without samples, and what `certify` does
   */
  static async calibrate(model: Module, calibration: Dataset, options: ConformalOptions): Promise<ConformalClassifier> {
    const who = "ConformalClassifier.calibrate";
    const network = exported(who, "a Module and a Dataset", model);
    const { alpha, score, ...batches } = readOptions(who, OPTIONS, options);
    const counted = labelled(who, calibration);
    const found = await ofOutputs(who, network, [await held("the calibration", counted)], batches, (outputs, start) =>
      scoresOf(outputs, score, counted, start),
    );
    const scores = Float64Array.from(found.flat()).sort();
    const [samples, rank] = [scores.length, rankOf(scores.length, alpha)];
    const threshold = scores[rank - 1] ?? Number.POSITIVE_INFINITY;
    return new ConformalClassifier(network, { alpha, score, threshold, samples });
  }

  /**
   * The classifier of which {@link toJSON} gave this, for the model that it was calibrated on, or that model loaded from its file: of another one coverage is not
   * what `alpha` says, which nothing here can tell.
   * @throws TslipError `INVALID_ARGUMENT` for what is no such record, and a threshold that no calibration on so many samples has
   */
  static fromJSON(model: Module, json: ConformalJson): ConformalClassifier {
    const who = "ConformalClassifier.fromJSON";
    const network = exported(who, "a Module and what toJSON() gave", model);
    const read = readOptions(who, JSON_OF, json);
    const { alpha, threshold, samples } = read;
    const isInfinite = rankOf(samples, alpha) > samples;
    if (isInfinite !== (threshold === Number.POSITIVE_INFINITY)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `threshold must be ${isInfinite ? "Infinity" : "finite"} for alpha ${alpha} and ${samples} samples; given ${threshold}; ` +
          "give what toJSON() gave, or calibrate again",
      );
    }
    return new ConformalClassifier(network, read);
  }

  /** What `JSON.stringify` writes, and {@link fromJSON} takes back: the calibration, without the model. */
  toJSON(): ConformalJson {
    const { alpha, score, threshold, samples } = this;
    return { alpha, score, threshold: threshold === Number.POSITIVE_INFINITY ? "Infinity" : threshold, samples };
  }

  /**
   * The set of each image, class indices in ascending order; it may be empty, where no class fits as well as those of the calibration.
   * @throws TslipError as `certify` does
   */
  async sets(images: ModelInput, options: ConformalSetsOptions = {}): Promise<number[][]> {
    const { radius } = readOptions("ConformalClassifier.sets", SETS, options);
    const batches = readOptions("ConformalClassifier.sets", BATCHES);
    const found = await this.#setsOf("ConformalClassifier.sets", images, [radius], batches);
    return found.map(([set = []]) => set);
  }

  /**
   * Coverage and size of the sets of a data set's samples as they are, at each of the radii. Of samples that are perturbed by up to a radius coverage is at least
   * that of the samples at radius 0 before; give the perturbed ones to see it.
   * @throws TslipError as {@link calibrate}
   */
  async evaluate(dataset: Dataset, radii: readonly number[], options: PassOptions = {}): Promise<ConformalEvaluation> {
    const who = "ConformalClassifier.evaluate";
    const batches = readOptions(who, BATCHES, options);
    const asked = radiiOf(radii);
    const counted = labelled(who, dataset);
    const { labelsRaw: labels, length: samples } = counted;
    const sets = await this.#setsOf(who, counted, asked, batches);
    const mean = (of: (set: readonly number[], i: number) => number) =>
      asked.map((_, at) => sets.reduce((sum, within, i) => sum + of(within[at] ?? [], i), 0) / samples);
    return {
      radii: asked,
      samples,
      coverage: mean((set, i) => (set.includes(labels[i] ?? -1) ? 1 : 0)),
      meanSize: mean((set) => set.length),
    };
  }

  /** Of each sample its set at each of the radii. */
  async #setsOf(
    who: string,
    given: Dataset | ModelInput,
    radii: readonly number[],
    batches: Batches,
  ): Promise<number[][][]> {
    const all = await ofOutputs(who, this.#network, [await held("images", given)], batches, async (outputs) => {
      checkLogits(who, outputs.shape);
      const fitting = (highest: readonly number[]): number[] => {
        const set: number[] = [];
        for (const [y, most] of highest.entries()) if (most >= -this.threshold) set.push(y);
        return set;
      };
      return this.score === "logit"
        ? await outputs.intervals(radii, (_, within) => within.map(({ upper }) => fitting(upper)))
        : await outputs.leads(radii, (_, within) => within.map(fitting));
    });
    return all.flat();
  }
}

/** Which of the scores of so many samples in ascending order, from 1 on, is the threshold; where it is more than there are, it is Infinity. */
const rankOf = (samples: number, alpha: number): number => Math.ceil((samples + 1) * (1 - alpha));

/** The samples of a data set that count, of which each has a class. */
function labelled(who: string, dataset: Dataset): Dataset {
  const given = dataset instanceof Dataset ? dataset : undefined;
  if (given === undefined || given.labelsRaw.length === 0) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${who} needs a Dataset whose targets are classes; given ${given === undefined ? describe(dataset) : "one whose targets are numbers"}`,
    );
  }
  const { labelsRaw: labels, ignoreIndex } = given;
  const counted = Array.from(labels.keys()).filter((i) => labels[i] !== ignoreIndex);
  if (counted.length > 0) return counted.length === labels.length ? given : given.subset(counted);
  throw new TslipError("EMPTY_DATASET", `${who} needs a sample of a class; all have the label ${ignoreIndex}`);
}

/** How little its class fits each sample, from the sample `start` of a data set on. */
async function scoresOf(
  outputs: BoundedOutputs,
  score: ConformalScore,
  { labelsRaw }: Dataset,
  start: number,
): Promise<number[]> {
  checkLogits("ConformalClassifier.calibrate", outputs.shape);
  let at = start;
  return await outputs.intervals([], (logits) => {
    const sample = at++;
    const label = labelsRaw[sample] ?? -1;
    checkLabel(sample, label, outputs.width);
    const [own = Number.NaN] = logits.splice(label, 1);
    return (score === "margin" ? logits.reduce((most, logit) => Math.max(most, logit)) : 0) - own;
  });
}
