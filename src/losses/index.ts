// Losses as objects that know their options; their functions are in functional.ts.
import { TslipError } from "../errors.js";
import type { Tensor } from "../tensor/index.js";
import {
  type CrossEntropyOptions,
  crossEntropy,
  type HingeForm,
  type HingeOptions,
  hingeMulticlass,
  hkrForm,
  hkrMulticlass,
  krMulticlass,
  meanSquaredError,
  type Reduction,
} from "./functional.js";

export type { CrossEntropyOptions, HingeForm, HingeOptions, HkrOptions, Reduction } from "./functional.js";

/** A function of outputs and targets that training makes small. */
export interface Loss {
  /** A scalar (or one value a sample, with reduction "none"). */
  forward(output: Tensor, target: Tensor): Tensor;
}

/** Options of {@link HKRMulticlassLoss}. */
export interface HKRMulticlassLossOptions {
  /** Weight of the hinge. Above 1, or Infinity for the hinge alone; up to 1 only with form "convex". */
  alpha: number;
  /** Margin of the hinge, by default 1. */
  minMargin?: number;
  /** "additive": alpha hinge - KR. "convex": alpha hinge - (1 - alpha) KR with half margins, as torchlip 1.0.5. */
  form?: HingeForm;
}

/** Hinge-regularized Kantorovich-Rubinstein loss (Serrurier et al. 2021): accuracy and robustness in one number. */
export class HKRMulticlassLoss implements Loss {
  readonly alpha: number;
  readonly minMargin: number;
  readonly form: HingeForm;

  constructor(options: HKRMulticlassLossOptions) {
    const { alpha, minMargin = 1, form } = options;
    this.alpha = alpha;
    this.minMargin = margin(minMargin);
    this.form = hingeForm(hkrForm(alpha, form));
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return hkrMulticlass(logits, target, this);
  }
}

/** The Kantorovich-Rubinstein value itself, as torchlip's class of this name; its negation is what training makes small. */
export class KRMulticlassLoss implements Loss {
  readonly reduction: Reduction;

  constructor(options: { reduction?: Reduction } = {}) {
    this.reduction = checkedReduction(options.reduction ?? "mean");
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
    this.minMargin = margin(options.minMargin ?? 1);
    this.form = hingeForm(options.form ?? "convex");
    this.reduction = checkedReduction(options.reduction ?? "mean");
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
    const { labelSmoothing = 0, reduction = "mean" } = options;
    if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
      throw new TslipError("INVALID_ARGUMENT", `labelSmoothing must be from 0 to 1; given ${String(labelSmoothing)}`);
    }
    this.labelSmoothing = labelSmoothing;
    this.reduction = checkedReduction(reduction);
  }

  forward(logits: Tensor, target: Tensor): Tensor {
    return crossEntropy(logits, target, this);
  }
}

/** Mean squared error. */
export class MSELoss implements Loss {
  readonly reduction: Reduction;

  constructor(options: { reduction?: Reduction } = {}) {
    this.reduction = checkedReduction(options.reduction ?? "mean");
  }

  forward(output: Tensor, target: Tensor): Tensor {
    return meanSquaredError(output, target, this.reduction);
  }
}

function margin(value: number): number {
  if (!(Number.isFinite(value) && value >= 0)) {
    throw new TslipError("INVALID_ARGUMENT", `minMargin must be finite and at least 0; given ${String(value)}`);
  }
  return value;
}

function hingeForm(form: HingeForm): HingeForm {
  if (form === "additive" || form === "convex") return form;
  throw new TslipError("INVALID_ARGUMENT", `form must be "additive" or "convex"; given ${String(form)}`);
}

function checkedReduction(reduction: Reduction): Reduction {
  if (reduction === "mean" || reduction === "sum" || reduction === "none") return reduction;
  throw new TslipError("INVALID_ARGUMENT", `reduction must be "mean", "sum" or "none"; given ${String(reduction)}`);
}
