// Losses as objects that know their options; their functions are in functional.ts.
import type { Tensor } from "../tensor/index.js";
import {
  crossEntropy,
  hingeMargin,
  hingeMulticlass,
  hkr,
  hkrMulticlass,
  kr,
  krMulticlass,
  meanSquaredError,
  negKr,
} from "./functional.js";
import {
  type CrossEntropyOptions,
  crossEntropyOptions,
  type HingeForm,
  type HingeMulticlassOptions,
  type HingeOptions,
  type HkrMulticlassOptions,
  type HkrOptions,
  hingeMulticlassOptions,
  hingeOptions,
  hkrMulticlassOptions,
  hkrOptions,
  type KrMulticlassOptions,
  krMulticlassOptions,
  type Reduction,
  reductionOptions,
} from "./options.js";

export type {
  ClassOptions,
  CrossEntropyOptions,
  HingeForm,
  HingeMulticlassOptions,
  HingeOptions,
  HkrMulticlassOptions,
  HkrOptions,
  KrMulticlassOptions,
  Reduction,
} from "./options.js";

/**
 * A function of outputs and targets that training makes small. One with memory keeps it in states, which it assigns in
 * `forward` and lists by `namedStates`, as `Stateful` says. Changes of other fields are followed as those of a `Module` are, and no
 * others are seen.
 */
export interface Loss {
  /**
   * A scalar (or one value a sample, with reduction "none") of outputs `[n, ...]` and the targets of a data set: class indices
   * i32 `[n]`, or numbers f32 `[n, ...]`.
   */
  forward(output: Tensor, target: Tensor): Tensor;
}

/** Binary Kantorovich-Rubinstein value of one logit a sample; its negation is what training makes small. */
export class KRLoss implements Loss {
  readonly reduction: Reduction;

  constructor(options: { reduction?: Reduction } = {}) {
    this.reduction = reductionOptions("KRLoss", options).reduction;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return kr(logits, target, this);
  }
}

/** Negated binary Kantorovich-Rubinstein value. */
export class NegKRLoss implements Loss {
  readonly reduction: Reduction;

  constructor(options: { reduction?: Reduction } = {}) {
    this.reduction = reductionOptions("NegKRLoss", options).reduction;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return negKr(logits, target, this);
  }
}

/** Binary hinge with a margin, of one logit a sample or of several labels a sample; see {@link HingeOptions}. */
export class HingeMarginLoss implements Loss {
  readonly minMargin: number;
  readonly form: HingeForm;
  readonly reduction: Reduction;

  constructor(options: HingeOptions = {}) {
    const { minMargin, form, reduction } = hingeOptions(options);
    this.minMargin = minMargin;
    this.form = form;
    this.reduction = reduction;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return hingeMargin(logits, target, this);
  }
}

/** Binary hinge-regularized Kantorovich-Rubinstein loss (Serrurier et al. 2021) of one logit a sample, or of several labels. */
export class HKRLoss implements Loss {
  readonly alpha: number;
  readonly minMargin: number;
  readonly form: HingeForm;
  readonly reduction: Reduction;

  constructor(options: HkrOptions) {
    const { alpha, minMargin, form, reduction } = hkrOptions(options);
    this.alpha = alpha;
    this.minMargin = minMargin;
    this.form = form;
    this.reduction = reduction;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return hkr(logits, target, this);
  }
}

/** Hinge-regularized Kantorovich-Rubinstein loss (Serrurier et al. 2021): accuracy and robustness in one number. */
export class HKRMulticlassLoss implements Loss {
  readonly alpha: number;
  readonly minMargin: number;
  readonly form: HingeForm;
  readonly reduction: Reduction;
  readonly ignoreIndex: number | undefined;

  constructor(options: HkrMulticlassOptions) {
    const { alpha, minMargin, form, reduction, ignoreIndex } = hkrMulticlassOptions(options);
    this.alpha = alpha;
    this.minMargin = minMargin;
    this.form = form;
    this.reduction = reduction;
    this.ignoreIndex = ignoreIndex;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return hkrMulticlass(logits, target, this);
  }
}

/** The Kantorovich-Rubinstein value itself, as torchlip's class of this name; its negation is what training makes small. */
export class KRMulticlassLoss implements Loss {
  readonly reduction: Reduction;
  readonly ignoreIndex: number | undefined;

  constructor(options: KrMulticlassOptions = {}) {
    const { reduction, ignoreIndex } = krMulticlassOptions(options);
    this.reduction = reduction;
    this.ignoreIndex = ignoreIndex;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return krMulticlass(logits, target, this);
  }
}

/**
 * Multiclass hinge with a margin; see {@link HingeOptions}. On rows with several positive labels it is a multi-label hinge in
 * which each positive label weighs as much as all other labels.
 */
export class HingeMulticlassLoss implements Loss {
  readonly minMargin: number;
  readonly form: HingeForm;
  readonly reduction: Reduction;
  readonly ignoreIndex: number | undefined;

  constructor(options: HingeMulticlassOptions = {}) {
    const { minMargin, form, reduction, ignoreIndex } = hingeMulticlassOptions(options);
    this.minMargin = minMargin;
    this.form = form;
    this.reduction = reduction;
    this.ignoreIndex = ignoreIndex;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return hingeMulticlass(logits, target, this);
  }
}

/** Cross-entropy of the softmax of the logits. */
export class CrossEntropyLoss implements Loss {
  readonly labelSmoothing: number;
  readonly reduction: Reduction;
  readonly ignoreIndex: number | undefined;

  constructor(options: CrossEntropyOptions = {}) {
    const { labelSmoothing, reduction, ignoreIndex } = crossEntropyOptions(options);
    this.labelSmoothing = labelSmoothing;
    this.reduction = reduction;
    this.ignoreIndex = ignoreIndex;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return crossEntropy(logits, target, this);
  }
}

/** Mean squared error of outputs and targets of one shape, which is any. */
export class MSELoss implements Loss {
  readonly reduction: Reduction;

  constructor(options: { reduction?: Reduction } = {}) {
    this.reduction = reductionOptions("MSELoss", options).reduction;
  }

  forward(output: Tensor, target: Tensor): Tensor {
    return meanSquaredError(output, target, this);
  }
}
