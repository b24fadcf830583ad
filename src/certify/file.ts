// Files of certificates: written from what `certify` gives, and verified by code of its own, crates/verify.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { modelFile } from "../export/files.js";
import { certificateText, type FileSource, type InputSource, verifyCertificates as verdictOf } from "../native.js";
import type { ModelInput } from "../nn/index.js";
import { batchOf, Module } from "../nn/module.js";
import { ed25519Signer, writeInOneStep } from "../node/index.js";
import { abortSignal, asGiven, callback, type Option, optional, readOptions, type Schema } from "../options.js";
import { bytesOf } from "../tensor/dtype.js";
import type { Certificate } from "./index.js";

/** What certificates are about, and how long work is watched. */
interface Subject {
  /** The path of the file that `saveModel(model.vanillaExport(), path)` wrote, or the model itself, as it is exported at the moment of the call. */
  model: string | Module;
  /** Images `[n, ...]`, or the path of a safetensors file that has them as its only tensor, as `saveSafetensors({ images }, path)` writes it. */
  inputs: string | ModelInput;
  /** Aborting rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told which part of the work is done, from 0 to 1. */
  onProgress?: ((share: number) => void) | undefined;
}

/** Options of {@link saveCertificates}. */
export interface SaveCertificatesOptions extends Subject {
  /** Of the inputs, in their order, as {@link certify} gives them; what is claimed is `predicted`, `radius` and `kind`. */
  certificates: readonly Pick<Certificate, "predicted" | "radius" | "kind">[];
  /** Signs the file: an Ed25519 key, PKCS #8 in PEM. */
  privateKey?: string | undefined;
}

/** Options of {@link verifyCertificates}. */
export interface VerifyCertificatesOptions extends Subject {
  /** The public Ed25519 key of who must have signed the file, 32 bytes in hexadecimal. Left out, a signature has to hold if there is one. */
  publicKey?: string | undefined;
}

/** What has become of a certificate file. */
export type VerificationOutcome =
  /** Every claim is proved. */
  | "VERIFIED"
  /** It is not as it was written: its own hash, its form or its numbers. */
  | "CORRUPT"
  /** Its signature is none of what it holds, or not by whom it should be. */
  | "SIGNATURE"
  /** The model is another. */
  | "MODEL"
  /** Inputs are others. */
  | "INPUT"
  /** A class is wrong, or a radius or a bound is more than is proved. */
  | "CLAIM"
  /** The verifier does not know how to tell. */
  | "UNSUPPORTED";

/** What {@link verifyCertificates} finds. */
export interface Verification {
  readonly outcome: VerificationOutcome;
  /** The outcome in a sentence. */
  readonly message: string;
  /** The certificate that it is about, counted from 0. */
  readonly index?: number;
  /** The layer that it is about, by its place in the model. */
  readonly layer?: string;
  /** The public key by which the file is signed, in hexadecimal. */
  readonly signer?: string;
  /** Of each certificate that was looked at, in their order, the radius that is proved: at least what is claimed. */
  readonly proved: readonly number[];
}

/** A text that is not empty, or what another option reads. */
function pathOr<T>(expected: string, other: (given: unknown) => given is T): Option<string | T> {
  return {
    read(name, given) {
      if ((typeof given === "string" && given !== "") || other(given)) return given;
      throw new TslipError(
        "INVALID_ARGUMENT",
        `${name} must be the path of a file, or ${expected}; given ${describe(given)}`,
      );
    },
  };
}

const isModule = (given: unknown): given is Module => given instanceof Module;
const isGiven = (given: unknown): given is ModelInput => typeof given === "object" && given !== null;

const SUBJECT = {
  model: pathOr("a Module", isModule),
  inputs: pathOr("images [n, ...]", isGiven),
  signal: abortSignal,
  onProgress: callback,
};

const SAVED = {
  ...SUBJECT,
  certificates: asGiven<SaveCertificatesOptions["certificates"]>(),
  privateKey: optional(asGiven<string>()),
} satisfies Schema<keyof SaveCertificatesOptions>;

