// Losses of certified training: they ask for margins that a Lipschitz constant makes into radii.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { choice, number, type Option, positive } from "../options.js";
import { Tensor } from "../tensor/index.js";
import { crossEntropyOf } from "./cross-entropy.js";
import { type Loss, lossOf } from "./loss.js";
import { asScalar, times } from "./operand.js";
import {
  type Adjustable,
  adjustable,
  type CrossEntropyOptions,
  crossEntropySchema,
  ofClasses,
  type ReductionOptions,
  read,
  reduction,
  type WeightedClassOptions,
} from "./options.js";
import { reduced } from "./reduce.js";
import { type BatchTargets, probabilityTargets, singleClassTargets, weighed } from "./targets.js";
import { totalOfCrossEntropy } from "./total.js";
import { forwardOf, LossAround, loss, totalOf, WeightedLoss } from "./weighted.js";

/** How differences of two logits depend on the input, as in `certificateRadius`. */
export interface MarginOptions {
  /**
   * "generic", the default: the logits together have the Lipschitz constant, and differences sqrt(2) times as much; "disjoint": each
   * logit has it, and differences twice as much; "pairwise": what the last layer is given has it, and a difference of logits as much
   * times the distance of their rows of `head`.
   */
  kind?: "generic" | "disjoint" | "pairwise" | undefined;
  /** The Lipschitz constant (of all but the last layer for "pairwise"); above 0, by default 1. */
  lipschitz?: Adjustable | undefined;
  /**
   * Effective weight f32 `[classes, features]` of the last layer, for "pairwise": a parameter, or what is computed of parameters,
   * through which gradients run too.
   */
  head?: Tensor | undefined;
}

/** Options of EMMA. */
export interface EmmaOptions extends MarginOptions, CrossEntropyOptions {
  /** Radius that is trained for, in units of the input, above 0. As a state it is ramped up while a training runs. */
  epsilon: Adjustable;
}

/** Options of logit annealing. */
export interface LogitAnnealingOptions extends WeightedClassOptions, ReductionOptions {
  /** Divisor of the logits, above 0; by default 0.75. */
  temperature?: Adjustable | undefined;
  /** By how much the logit of the class is lowered; by default 2. */
  offset?: Adjustable | undefined;
  /** Exponent of annealing, at least 0; by default 5. */
  beta?: Adjustable | undefined;
}

/** Options of cross-entropy with an offset. */
export interface OffsetCrossEntropyOptions extends CrossEntropyOptions {
  /** By how much the logit of the class is lowered; by default sqrt(2), for 1-Lipschitz logits the margin of radius 1. */
  offset?: Adjustable | undefined;
  /** Divisor of the logits, above 0; by default 1/4. */
  temperature?: Adjustable | undefined;
}

/** Options of the regularization by certificates as a function. */
export interface CertificateRegularizationOptions extends MarginOptions, WeightedClassOptions, ReductionOptions {
  /** Weight of the radii, at least 0. */
  gamma: Adjustable;
}

/** Options of a loss that is regularized by certificates; reduction and ignored samples are those of the loss. */
export interface CertificateRegularizationLossOptions extends MarginOptions {
  /** The loss to which the regularization is added; one of a class a sample. */
  loss: Loss;
  /** Weight of the radii, at least 0. */
  gamma: Adjustable;
}

const finite = (byDefault: number) => adjustable(number("finite", Number.isFinite, byDefault));
const atLeastZero = (byDefault?: number) =>
  adjustable(number("finite and at least 0", (value) => Number.isFinite(value) && value >= 0, byDefault));
