// Losses of the logit of a sample's class against the others taken together: by softmax, by log-sum-exp, by their maximum.
import { notNegative, number, optional, positive } from "../options.js";
import { assign, type Operand, type State, state, type Tensor, tensor } from "../tensor/index.js";
import { currentTrace } from "../tensor/trace.js";
import { lossOf, WeighableLoss } from "./loss.js";
import { asScalar, hingeAgainst, over, times } from "./operand.js";
import {
  type Adjustable,
  adjustable,
  hingeWeight,
  ofClasses,
  type Reduction,
  type ReductionOptions,
  read,
  reduction,
  type WeightedClassOptions,
} from "./options.js";
import { reduced } from "./reduce.js";
import { type BatchTargets, classTargets, everySample, singleClassTargets, weighed } from "./targets.js";
import { totalWeight } from "./total.js";

/** Options of the soft HKR loss as a function. */
export interface SoftHkrMulticlassOptions extends WeightedClassOptions, ReductionOptions {
  /** Weight of the hinge, from 0 to 1; above 1 it is taken as alpha / (1 + alpha), Infinity as 1. By default 0.9. */
  alpha?: Adjustable | undefined;
  /** Logits should be on their side of 0 by half of this. Above 0, by default 1. */
  minMargin?: Adjustable | undefined;
  /** Factor of the softmax over the other logits: the higher, the more the largest counts. Above 0, by default 1. */
  temperature?: Adjustable | undefined;
  /** Mean magnitude of logits, by which the temperature is divided; by default that of the logits given. */
  mean?: Adjustable | undefined;
}

/** Options of the soft HKR loss. */
export interface SoftHKRMulticlassLossOptions extends Omit<SoftHkrMulticlassOptions, "mean"> {
  /** Share of the running mean of magnitudes that is kept in each step, from 0 to 1; by default 0.99. */
  alphaMean?: number | undefined;
}

/** Options of the log-sum-exp KR loss. */
export interface LseKrMulticlassOptions extends WeightedClassOptions, ReductionOptions {
  /** Factor of all logits, above 0; by default 1. */
  temperature?: Adjustable | undefined;
  /** The log-sum-exp is above the largest of the other logits by at most this times minMargin / 2. Above 0, by default 1. */
  penalty?: Adjustable | undefined;
  /** Logits should be on their side of 0 by half of this. Above 0, by default 1. */
  minMargin?: Adjustable | undefined;
}

/** Options of the log-sum-exp HKR loss. */
export interface LseHkrMulticlassOptions extends LseKrMulticlassOptions {
  /** Weight of the hinge, from 0 to 1; above 1 it is taken as alpha / (1 + alpha), Infinity as 1. By default 1. */
  alpha?: Adjustable | undefined;
}

/** Options of the categorical hinge. */
export interface CategoricalHingeOptions extends WeightedClassOptions, ReductionOptions {
  /** The logit of the class should be above the others by this much. At least 0, by default 1. */
  minMargin?: Adjustable | undefined;
}

const share = number("from 0 to 1", (value) => value >= 0 && value <= 1, 0.99);
const factor = (byDefault: number) => adjustable(positive(byDefault));
const soft = { alpha: hingeWeight(0.9), minMargin: factor(1), temperature: factor(1), reduction, ...ofClasses };
const lse = { temperature: factor(1), penalty: factor(1), minMargin: factor(1), reduction, ...ofClasses };
const categorical = { minMargin: adjustable(notNegative(1)), reduction, ...ofClasses };

const softOptions = (options: SoftHkrMulticlassOptions = {}) =>
  read("the soft HKR loss", { ...soft, mean: optional(adjustable(notNegative())) }, options);
const softLossOptions = (options: SoftHKRMulticlassLossOptions = {}) =>
  read("SoftHKRMulticlassLoss", { ...soft, alphaMean: share }, options);
const lseKrOptions = (options: LseKrMulticlassOptions = {}) => read("the log-sum-exp KR loss", lse, options);
const lseHkrOptions = (options: LseHkrMulticlassOptions = {}) =>
  read("the log-sum-exp HKR loss", { alpha: hingeWeight(1), ...lse }, options);
const categoricalOptions = (options: CategoricalHingeOptions = {}) =>
  read("the categorical hinge", categorical, options);

/** Bounds of the running mean, of what the temperature is divided by, and of the factor of the softmax. */
const MEAN = [0.005, 1000] as const;
const LARGEST_DIVISOR = 20_000;
const HEAT = [0.005, 250] as const;

