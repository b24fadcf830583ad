// What an attack wants of the classes of its images.
import { classesOf } from "../logits.js";
import { type State, scalar, type Tensor } from "../tensor/index.js";

/** When an image counts as adversarial. Logits are `[n, classes]`, results `[n]`. */
export interface Criterion {
  /** Classes `[n]`, i32: labels to leave, or targets to reach. */
  readonly classes: State;
  readonly targeted: boolean;
  /** By how much the logit of another class must lead. */
  readonly confidence: number;
  /** Whether each image is what is wanted. */
  met(logits: Tensor): Tensor;
  /** How far each image is from that: the lead of the wrong logit, below 0 where the right one leads. */
  lead(logits: Tensor): Tensor;
  /**
   * What has to rise: the logarithm of the odds that each image is of another class than its label, or of its target. Its gradient has the direction of
   * that of cross-entropy, which vanishes where the probability of the label is 1 in float32.
   */
  odds(logits: Tensor): Tensor;
}

/** Another class than the labels, or with `targeted` these classes. */
export function criterion(classes: State, targeted: boolean, confidence = 0): Criterion {
  const chosenOf = (logits: Tensor): Tensor => classes.oneHot(logits.shape[1] ?? 0);
  /** The logit of the class, and those of the others. */
  const parted = (logits: Tensor): { own: Tensor; others: Tensor } => {
    const chosen = chosenOf(logits).greater(0);
    // The logit of another class may be -Infinity (a masked one), which a product would make NaN.
    const own = chosen.where(logits, scalar(0)).sum(1);
    return { own, others: chosen.where(scalar(Number.NEGATIVE_INFINITY), logits) };
  };
  return {
    classes,
    targeted,
    confidence,
    met(logits) {
      const raised = logits.add(chosenOf(logits).mul(targeted ? -confidence : confidence));
      const predicted = classesOf(raised);
      // Logits that tell no class fool nobody.
      return targeted ? predicted.equal(classes) : predicted.greaterEqual(0).and(predicted.notEqual(classes));
    },
    lead(logits) {
      const { own, others } = parted(logits);
      const other = others.max(1);
      return targeted ? other.sub(own) : own.sub(other);
    },
    odds(logits) {
      const { own, others } = parted(logits);
      const other = others.logsumexp(1);
      return targeted ? own.sub(other) : other.sub(own);
    },
  };
}
