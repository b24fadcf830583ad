// What losses can be told: filled in and checked in one place for their functions and their classes.
import { givenOptions, TslipError } from "../errors.js";

/** How the values of samples become a loss. */
export type Reduction = "mean" | "sum" | "none";

/** Which of the two published hinges: 2022's with margin m, 1.0.5's with half margins m / 2. */
export type HingeForm = "additive" | "convex";

/** Options of losses of class indices. */
export interface ClassOptions {
  /** Samples with this class index do not count, whether or not there is such a logit. By default all count. */
  ignoreIndex?: number;
}

/** Options of the multiclass KR value. */
export interface KrMulticlassOptions extends ClassOptions {
  /** By default "mean". */
  reduction?: Reduction;
}

/** Options of a hinge. */
export interface HingeOptions {
  /** Logits should differ from 0 by this much (by half of it in the convex form). Not negative; by default 1. */
  minMargin?: number;
  /** By default "convex". */
  form?: HingeForm;
  /** By default "mean". */
  reduction?: Reduction;
}

/** Options of the multiclass hinge. */
export interface HingeMulticlassOptions extends HingeOptions, ClassOptions {}

/** Options of an HKR loss. */
export interface HkrOptions {
  /** Weight of the hinge, Infinity for the hinge alone. Up to 1 it needs a form. */
  alpha: number;
  /** Margin of the hinge, by default 1. */
  minMargin?: number;
  /**
   * "additive", the default: alpha hinge - KR. "convex": alpha hinge - (1 - alpha) KR with half margins, as torchlip 1.0.5,
   * where an alpha above 1 is taken as alpha / (1 + alpha).
   */
  form?: HingeForm;
  /** By default "mean". */
  reduction?: Reduction;
}

/** Options of the multiclass HKR loss. */
export interface HkrMulticlassOptions extends HkrOptions, ClassOptions {}

/** Checked options: all are there but a class index that was not given. */
type Checked<O extends ClassOptions> = Required<Omit<O, "ignoreIndex">> & { ignoreIndex: number | undefined };

/** Options of cross-entropy. */
export interface CrossEntropyOptions extends ClassOptions {
  /** Share of each target that goes to all classes alike, from 0 to 1; by default 0. */
  labelSmoothing?: number;
  /** By default "mean". */
  reduction?: Reduction;
}

/** The options of a hinge. Throws `INVALID_ARGUMENT`, as all of these. */
export function hingeOptions(options: HingeOptions): Required<HingeOptions> {
  const { minMargin = 1, form = "convex", reduction } = options;
  return { minMargin: checkedMargin(minMargin), form: checkedForm(form), reduction: checkedReduction(reduction) };
}

/** The options of the multiclass hinge. */
export function hingeMulticlassOptions(options: HingeMulticlassOptions): Checked<HingeMulticlassOptions> {
  return { ...hingeOptions(options), ignoreIndex: checkedIndex(options.ignoreIndex) };
}

/** The options of the multiclass KR value. */
export function krMulticlassOptions({ ignoreIndex, reduction }: KrMulticlassOptions): Checked<KrMulticlassOptions> {
  return { ignoreIndex: checkedIndex(ignoreIndex), reduction: checkedReduction(reduction) };
}

/** The options of the multiclass HKR loss. */
export function hkrMulticlassOptions(options: HkrMulticlassOptions): Checked<HkrMulticlassOptions> {
  return { ...hkrOptions(options), ignoreIndex: checkedIndex(options.ignoreIndex) };
}

/** The options of an HKR loss; an alpha that could mean either form is refused. */
export function hkrOptions(options: HkrOptions): Required<HkrOptions> {
  const { alpha, minMargin = 1, form, reduction } = givenOptions("the HKR loss", options, "{ alpha: 100 }");
  if (typeof alpha !== "number" || Number.isNaN(alpha) || alpha < 0) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `alpha must be a number of at least 0, or Infinity; given ${String(alpha)}`,
    );
  }
  if (form === undefined && alpha <= 1) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `alpha ${alpha} can mean two losses; say form: "additive" for alpha hinge - KR (the notebook's), or form: "convex" ` +
        "for alpha hinge - (1 - alpha) KR with half margins (torchlip 1.0.5's)",
    );
  }
  return {
    alpha,
    minMargin: checkedMargin(minMargin),
    form: checkedForm(form ?? "additive"),
    reduction: checkedReduction(reduction),
  };
}

/** The options of cross-entropy. */
export function crossEntropyOptions(options: CrossEntropyOptions): Checked<CrossEntropyOptions> {
  const { labelSmoothing = 0, reduction, ignoreIndex } = options;
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
    throw new TslipError("INVALID_ARGUMENT", `labelSmoothing must be from 0 to 1; given ${String(labelSmoothing)}`);
  }
  return { labelSmoothing, reduction: checkedReduction(reduction), ignoreIndex: checkedIndex(ignoreIndex) };
}

/** A reduction, by default the mean. */
export function checkedReduction(reduction: Reduction = "mean"): Reduction {
  if (reduction === "mean" || reduction === "sum" || reduction === "none") return reduction;
  throw new TslipError("INVALID_ARGUMENT", `reduction must be "mean", "sum" or "none"; given ${String(reduction)}`);
}

/** A class index that does not count, if there is one. */
export function checkedIndex(ignoreIndex: number | undefined): number | undefined {
  if (ignoreIndex === undefined || Number.isInteger(ignoreIndex)) return ignoreIndex;
  throw new TslipError("INVALID_ARGUMENT", `ignoreIndex must be an integer; given ${String(ignoreIndex)}`);
}

function checkedMargin(value: number): number {
  if (Number.isFinite(value) && value >= 0) return value;
  throw new TslipError("INVALID_ARGUMENT", `minMargin must be finite and at least 0; given ${String(value)}`);
}

function checkedForm(form: HingeForm): HingeForm {
  if (form === "additive" || form === "convex") return form;
  throw new TslipError("INVALID_ARGUMENT", `form must be "additive" or "convex"; given ${String(form)}`);
}
