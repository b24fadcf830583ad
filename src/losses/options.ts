// What losses can be told: filled in and checked in one place for their functions and their classes.
import { TslipError } from "../errors.js";
import {
  choice,
  ignoreIndex,
  notNegative,
  number,
  type Options,
  optional,
  readOptions,
  type Schema,
} from "../options.js";

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

/** Options of cross-entropy. */
export interface CrossEntropyOptions extends ClassOptions {
  /** Share of each target that goes to all classes alike, from 0 to 1; by default 0. */
  labelSmoothing?: number;
  /** By default "mean". */
  reduction?: Reduction;
}

/** The options of a loss that has a reduction alone. Throws `INVALID_ARGUMENT`, as all of these. */
export function reductionOptions(owner: string, options: { reduction?: Reduction }) {
  return read(owner, { reduction }, options);
}

/** The options of a metric of class indices. */
export function classOptions(owner: string, options: ClassOptions) {
  return read(owner, { ignoreIndex }, options);
}

/** The options of a hinge. */
export function hingeOptions(options: HingeOptions) {
  return withForm(read("the hinge", hinge, options), "convex");
}

/** The options of the multiclass hinge. */
export function hingeMulticlassOptions(options: HingeMulticlassOptions) {
  return withForm(read("the multiclass hinge", { ...hinge, ignoreIndex }, options), "convex");
}

/** The options of the multiclass KR value. */
export function krMulticlassOptions(options: KrMulticlassOptions) {
  return read("the multiclass KR value", { reduction, ignoreIndex }, options);
}

/** The options of the multiclass HKR loss. */
export function hkrMulticlassOptions(options: HkrMulticlassOptions) {
  return ofOneForm(read("the multiclass HKR loss", { ...hkr, ignoreIndex }, options));
}

/** The options of an HKR loss; an alpha that could mean either form is refused. */
export function hkrOptions(options: HkrOptions) {
  return ofOneForm(read("the HKR loss", hkr, options));
}

/** The options of cross-entropy. */
export function crossEntropyOptions(options: CrossEntropyOptions) {
  return read("cross-entropy", { labelSmoothing, reduction, ignoreIndex }, options);
}

const reduction = choice<Reduction>(["mean", "sum", "none"], "mean");

const minMargin = notNegative(1);
const form = optional(choice<HingeForm>(["additive", "convex"]));
const alpha = number("a number of at least 0, or Infinity", (value) => value >= 0);
const labelSmoothing = number("from 0 to 1", (value) => value >= 0 && value <= 1, 0);

const hinge = { minMargin, form, reduction };
const hkr = { alpha, ...hinge };

/** What a function or a class was told. A loss that hands itself on may have other fields than options. */
function read<S extends Schema>(owner: string, schema: S, options: unknown): Options<S> {
  const names = Object.keys(schema);
  const loss = typeof options === "object" && options !== null && "forward" in options;
  if (!loss || !names.some((name) => name in options)) return readOptions(owner, schema, options);
  return readOptions(owner, schema, Object.fromEntries(names.map((name) => [name, Reflect.get(options, name)])));
}

function withForm<O extends { readonly form: HingeForm | undefined }>(options: O, byDefault: HingeForm) {
  return { ...options, form: options.form ?? byDefault };
}

/** Refuses an alpha that could mean either form. */
function ofOneForm<O extends { readonly alpha: number; readonly form: HingeForm | undefined }>(options: O) {
  if (options.form !== undefined || options.alpha > 1) return withForm(options, "additive");
  throw new TslipError(
    "INVALID_ARGUMENT",
    `alpha ${options.alpha} can mean two losses; say form: "additive" for alpha hinge - KR (the notebook's), or form: "convex" ` +
      "for alpha hinge - (1 - alpha) KR with half margins (torchlip 1.0.5's)",
  );
}
