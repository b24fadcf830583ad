// What losses can be told: filled in and checked in one place for their functions and their classes.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import {
  choice,
  flag,
  ignoreIndex,
  notNegative,
  number,
  type Option,
  type Options,
  optional,
  readOptions,
  type Schema,
} from "../options.js";
import { demand } from "../tensor/demand.js";
import { Tensor, tensor } from "../tensor/index.js";
import { showShape } from "../tensor/shape.js";

/** How the values of samples become a loss. torchlip's "auto" is given for "mean". */
export type Reduction = "mean" | "sum" | "none";

/** An option that gives a {@link Reduction}. */
export type GivenReduction = Reduction | "auto";

/**
 * A number, or a 0-d f32 tensor of it. A state is read in every step: whoever assigns it - a schedule of the loss's parameters, a
 * callback - changes the loss without a new recording. Whether a tensor's value is one that the option takes is not looked at. A
 * loss lists options that are states among its own.
 */
export type Adjustable = number | Tensor;

/** Weights of classes: of each how much its samples count, at least 0, in the order of the logits; f32 `[classes]` if a tensor. */
export type ClassWeights = readonly number[] | Tensor;

/** Which of the two published hinges: 2022's with margin m, 1.0.5's with half margins m / 2. */
export type HingeForm = "additive" | "convex";

/** Options of losses of class indices. */
export interface ClassOptions {
  /** Samples with this class index (of one logit, this label) do not count, whether or not there is such a logit and whatever their logits are. By default all count. */
  ignoreIndex?: number | undefined;
}

/** Options of losses that weigh samples by their class. */
export interface WeightedClassOptions extends ClassOptions {
  /** A sample counts as often as its class weighs, of rows the sum of entries times weights; by default once. */
  classWeights?: ClassWeights | undefined;
}

/** How a loss is reduced. */
export interface ReductionOptions {
  /** By default "mean". */
  reduction?: GivenReduction | undefined;
}

/** Options of the binary KR value. */
export interface KrOptions extends ReductionOptions, ClassOptions {
  /**
   * Targets are those of `functional.processLabelsForMultiGpu`, which hold how often each class is in the whole of a batch of which
   * this one is a part; the value is the mean of logits times targets. By default false.
   */
  multiGpu?: boolean | undefined;
}

/** Options of the multiclass KR value. */
export interface KrMulticlassOptions extends KrOptions, WeightedClassOptions {}

/** Options of a hinge. */
export interface HingeOptions extends ReductionOptions, ClassOptions {
  /** Logits should differ from 0 by this much (by half of it in the convex form). Not negative; by default 1. */
  minMargin?: Adjustable | undefined;
  /** By default "convex". */
  form?: HingeForm | undefined;
}

/** Options of the multiclass hinge. */
export interface HingeMulticlassOptions extends HingeOptions, WeightedClassOptions {}

/** Options of an HKR loss. */
export interface HkrOptions extends KrOptions {
  /** Weight of the hinge, Infinity (of a tensor too) for the hinge alone. Up to 1, or as a tensor, it needs a form. */
  alpha: Adjustable;
  /** Margin of the hinge, by default 1. */
  minMargin?: Adjustable | undefined;
  /**
   * "additive", the default: alpha hinge - KR. "convex": alpha hinge - (1 - alpha) KR with half margins, as torchlip 1.0.5,
   * where an alpha above 1 is taken as alpha / (1 + alpha).
   */
  form?: HingeForm | undefined;
}

/** Options of the multiclass HKR loss. */
export interface HkrMulticlassOptions extends HkrOptions, WeightedClassOptions {}

/** Options of cross-entropy. */
export interface CrossEntropyOptions extends ClassOptions, ReductionOptions {
  /** Share of each target that goes to all classes alike, from 0 to 1; by default 0. */
  labelSmoothing?: number | undefined;
  /**
   * PyTorch's `weight`: the term of each class is multiplied by its weight, and the mean over class indices is divided by the sum of
   * the weights of their classes, that over rows by the number of samples.
   */
  classWeights?: ClassWeights | undefined;
}

/** The options of a loss that has a reduction alone. Throws `INVALID_ARGUMENT`, as all of these. */
export function reductionOptions(owner: string, options: ReductionOptions) {
  return read(owner, { reduction }, options);
}

/** The options of the binary KR value. */
export function krOptions(owner: string, options: KrOptions) {
  return read(owner, { reduction, multiGpu, ignoreIndex }, options);
}

/** The options of a metric of class indices or labels. */
export function classOptions(owner: string, options: ClassOptions) {
  return read(owner, { ignoreIndex }, options);
}

/** The options of a hinge. */
export function hingeOptions(options: HingeOptions = {}) {
  return withForm(read("the hinge", hinge, options), "convex");
}

/** The options of the multiclass hinge. */
export function hingeMulticlassOptions(options: HingeMulticlassOptions = {}) {
  return withForm(read("the multiclass hinge", { ...hinge, ...ofClasses }, options), "convex");
}

