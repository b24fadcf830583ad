// Weights of samples and of classes for any loss.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type Option, readOptions } from "../options.js";
import { demanding } from "../tensor/demand.js";
import { type State, Tensor } from "../tensor/index.js";
import { isStateful } from "../tensor/stateful.js";
import { type Loss, WeighableLoss } from "./loss.js";
import { type ClassWeights, classWeights, type Reduction } from "./options.js";
import { reduced } from "./reduce.js";
import { checkedWeights, everySample, probabilityTargets, signTargets, weighed } from "./targets.js";

/** A loss that another is made of. */
export const loss: Option<Loss> = {
  read(name, given) {
    if (typeof given === "object" && given !== null && "forward" in given && typeof given.forward === "function") {
      return given as Loss;
    }
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must have forward(outputs, targets), as a CrossEntropyLoss has; given ${describe(given)}`,
    );
  },
};

/** Options of {@link WeightedLoss}. */
export interface WeightedLossOptions {
  /** Of each class how much its samples count; of one logit a sample those of the negative and of the positive side. */
  classWeights?: ClassWeights | undefined;
  /** Of each sample of the batch how much it counts, f32 `[n]`, at least 0: such as a state that is assigned before each step. */
  sampleWeights?: Tensor | undefined;
}

const sampleWeights: Option<Tensor | undefined> = {
  read(name, given) {
    if (given === undefined || given instanceof Tensor) return given;
    throw new TslipError("INVALID_ARGUMENT", `${name} must be a tensor f32 [n]; given ${describe(given)}`);
  },
};

/** A loss made of another one, whose samples are counted, and whose states are, by that one. */
export abstract class LossAround extends WeighableLoss {
  abstract readonly loss: Loss;

  /** How the loss reduces its values, if it says so. */
  get reduction(): Reduction | undefined {
    return (this.loss as { reduction?: Reduction }).reduction;
  }

  /** The class index of samples that do not count to the loss, if it has one. */
  get ignoreIndex(): number | undefined {
    return (this.loss as { ignoreIndex?: number }).ignoreIndex;
  }

  override namedStates(prefix = ""): [string, State][] {
    const inner = isStateful(this.loss) ? this.loss.namedStates(`${prefix}loss.`) : [];
    return [...super.namedStates(prefix), ...inner];
  }
}

/**
 * A loss whose samples count as much as they weigh: by the weights of their classes times their own. A weighted mean is
 * sum(w l) / sum(w); KR values weigh samples inside their means. Losses of the library do so by themselves; of another loss, which
 * has to give one value a sample, it is the weighted mean. Without weights it is the loss as it is.
 */
export class WeightedLoss extends LossAround {
  readonly loss: Loss;
  readonly classWeights: Tensor | undefined;
  readonly sampleWeights: Tensor | undefined;

  constructor(given: Loss, options: WeightedLossOptions = {}) {
    super();
    this.loss = loss.read("the loss of WeightedLoss", given);
    const checked = readOptions("WeightedLoss", { classWeights, sampleWeights }, options);
    this.classWeights = checked.classWeights;
    this.sampleWeights = checked.sampleWeights;
  }

  /** @param weights of the samples, f32 `[n]`, times those it has */
  forward(output: Tensor, target: Tensor, weights?: Tensor): Tensor {
    return forwardOf(this.loss, output, target, this.weightsOf(output, target, weights));
  }

  override totalWeight(output: Tensor, target: Tensor, weights?: Tensor): Tensor | undefined {
    return totalOf(this.loss, output, target, this.weightsOf(output, target, weights));
  }

  /** What each sample weighs, times `weights`, f32 `[n]`; nothing where all count alike. */
  weightsOf(output: Tensor, target: Tensor, weights: Tensor | undefined): Tensor | undefined {
    const own = [this.sampleWeights, weights]
      .filter((given) => given !== undefined)
      .map((given) => checkedWeights("sampleWeights", given, output.shape[0] ?? 0));
    const factors = [...own, this.#ofClasses(output, target)].filter((factor) => factor !== undefined);
    return factors.length === 0 ? undefined : factors.reduce((a, b) => a.mul(b));
  }

  /** Weights of samples by their classes. */
  #ofClasses(output: Tensor, target: Tensor): Tensor | undefined {
    const weights = this.classWeights;
    if (weights === undefined) return undefined;
    const [samples = 0] = output.shape;
    if (output.size !== samples) {
      const targets = ofClasses(target, () => probabilityTargets(output, target, this.ignoreIndex));
      return weighed(targets, undefined, weights).weights;
    }
    const { rows } = ofClasses(target, () => signTargets(output, target, this.ignoreIndex));
    return weighed(everySample(rows.neg().add(1).concat(rows, 1)), undefined, weights).weights;
  }
}

/** Targets as classes. The loss may take numbers as they are, so that it is said who does not. */
function ofClasses<T>(target: Tensor, read: () => T): T {
  if (target.dtype !== "f32") return read();
  return demanding("classWeights are for targets that name classes (weigh numbers by sampleWeights)", read);
}

/**
 * The value of a loss of weighted samples. Throws `SHAPE_MISMATCH` for a loss that neither takes weights nor gives one value a
 * sample.
 */
export function forwardOf(given: Loss, output: Tensor, target: Tensor, weights?: Tensor): Tensor {
  if (weights === undefined) return given.forward(output, target);
  if (weighs(given)) return given.forward(output, target, weights);
  const [samples = 0] = output.shape;
  const targets = weighed(everySample(output.reshape([samples, -1])), weights);
  const values = given.forward(targets.logits.reshape(output.shape), target);
  if (values.rank === 1 && values.shape[0] === samples) return reduced(values, targets, "mean");
  throw new TslipError(
    "SHAPE_MISMATCH",
    `weights need a loss that gives one value a sample, [${samples}], or is a WeighableLoss whose forward takes (output, target, ` +
      `weights); ${given.constructor.name} gives [${values.shape.join(", ")}]`,
  );
}

/** What the mean of {@link forwardOf} is divided by, 0-d f32; nothing where all samples count alike, as far as the loss says. */
export function totalOf(given: Loss, output: Tensor, target: Tensor, weights?: Tensor): Tensor | undefined {
  return weighs(given) ? given.totalWeight(output, target, weights) : weights?.sum();
}

/** A class of the library whose forward was replaced by one without weights is another loss. */
function weighs(given: Loss): given is WeighableLoss {
  return given instanceof WeighableLoss && given.forward.length > 2;
}