/**
 * Soft HKR (Serrurier et al. 2024, as torchlip 1.0.5): each sample's own logits count once, the others by their softmax, in
 * alpha sum(relu(m / 2 - s y)) - (1 - alpha) sum(s y), s = 1 or -1. The softmax is of y T m / max(mean, m), where the factor of y is
 * kept from 0.005 to 250 and is a constant of differentiation.
 * @param logits f32 `[n, classes]`
 * @param target class indices `[n]`, or rows of 0/1 or -1/+1 of the logits' shape
 * @param weights of the samples, f32 `[n]`, as in all losses here
 */
export function softHkrMulticlass(
  logits: Tensor,
  target: Tensor,
  options: SoftHkrMulticlassOptions = {},
  weights?: Tensor,
): Tensor {
  const checked = softOptions(options);
  const targets = softTargets(logits, target, checked, weights);
  return softValue(targets, checked, checked.mean ?? meanMagnitude(targets));
}

/**
 * {@link softHkrMulticlass} with a running mean of the magnitudes of logits, which starts at minMargin. Each call of `forward` moves
 * it: mean <- alphaMean mean + (1 - alphaMean) mean|y|, kept from 0.005 to 1000. It is a state of the loss, `currentMean`.
 */
export class SoftHKRMulticlassLoss extends WeighableLoss {
  readonly alpha: Adjustable;
  readonly minMargin: Adjustable;
  readonly temperature: Adjustable;
  readonly alphaMean: number;
  readonly reduction: Reduction;
  readonly ignoreIndex: number | undefined;
  readonly classWeights: Tensor | undefined;
  readonly #currentMean: State;

  constructor(options: SoftHKRMulticlassLossOptions = {}) {
    super();
    const checked = softLossOptions(options);
    this.alpha = checked.alpha;
    this.minMargin = checked.minMargin;
    this.temperature = checked.temperature;
    this.alphaMean = checked.alphaMean;
    this.reduction = checked.reduction;
    this.ignoreIndex = checked.ignoreIndex;
    this.classWeights = checked.classWeights;
    this.#currentMean = state(asScalar(checked.minMargin), { name: "currentMean" });
  }

  /** The running mean of magnitudes of logits, 0-d. */
  get currentMean(): State {
    return this.#currentMean;
  }

