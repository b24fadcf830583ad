// Certifier: a model with the options that it is certified by, for whoever certifies again and again.
import { CERTIFY_OPTIONS, type Certificate, type CertifyOptions, certify } from "../certify/index.js";
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { type ModelInput, Module } from "../nn/index.js";
import { readOptions } from "../options.js";
import { type ABSTAIN, type GuardOptions, guarding } from "./guard.js";

/**
 * Certifies images of one model by the same options. As with {@link certify}, what was proved of the model is kept until its weights change, and
 * calls that come while one is under way share batches.
 */
export class Certifier {
  readonly model: Module;
  readonly options: CertifyOptions;

  /** Throws `INVALID_ARGUMENT` for options that `certify` does not have. */
  constructor(model: Module, options: CertifyOptions = {}) {
    if (!((model as unknown) instanceof Module)) {
      throw new TslipError("INVALID_ARGUMENT", `Certifier takes a Module and options; given ${describe(model)}`);
    }
    this.model = model;
    readOptions("Certifier", CERTIFY_OPTIONS, options);
    this.options = Object.freeze({ ...options });
  }

  /** A certificate for each of the images `[n, ...]`, by the weights of now. Throws what {@link certify} does. */
  certify(images: ModelInput): Promise<Certificate[]> {
    return certify(this.model, images, this.options);
  }

  /** {@link guard} of the model, by these options. */
  guard(options: GuardOptions): (images: ModelInput) => Promise<(number | typeof ABSTAIN)[]> {
    return guarding((images, chosen) => certify(this.model, images, { ...this.options, ...chosen }), options);
  }
}
