// guard: a class where it is certain within a radius, else none.
import { type Certificate, certify } from "../certify/index.js";
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type ModelInput, Module } from "../nn/index.js";
import { choice, notNegative, readOptions, type Schema } from "../options.js";

/** What a {@link guard} gives where no class is certain. */
export const ABSTAIN = "ABSTAIN";

/** Options of {@link guard}. */
export interface GuardOptions {
  /** The L2 norm below which no perturbation may change the class. */
  radius: number;
  /** "input", the default: in units of what enters the first layer. "grey": in grey levels of pixels from 0 to 255, 255 of those. */
  unit?: "input" | "grey";
}

const OPTIONS = {
  radius: notNegative(),
  unit: choice(["input", "grey"], "input"),
} satisfies Schema<keyof GuardOptions>;

const GREY_LEVELS = 255;

/**
 * A function of images `[n, ...]` that gives for each the class of the model, or {@link ABSTAIN} where its certified radius is below the one
 * that is asked for. It certifies with the weights of each call, and throws what `certify` does; `Certifier` has it by options of `certify`.
 */
export function guard(
  model: Module,
  options: GuardOptions,
): (images: ModelInput) => Promise<(number | typeof ABSTAIN)[]> {
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError("INVALID_ARGUMENT", `guard takes a Module and options; given ${describe(model)}`);
  }
  return guarding((images) => certify(model, images), options);
}

/** The guard of a way of certifying. */
export function guarding(
  certificates: (images: ModelInput) => Promise<readonly Certificate[]>,
  options: GuardOptions,
): (images: ModelInput) => Promise<(number | typeof ABSTAIN)[]> {
  const { radius, unit } = readOptions("guard", OPTIONS, options);
  const least = unit === "grey" ? radius / GREY_LEVELS : radius;
  return async (images) => (await certificates(images)).map((one) => (one.radius >= least ? one.predicted : ABSTAIN));
}