  override namedStates(prefix = ""): [string, State][] {
    return [...super.namedStates(prefix), [`${prefix}currentMean`, this.#currentMean]];
  }

  forward(logits: Tensor, target: Tensor, weights?: Tensor): Tensor {
    const checked = softLossOptions(this);
    const targets = softTargets(logits, target, checked, weights);
    const kept = this.#currentMean.mul(checked.alphaMean);
    const magnitude = meanMagnitude(targets)
      .mul(1 - checked.alphaMean)
      .add(kept);
    const moved = targets.counted === undefined ? magnitude : targets.counted.any().where(magnitude, this.#currentMean);
    // What is computed later, outside of a recording, would read the state as it is then.
    const mean = currentTrace() === undefined ? tensor(moved.dataSync(), []) : moved;
    assign(this.#currentMean, mean.clip(...MEAN));
    return softValue(targets, checked, mean);
  }

  override totalWeight(logits: Tensor, target: Tensor, weights?: Tensor): Tensor | undefined {
    return totalWeight(logits, target, this, weights);
  }
}

/**
 * Log-sum-exp KR loss: lse(T y of the others) - T y of the class, where lse(x) = log(sum(exp(k x))) / k with
 * k = log(C - 1) / (penalty m / 2), so that it is above their maximum by at most penalty m / 2; of two classes it is the other
 * logit itself. It is {@link lseHkrMulticlass} with alpha 0: what training makes small. One class a sample; else as above.
 */
export function lseKrMulticlass(
  logits: Tensor,
  target: Tensor,
  options: LseKrMulticlassOptions = {},
  weights?: Tensor,
): Tensor {
  return lseValue(logits, target, { ...lseKrOptions(options), alpha: 0 }, weights);
}

/**
 * Log-sum-exp HKR loss (torchlip 1.0.5): with p = T y of the class and q = lse(T y of the others), as {@link lseKrMulticlass} says,
 * alpha (relu(m / 2 - p) + relu(m / 2 + q)) - (1 - alpha) (p - q).
 */
export function lseHkrMulticlass(
  logits: Tensor,
  target: Tensor,
  options: LseHkrMulticlassOptions = {},
  weights?: Tensor,
): Tensor {
  return lseValue(logits, target, lseHkrOptions(options), weights);
}

/** Hinge relu(m - (y of the class - the largest of the others)), by default its mean. One class a sample; else as above. */
export function categoricalHinge(
  logits: Tensor,
  target: Tensor,
  options: CategoricalHingeOptions = {},
  weights?: Tensor,
): Tensor {
  const { minMargin, reduction, ignoreIndex, classWeights } = categoricalOptions(options);
  const targets = weighed(singleClassTargets(logits, target, ignoreIndex), weights, classWeights);
  return targets.sure(reduced(marginOf(targets).neg().add(minMargin).relu(), targets, reduction));
}

/** {@link lseKrMulticlass} */
export class LseKRMulticlassLoss extends lossOf(lseKrOptions, lseKrMulticlass) {}

/** {@link lseHkrMulticlass} */
export class LseHKRMulticlassLoss extends lossOf(lseHkrOptions, lseHkrMulticlass) {}

/** {@link categoricalHinge} */
export class CategoricalHingeLoss extends lossOf(categoricalOptions, categoricalHinge) {}

/** The logit of each sample's class less the largest of the others, `[n]`, of targets with one class a sample. */
function marginOf({ rows, logits }: BatchTargets): Tensor {
  const own = rows.greater(0);
  return classLogit(logits, own).sub(own.where(Number.NEGATIVE_INFINITY, logits).max(1));
}

/** The logit of each sample's class, `[n]`. */
function classLogit(logits: Tensor, own: Tensor): Tensor {
  return own.where(logits, 0).sum(1);
}

function softTargets(
  logits: Tensor,
  target: Tensor,
  { ignoreIndex, classWeights }: { ignoreIndex: number | undefined; classWeights: Tensor | undefined },
  weights: Tensor | undefined,
): BatchTargets {
  return weighed(classTargets(logits, target, ignoreIndex), weights, classWeights);
}

function softValue(
  targets: BatchTargets,
  { alpha, minMargin, temperature, reduction }: Pick<SoftOptions, "alpha" | "minMargin" | "temperature" | "reduction">,
  mean: Operand,
): Tensor {
  const { logits } = targets;
  const own = targets.rows.greater(0);
  const divisor = asScalar(mean).maximum(minMargin).minimum(LARGEST_DIVISOR);
  const heat = asScalar(times(temperature, minMargin))
    .div(divisor)
    .clip(...HEAT)
    .stopGradient();
  const raised = own.where(Number.NEGATIVE_INFINITY, logits.mul(heat));
  const peak = raised.max(1, { keepdims: true }).stopGradient();
  // A sample that has all labels has no others.
  const powers = raised.sub(peak.equal(Number.NEGATIVE_INFINITY).where(0, peak)).exp();
  const sum = powers.sum(1, { keepdims: true });
  const shares = own.where(1, powers.div(sum.equal(0).where(1, sum)));
  const signed = own.where(logits, logits.neg());
  const hinge = shares.mul(signed.neg().add(times(minMargin, 0.5)).relu()).sum(1);
  return targets.sure(reduced(hingeAgainst(shares.mul(signed).sum(1), hinge, alpha, "convex"), targets, reduction));
}

/** Mean magnitude of the logits of samples that count, 0 where there are none; a constant of differentiation. */
function meanMagnitude({ logits, counted }: BatchTargets): Tensor {
  return reduced(logits.abs().mean(1), { ...everySample(logits), counted }, "mean").stopGradient();
}

function lseValue(
  logits: Tensor,
  target: Tensor,
  { alpha, minMargin, temperature, penalty, reduction, ignoreIndex, classWeights }: LseOptions,
  weights: Tensor | undefined,
): Tensor {
  const targets = weighed(singleClassTargets(logits, target, ignoreIndex), weights, classWeights);
  const own = targets.rows.greater(0);
  const scaled = targets.logits.mul(temperature);
  const truth = classLogit(scaled, own);
  const classes = logits.shape[1] ?? 0;
  const sharpness = over(Math.log(classes - 1), times(times(minMargin, penalty), 0.5));
  const others =
    classes === 2
      ? own.where(0, scaled).sum(1)
      : own.where(Number.NEGATIVE_INFINITY, scaled.mul(sharpness)).logsumexp(1).div(sharpness);
  const half = times(minMargin, 0.5);
  const hinge = truth.neg().add(half).relu().add(others.add(half).relu());
  return targets.sure(reduced(hingeAgainst(truth.sub(others), hinge, alpha, "convex"), targets, reduction));
}

type SoftOptions = ReturnType<typeof softOptions>;
type LseOptions = ReturnType<typeof lseHkrOptions>;
