// Losses as objects that know their options; their functions are in functional.ts.
import type { Tensor } from "../tensor/index.js";
import { crossEntropy, hingeMulticlass, hkrMulticlass, krMulticlass, meanSquaredError } from "./functional.js";
import {
  type CrossEntropyOptions,
  checkedReduction,
  crossEntropyOptions,
  type HingeForm,
  type HingeOptions,
  type HkrOptions,
  hingeOptions,
  hkrOptions,
  type Reduction,
} from "./options.js";

export type { CrossEntropyOptions, HingeForm, HingeOptions, HkrOptions, Reduction } from "./options.js";

/**
 * A function of outputs and targets that training makes small. One with memory keeps it in states, which it assigns in
 * `forward` and lists by `namedStates`, as `Stateful` says.
 */
export interface Loss {
  /** A scalar (or one value a sample, with reduction "none"). */
  forward(output: Tensor, target: Tensor): Tensor;
}

/** Hinge-regularized Kantorovich-Rubinstein loss (Serrurier et al. 2021): accuracy and robustness in one number. */
export class HKRMulticlassLoss implements Loss {
  readonly alpha: number;
  readonly minMargin: number;
  readonly form: HingeForm;

  constructor(options: HkrOptions) {
    const { alpha, minMargin, form } = hkrOptions(options);
    this.alpha = alpha;
    this.minMargin = minMargin;
    this.form = form;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return hkrMulticlass(logits, target, this);
  }
}

/** The Kantorovich-Rubinstein value itself, as torchlip's class of this name; its negation is what training makes small. */
export class KRMulticlassLoss implements Loss {
  readonly reduction: Reduction;

  constructor(options: { reduction?: Reduction } = {}) {
    this.reduction = checkedReduction(options.reduction);
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return krMulticlass(logits, target, this);
  }
}

/** Multiclass hinge with a margin; see {@link HingeOptions}. */
export class HingeMulticlassLoss implements Loss {
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
    return hingeMulticlass(logits, target, this);
  }
}

/** Cross-entropy of the softmax of the logits. */
export class CrossEntropyLoss implements Loss {
  readonly labelSmoothing: number;
  readonly reduction: Reduction;

  constructor(options: CrossEntropyOptions = {}) {
    const { labelSmoothing, reduction } = crossEntropyOptions(options);
    this.labelSmoothing = labelSmoothing;
    this.reduction = reduction;
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return crossEntropy(logits, target, this);
  }
}

/** Mean squared error. */
export class MSELoss implements Loss {
  readonly reduction: Reduction;

  constructor(options: { reduction?: Reduction } = {}) {
    this.reduction = checkedReduction(options.reduction);
  }

  forward(output: Tensor, target: Tensor): Tensor {
    return meanSquaredError(output, target, this.reduction);
  }
}