const PUBLIC_KEY: Option<string | undefined> = optional({
  read(name, given) {
    if (typeof given === "string" && /^[0-9a-f]{64}$/.test(given)) return given;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be an Ed25519 key, 64 hexadecimal digits in lower case; given ${describe(given)}`,
    );
  },
});

const VERIFIED = { ...SUBJECT, publicKey: PUBLIC_KEY } satisfies Schema<keyof VerifyCertificatesOptions>;

/**
 * Writes certificates to a file that others can verify, with nothing but the file of the model and the inputs (docs/certificate-file.md). Each of them is proved
 * anew by the verifier before anything is written, on another thread.
 * @throws TslipError `INVALID_ARGUMENT` for certificates that are not those of these inputs, with the first, `UNSUPPORTED` for layers that the verifier does not
 * know and for certificates of effort "local", which it does not prove, `INVALID_FILE` for a file that is no model, `IO` with the reason.
 */
export async function saveCertificates(path: string, options: SaveCertificatesOptions): Promise<void> {
  checkPath("saveCertificates", path);
  const { model, inputs, certificates, privateKey, signal } = readOptions("saveCertificates", SAVED, options);
  const { onProgress } = options;
  const claims = claimsOf(certificates);
  const signer = privateKey === undefined ? undefined : ed25519Signer(privateKey);
  const [file, images] = await Promise.all([sourceOf(model), inputsOf(inputs)]);
  const { text, sha256 } = await certificateText(file, images, claims, { signal, onProgress });
  const signature = signer === undefined ? {} : { signature: { algorithm: "Ed25519", ...signer(text) } };
  // What stands behind the text is canonical as it is: names in their order.
  const rest = JSON.stringify({ sha256, ...signature }).slice(1);
  await writeInOneStep(path, `{"certificate":${text},${rest}`);
}

/**
 * Verifies a certificate file, given by its path or its bytes: hashes, the signature, the bounds of all layers, and of each input the class and the radius, all proved
 * anew in float64 by code that shares nothing with the engine, on another thread. A radius that is below what is proved is weaker, and accepted.
 * @throws TslipError `INVALID_ARGUMENT` for options, `IO` for files that cannot be read. What is wrong with what they hold is the outcome.
 */
export async function verifyCertificates(
  file: string | Uint8Array,
  options: VerifyCertificatesOptions,
): Promise<Verification> {
  if (!(file instanceof Uint8Array)) checkPath("verifyCertificates", file);
  const { model, inputs, publicKey, signal } = readOptions("verifyCertificates", VERIFIED, options);
  const { onProgress } = options;
  // A copy: what is given may change meanwhile.
  const read = file instanceof Uint8Array ? new Uint8Array(file) : file;
  const [source, images] = await Promise.all([sourceOf(model), inputsOf(inputs)]);
  const found = JSON.parse(await verdictOf(read, source, images, publicKey, { signal, onProgress })) as Verification;
  // JSON has no number for infinite radii.
  return { ...found, proved: found.proved.map(Number) };
}

function checkPath(name: string, path: unknown): void {
  if (typeof path === "string" && path !== "") return;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${name} takes the path of a file, then its options; given ${describe(path)}`,
  );
}

function claimsOf(certificates: SaveCertificatesOptions["certificates"]) {
  const wrong = (what: string, given: unknown): TslipError =>
    new TslipError("INVALID_ARGUMENT", `${what}, as certify gives it; given ${describe(given)}`);
  if (!Array.isArray(certificates)) throw wrong("certificates must be a list", certificates);
  certificates.forEach((one: Partial<Record<string, unknown>> | null, i) => {
    const { predicted, radius, kind, effort } = one ?? {};
    if (effort === "local") {
      throw new TslipError(
        "UNSUPPORTED",
        `certificate ${i} has a radius of effort "local", which verifiers of files do not prove: certify with { effort: "fast" } for those that are saved`,
      );
    }
    if (!Number.isSafeInteger(predicted) || Number(predicted) < 0)
      throw wrong(`predicted of certificate ${i} must be a class`, predicted);
    if (typeof radius !== "number" || !(radius >= 0))
      throw wrong(`radius of certificate ${i} must be a number of at least 0`, radius);
    if (typeof kind !== "string") throw wrong(`kind of certificate ${i} must be a text`, kind);
  });
  return {
    predicted: certificates.map(({ predicted }) => predicted),
    radius: certificates.map(({ radius }) => radius),
    kind: certificates.map(({ kind }) => kind),
  };
}

/** The file of a model, that of a module as it would be exported now. */
async function sourceOf(model: string | Module): Promise<FileSource> {
  return typeof model === "string" ? model : await modelFile(model.vanillaExport());
}

async function inputsOf(inputs: string | ModelInput): Promise<InputSource> {
  if (typeof inputs === "string") return inputs;
  const batch = batchOf(inputs);
  const { dtype, shape } = batch;
  return { dtype, shape, data: bytesOf(await batch.data()) };
}
