// guard: a class where it is certain within a radius, else none.
import { type Certificate, type CertifyOptions, certify } from "../certify/index.js";
import { effort } from "../certify/local.js";
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type ModelInput, Module } from "../nn/index.js";
import { choice, notNegative, optional, readOptions, type Schema } from "../options.js";

/** What a {@link guard} gives where no class is certain. */
export const ABSTAIN = "ABSTAIN";

/** Options of {@link guard}. */
export interface GuardOptions {
  /** The L2 norm below which no perturbation may change the class. */
  radius: number;
  /** "input", the default: in units of what enters the first layer. "grey": in grey levels of pixels from 0 to 255, 255 of those. */
  unit?: "input" | "grey";
  /** How certificates are proved, as `certify` has it; left out, a `Certifier` goes by its own. */
  effort?: CertifyOptions["effort"];
}

const OPTIONS = {
  radius: notNegative(),
  unit: choice(["input", "grey"], "input"),
  effort: optional(effort),
} satisfies Schema<keyof GuardOptions>;

const GREY_LEVELS = 255;

/**
 * A function of images `[n, ...]` that gives for each the class of the model, or {@link ABSTAIN} where its certified radius is below the one
 * that is asked for. It certifies with the weights of each call, and throws what `certify` does; `Certifier` has it by all options of `certify`.
 */
export function guard(
  model: Module,
  options: GuardOptions,
): (images: ModelInput) => Promise<(number | typeof ABSTAIN)[]> {
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError("INVALID_ARGUMENT", `guard takes a Module and options; given ${describe(model)}`);
  }
  return guarding((images, chosen) => certify(model, images, chosen), options);
}

/** The guard of a way of certifying, which is told the effort where one is chosen. */
export function guarding(
  certificates: (images: ModelInput, chosen: Pick<CertifyOptions, "effort">) => Promise<readonly Certificate[]>,
  options: GuardOptions,
): (images: ModelInput) => Promise<(number | typeof ABSTAIN)[]> {
  const { radius, unit } = readOptions("guard", OPTIONS, options);
  const least = unit === "grey" ? radius / GREY_LEVELS : radius;
  const chosen = options.effort === undefined ? {} : { effort: options.effort };
  return async (images) =>
    (await certificates(images, chosen)).map((one) => (one.radius >= least ? one.predicted : ABSTAIN));
}