/** The options of the multiclass KR value. */
export function krMulticlassOptions(options: KrMulticlassOptions = {}) {
  return read("the multiclass KR value", { reduction, multiGpu, ...ofClasses }, options);
}

/** The options of the multiclass HKR loss. */
export function hkrMulticlassOptions(options: HkrMulticlassOptions) {
  return ofOneForm(read("the multiclass HKR loss", { ...hkr, ...ofClasses }, options));
}

/** The options of an HKR loss; an alpha that could mean either form is refused. */
export function hkrOptions(options: HkrOptions) {
  return ofOneForm(read("the HKR loss", hkr, options));
}

/** The options of cross-entropy. */
export function crossEntropyOptions(options: CrossEntropyOptions = {}) {
  return read("cross-entropy", crossEntropySchema, options);
}

const GIVEN_REDUCTION = choice<Reduction>(["mean", "sum", "none"], "mean");

/** How a loss is reduced. */
export const reduction: Option<Reduction> = {
  read: (name, given) => (given === "auto" ? "mean" : GIVEN_REDUCTION.read(name, given)),
};

/** A number that an option takes, or a 0-d tensor. */
export function adjustable(option: Option<number>): Option<Adjustable> {
  return {
    read(name, given) {
      if (!(given instanceof Tensor)) return option.read(name, given);
      if (given.rank === 0 && given.dtype === "f32") return given;
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} must be a number, or a 0-d f32 tensor such as state(scalar(1)); given ${given.dtype} ${showShape(given.shape)}`,
      );
    },
  };
}

/** Weights of classes, as a tensor. All of them 0 are refused: nothing would be learnt. */
export const classWeights: Option<Tensor | undefined> = {
  read(name, given) {
    const weights = classFactors.read(name, given);
    if (weights === undefined) return weights;
    demand(weights, (values) => {
      if (values.some((value: number) => value > 0)) return;
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} must be above 0 for at least one class; none of the ${values.length} is, so that no sample counts`,
      );
    });
    return weights;
  },
};

/** A factor for each class, finite and at least 0, as a tensor. */
export const classFactors: Option<Tensor | undefined> = {
  read(name, given) {
    if (given === undefined) return undefined;
    const weights = Array.isArray(given) && given.every((w) => typeof w === "number") ? tensor(given) : given;
    if (!(weights instanceof Tensor) || weights.rank !== 1 || weights.dtype !== "f32") {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} must be an array of numbers, one a class; given ${describe(given)}`,
      );
    }
    demandWeights(name, weights);
    return weights;
  },
};

/** Has weights checked, if their values can be looked at: none is negative, infinite or NaN. */
export function demandWeights(name: string, weights: Tensor): void {
  demand(weights, (values) => {
    const at = values.findIndex((value: number) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
    if (at < 0) return;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be finite and at least 0; given ${values[at]} (element ${at})`,
    );
  });
}

const minMargin = adjustable(notNegative(1));
const form = optional(choice<HingeForm>(["additive", "convex"]));
const multiGpu = flag(false);
const labelSmoothing = number("from 0 to 1", (value) => value >= 0 && value <= 1, 0);

/** The weight of a hinge against a KR value. */
export const hingeWeight = (byDefault?: number): Option<Adjustable> =>
  adjustable(number("a number of at least 0, or Infinity", (value) => value >= 0, byDefault));

/** What losses of classes take. */
export const ofClasses = { ignoreIndex, classWeights };

/** What cross-entropy takes. */
export const crossEntropySchema = { labelSmoothing, reduction, ...ofClasses };

const hinge = { minMargin, form, reduction, ignoreIndex };
const hkr = { alpha: hingeWeight(), ...hinge, multiGpu };

/** What a function or a class was told. A loss that hands itself on may have other fields than options. */
export function read<S extends Schema>(owner: string, schema: S, options: unknown): Options<S> {
  const names = Object.keys(schema);
  const isLoss = typeof options === "object" && options !== null && "forward" in options;
  if (!isLoss || !names.some((name) => name in options)) return readOptions(owner, schema, options);
  return readOptions(owner, schema, Object.fromEntries(names.map((name) => [name, Reflect.get(options, name)])));
}

function withForm<O extends { readonly form: HingeForm | undefined }>(options: O, byDefault: HingeForm) {
  return { ...options, form: options.form ?? byDefault };
}

/** Refuses an alpha that could mean either form. */
function ofOneForm<O extends { readonly alpha: Adjustable; readonly form: HingeForm | undefined }>(options: O) {
  const { alpha, form } = options;
  if (form !== undefined || (typeof alpha === "number" && alpha > 1)) return withForm(options, "additive");
  throw new TslipError(
    "INVALID_ARGUMENT",
    `alpha ${typeof alpha === "number" ? alpha : "as a tensor"} can mean two losses; say form: "additive" for alpha hinge - KR (the ` +
      "notebook's), or form: \"convex\" for alpha hinge - (1 - alpha) KR with half margins (torchlip 1.0.5's)",
  );
}