const above = (byDefault?: number) => adjustable(positive(byDefault));
const head: Option<Tensor | undefined> = {
  read(name, given) {
    if (given === undefined || (given instanceof Tensor && given.rank === 2)) return given;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be the effective weight of the last layer, a tensor [classes, features]; given ${describe(given)}`,
    );
  },
};
const margin = { kind: choice(["generic", "disjoint", "pairwise"], "generic"), lipschitz: above(1), head };
const regularization = { gamma: atLeastZero(), ...margin };

const emmaOptions = (options: EmmaOptions) =>
  withHead(read("EMMA", { epsilon: above(), ...margin, ...crossEntropySchema }, options));
const annealingOptions = (options: LogitAnnealingOptions = {}) =>
  read(
    "logit annealing",
    { temperature: above(0.75), offset: finite(2), beta: atLeastZero(5), reduction, ...ofClasses },
    options,
  );
const offsetOptions = (options: OffsetCrossEntropyOptions = {}) =>
  read(
    "cross-entropy with an offset",
    { offset: finite(Math.SQRT2), temperature: above(0.25), ...crossEntropySchema },
    options,
  );
const regularizationOptions = (options: CertificateRegularizationOptions) =>
  withHead(read("the regularization by certificates", { ...regularization, reduction, ...ofClasses }, options));
const regularizedOptions = (options: CertificateRegularizationLossOptions) =>
  withHead(read("CertificateRegularization", { loss, ...regularization }, options));

/**
 * EMMA, efficient margin maximization (Hu et al. 2023, "Unlocking Deterministic Robustness Certification on ImageNet"): cross-entropy
 * of logits to which the attacker's gain is added. With K_yi the Lipschitz constant of y_i - y_y, they are
 * y_i + min(epsilon, radius_i) K_yi, where radius_i = (y_y - y_i) / K_yi is the distance that is certified against class i, kept from
 * epsilon / 100 to epsilon: classes that are as far away as epsilon are pushed by no more than that, and those that are not by what
 * they can reach. How far that is counts as a constant of differentiation; K_yi does not.
 * @param logits f32 `[n, classes]`
 * @param target class indices `[n]`, or rows of 0/1 or -1/+1 of the logits' shape, with one positive entry each
 * @param weights of the samples, f32 `[n]`, as in all losses here
 */
export function emma(logits: Tensor, target: Tensor, options: EmmaOptions, weights?: Tensor): Tensor {
  const { epsilon, kind, lipschitz, head, ...rest } = emmaOptions(options);
  const targets = singleClassTargets(logits, target, rest.ignoreIndex);
  const own = targets.rows.greater(0);
  const reach = slopes(targets, { kind, lipschitz, head }).mul(epsilon);
  const raised = (kept: Tensor): Tensor => {
    const below = kept.sub(own.where(kept, 0).sum(1, { keepdims: true }));
    const share = below.neg().div(reach.maximum(SMALLEST_REACH)).clip(SMALLEST_SHARE, 1).stopGradient();
    return own.where(below, below.add(share.mul(reach)));
  };
  return targets.sure(crossEntropyOf(raised, logits, target, rest, weights));
}

/** In a product of slope and radius, and of a radius by epsilon, as in the authors' code. */
const SMALLEST_REACH = 1e-8;
const SMALLEST_SHARE = 0.01;

/**
 * Logit annealing (Lai et al. 2025, "Enhancing Certified Robustness via Block Reflector Orthogonal Layers and Logit Annealing Loss"):
 * -T (1 - p)^beta log p, where p is the class's entry of softmax((y - offset u) / T) and u the one-hot row of the class: samples with a
 * large margin count little. The defaults are the authors'.
 * Logits, targets and weights as of {@link emma}.
 */
export function logitAnnealing(
  logits: Tensor,
  target: Tensor,
  options: LogitAnnealingOptions = {},
  weights?: Tensor,
): Tensor {
  const { temperature, offset, beta, reduction, ignoreIndex, classWeights } = annealingOptions(options);
  const targets = weighed(singleClassTargets(logits, target, ignoreIndex), weights, classWeights);
  const own = targets.rows.greater(0);
  const logs = lowered(targets.logits, targets, offset).div(temperature).logSoftmax(1);
  const surprise = own.where(logs, 0).sum(1).neg();
  // 1 - p as the others' sum, which has digits where p is near 1; a power of 0 has no derivative.
  const others = own.where(0, logs.exp()).sum(1);
  const positive = others.greater(0);
  const annealing = positive.where(positive.where(others, 1).pow(beta), 0);
  return targets.sure(reduced(annealing.mul(surprise).mul(temperature), targets, reduction));
}

/**
 * Cross-entropy with an offset (Prach & Lampert 2022, "Almost-Orthogonal Layers for Efficient General-Purpose Lipschitz Networks"):
 * T crossEntropy((y - offset u) / T), where u is the row of the targets. For 1-Lipschitz logits an offset of sqrt(2) r asks for
 * margins of radius r.
 * @param target class indices `[n]`, or rows of the logits' shape: probabilities, 0/1 or -1/+1
 */
export function offsetCrossEntropy(
  logits: Tensor,
  target: Tensor,
  options: OffsetCrossEntropyOptions = {},
  weights?: Tensor,
): Tensor {
  const { offset, temperature, ...rest } = offsetOptions(options);
  const targets = probabilityTargets(logits, target, rest.ignoreIndex);
  const moved = (kept: Tensor): Tensor => lowered(kept, targets, offset).div(temperature);
  return crossEntropyOf(moved, logits, target, rest, weights).mul(temperature);
}

/**
 * Regularization by certificates (Singla, Singla & Feizi 2022, "Improved deterministic l2 robustness on CIFAR-10 and CIFAR-100"):
 * -gamma relu(radius), where radius is the least of (y_y - y_i) / K_yi over the other classes, K_yi being the Lipschitz constant of
 * that difference: what makes certified radii larger, those of samples that are told right alone.
 * Logits, targets and weights as of {@link emma}.
 */
export function certificateRegularization(
  logits: Tensor,
  target: Tensor,
  options: CertificateRegularizationOptions,
  weights?: Tensor,
): Tensor {
  const { gamma, kind, lipschitz, head, reduction, ignoreIndex, classWeights } = regularizationOptions(options);
  const targets = weighed(singleClassTargets(logits, target, ignoreIndex), weights, classWeights);
  const own = targets.rows.greater(0);
  const truth = own.where(targets.logits, 0).sum(1, { keepdims: true });
  const slope = slopes(targets, { kind, lipschitz, head });
  // Classes that no input tells apart have no radius between them.
  const same = own.or(slope.equal(0));
  const radii = same.where(Number.POSITIVE_INFINITY, truth.sub(targets.logits).div(same.where(1, slope)));
  const radius = radii.min(1);
  const certified = radius.equal(Number.POSITIVE_INFINITY).where(0, radius).relu();
  return targets.sure(reduced(certified, targets, reduction).mul(times(gamma, -1)));
}

/** {@link emma} */
export class EMMALoss extends lossOf(emmaOptions, emma, totalOfCrossEntropy) {}

/** {@link logitAnnealing} */
export class LogitAnnealingLoss extends lossOf(annealingOptions, logitAnnealing) {}

/** {@link offsetCrossEntropy} */
export class OffsetCrossEntropyLoss extends lossOf(offsetOptions, offsetCrossEntropy, totalOfCrossEntropy) {}

/** A loss of classes with {@link certificateRegularization} added to it. */
export class CertificateRegularization extends LossAround {
  readonly loss: Loss;
  readonly gamma: Adjustable;
  readonly kind: "generic" | "disjoint" | "pairwise";
  readonly lipschitz: Adjustable;
  readonly head: Tensor | undefined;

  constructor(options: CertificateRegularizationLossOptions) {
    super();
    const { loss, gamma, kind, lipschitz, head } = regularizedOptions(options);
    this.loss = loss;
    this.gamma = gamma;
    this.kind = kind;
    this.lipschitz = lipschitz;
    this.head = head;
  }

  forward(logits: Tensor, target: Tensor, weights?: Tensor): Tensor {
    const { gamma, kind, lipschitz, head } = this;
    // The radii of samples that weigh as much as in the loss.
    let [inner, own] = [this.loss, weights];
    while (inner instanceof WeightedLoss) [own, inner] = [inner.weightsOf(logits, target, own), inner.loss];
    const { reduction, ignoreIndex, classWeights } = inner as Loss & Partial<CertificateRegularizationOptions>;
    const options = { gamma, kind, lipschitz, head, reduction, ignoreIndex, classWeights };
    const radii = certificateRegularization(logits, target, options, own);
    return forwardOf(this.loss, logits, target, weights).add(radii);
  }

  override totalWeight(logits: Tensor, target: Tensor, weights?: Tensor): Tensor | undefined {
    return totalOf(this.loss, logits, target, weights);
  }
}

/** Options of margins, checked. */
type Margin = { kind: string; lipschitz: Adjustable; head: Tensor | undefined };

/** A head goes with "pairwise". */
function withHead<O extends Margin>(options: O): O {
  if ((options.kind === "pairwise") === (options.head !== undefined)) return options;
  throw new TslipError(
    "INVALID_ARGUMENT",
    options.head === undefined
      ? 'kind "pairwise" needs head, the effective weight [classes, features] of the last layer'
      : `head is for kind "pairwise"; given kind "${options.kind}"`,
  );
}

/** Lipschitz constants of the differences of the class's logit and each other, `[]` or `[n, classes]` with 0 for the class itself. */
function slopes({ rows, logits }: BatchTargets, { kind, lipschitz, head }: Margin): Tensor {
  if (head === undefined) return asScalar(times(lipschitz, kind === "generic" ? Math.SQRT2 : 2));
  const [classes] = head.shape;
  if (classes !== logits.shape[1]) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `head is the weight [classes, features] of the last layer; given [${head.shape.join(", ")}] for logits ` +
        `[${logits.shape.join(", ")}]`,
      { shapes: [head.shape, logits.shape] },
    );
  }
  return rows.matmul(distances(head)).mul(lipschitz);
}

/** What rounding leaves of the squared distance of equal rows, as a share of their squares. */
const EQUAL = 1e-6;

/** Euclidean distances of the rows of a matrix from one another, `[rows, rows]`; 0, with gradient 0, between equal ones. */
function distances(matrix: Tensor): Tensor {
  const squares = matrix.square().sum(1);
  const both = squares.unsqueeze(1).add(squares.unsqueeze(0));
  const squared = both.sub(matrix.matmul(matrix, { transposeB: true }).mul(2));
  const apart = squared.greater(both.mul(EQUAL));
  return apart.where(apart.where(squared, 1).sqrt(), 0);
}

function lowered(logits: Tensor, { rows }: BatchTargets, offset: Adjustable): Tensor {
  return logits.sub(rows.mul(offset));
}
