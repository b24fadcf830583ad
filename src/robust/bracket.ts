// What is known of how far each image is from another class: a certificate from below, the nearest adversarial that attacks find from above.
import { Attack } from "../attacks/attack.js";
import { L2 } from "../attacks/norm.js";
import { type AttackResult, type Bounds, classList, pixelBounds } from "../attacks/space.js";
import { type Certificate, type CertifyOptions, certify } from "../certify/index.js";
import { effort } from "../certify/local.js";
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { type ModelInput, Module } from "../nn/index.js";
import { batchOf, scaledImages } from "../nn/module.js";
import { abortSignal, callback, type Option, readOptions, type Schema } from "../options.js";
import { remarkOnBounds } from "../scale.js";
import { type JsonNumber, type Tensor, tensor, Value } from "../tensor/index.js";
import { jsonOf } from "../tensor/show.js";

/** A {@link Bracket} as JSON, which has no number for Infinity: that is the string. */
export interface BracketJson {
  readonly predicted: number;
  readonly label: number;
  readonly radius: JsonNumber;
  readonly distance: JsonNumber;
  readonly attack: number;
}

/** What is known of one image. */
export class Bracket {
  constructor(
    /** The class that the exported network gives it. */
    readonly predicted: number,
    /** Its label. */
    readonly label: number,
    /** No perturbation of smaller L2 norm changes the class: that of its certificate. */
    readonly radius: number,
    /**
     * L2 norm of the smallest perturbation found that makes the class another than the label: 0 where it is already, Infinity where none was found or
     * looked for.
     */
    readonly distance: number,
    /** The place of the attack that found it in the list of attacks; -1 where none did. */
    readonly attack: number,
  ) {}

  /** For `JSON.stringify`; infinite radii and distances are the string "Infinity". */
  toJSON(): BracketJson {
    const { predicted, label, attack } = this;
    const [radius, distance] = jsonOf([this.radius, this.distance]) as [JsonNumber, JsonNumber];
    return { predicted, label, radius, distance, attack };
  }
}

/** Options of {@link audit}. */
export interface AuditOptions {
  /** Attacks in the L2 norm, of which the best counts for each image. */
  attacks: readonly Attack[];
  /** How certificates are proved, as `certify` has it; by default "fast". */
  effort?: CertifyOptions["effort"];
  /** Of pixels, as the model sees them; by default [0, 1]. */
  bounds?: Bounds;
  /** Aborting rejects with the signal's reason within one step. */
  signal?: AbortSignal | undefined;
  /** Told of the work done, from 0 to 1; what it throws, or rejects with, ends it, and rejects. */
  onProgress?: ((share: number) => void) | undefined;
}

/** Attacks that measure by the norm that certificates speak of, at least so many; the list is copied. */
export const inL2 = (least: number, byDefault?: readonly Attack[]): Option<readonly Attack[]> => ({
  read(name, given = byDefault) {
    const list: readonly unknown[] = Array.isArray(given) ? given : [];
    const other = list.find((one) => one instanceof Attack && one.norm !== L2) as Attack | undefined;
    const all = Array.isArray(given) && list.every((one) => one instanceof Attack);
    if (all && other === undefined && list.length >= least) return [...list] as Attack[];
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be a list of attacks in the L2 norm, which certificates speak of, at least ${least}; given ` +
        (other === undefined ? describe(given) : `${other.constructor.name}, which is one in ${other.norm.name}`),
    );
  },
});

const OPTIONS = {
  attacks: inL2(1),
  effort,
  bounds: pixelBounds,
  signal: abortSignal,
  onProgress: callback,
} satisfies Schema<keyof AuditOptions>;

/** What was found that no certificate allows, with all that it takes to find it again. */
export class ViolationError extends TslipError {
  constructor(
    /** The place of the image among those given. */
    readonly index: number,
    /** What was known of it. */
    readonly certificate: Certificate,
    readonly bracket: Bracket,
    /** The attack that beat it, with its options. */
    readonly attack: Attack,
    /** The image, and the one of another class that is nearer than the radius; f32 `[1, ...]`. */
    readonly image: Tensor,
    readonly adversarial: Tensor,
  ) {
    super(
      "VIOLATION",
      `${attack.constructor.name} changes the class of image ${index} at a distance of ${bracket.distance}, below its certified radius of ` +
        `${certificate.radius}: a certificate is wrong; please report this with the model and the image`,
    );
  }
}

/**
 * Certifies images `[n, ...]` of the given labels, and attacks those that the model tells right by each of the attacks, all of the
 * network that it exports at the call. Throws {@link ViolationError} where an attack finds a perturbation below a certified radius,
 * and otherwise what `certify` and the attacks do.
 */
export async function audit(
  model: Module,
  images: ModelInput,
  labels: ArrayLike<number>,
  options: AuditOptions,
): Promise<Bracket[]> {
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError("INVALID_ARGUMENT", `audit takes a Module, images and labels; given ${describe(model)}`);
  }
  const { attacks, bounds, signal } = readOptions("audit", OPTIONS, options);
  const { onProgress, effort: chosen = "fast" } = options;
  // The perturbations that an attack measures are those of what the model sees.
  const given = batchOf(images);
  remarkOnBounds(given.dtype, bounds);
  const x = scaledImages(given);
  // A copy: what is given may change meanwhile.
  const classes = classList("labels", labels, x.shape[0] ?? 0);
  const network = model.vanillaExport().eval();
  return await onCurrentDevice(async () => {
    const certificates = await certify(network, x, { effort: chosen, signal });
    signal?.throwIfAborted();
    return await bracketsOf(network, x, classes, { certificates, attacks, bounds, signal, onProgress });
  });
}

/** What {@link bracketsOf} goes by. */
export interface BracketOptions extends Omit<AuditOptions, "bounds" | "effort"> {
  readonly bounds: Bounds;
  /** Of the images, by the network that is attacked. */
  readonly certificates: readonly Certificate[];
  /** Which images these are; by default counted from 0. */
  readonly places?: readonly number[];
  /** After the first attack an image is left alone once its radius is at least this share of the distance; by default none is. */
  readonly ratio?: number;
  /** Told what an attack found of the images that it was given, before the next one begins. */
  readonly onResult?: (attack: number, images: readonly number[], result: AttackResult) => void;
}

/** The work of {@link audit}, of a network that is exported already; without attacks certificates alone. */
export async function bracketsOf(
  network: Module,
  images: Tensor,
  labels: ArrayLike<number>,
  { certificates, attacks, bounds, signal, onProgress, places, ratio, onResult }: BracketOptions,
): Promise<Bracket[]> {
  const brackets = certificates.map(({ predicted, radius }, i) => {
    const label = labels[i] ?? Number.NaN;
    return new Bracket(predicted, label, radius, predicted === label ? Number.POSITIVE_INFINITY : 0, -1);
  });
  // An image that is told wrong is no attack's; the first one sees whether all of them can be attacked.
  const isOpen = ({ radius, distance }: Bracket): boolean =>
    distance > 0 && !(ratio !== undefined && radius >= ratio * distance);
  for (const [at, attack] of attacks.entries()) {
    const open = brackets.flatMap((bracket, i) => (at === 0 || isOpen(bracket) ? [i] : []));
    const told = (share: number): void => onProgress?.((at + share) / attacks.length);
    if (open.length === 0) {
      await told(1);
      continue;
    }
    const given = { bounds, signal, onProgress: told };
    const x = await partOf(images, open);
    const classes = open.length === images.shape[0] ? labels : open.map((i) => labels[i] ?? Number.NaN);
    const result: AttackResult = await attack.run(network, x, classes, given);
    for (const [k, i] of open.entries()) {
      const [bracket, distance] = [brackets[i] as Bracket, result.distances[k] ?? Number.POSITIVE_INFINITY];
      if (!(distance < bracket.distance)) continue;
      const { predicted, label, radius } = bracket;
      const found = new Bracket(predicted, label, radius, distance, at);
      brackets[i] = found;
      if (distance >= radius) continue;
      const of = (all: Tensor): Tensor => all.slice([k], [k + 1]);
      const certificate = certificates[i] as Certificate;
      throw new ViolationError(places?.[i] ?? i, certificate, found, attack, of(x), of(result.clipped as Tensor));
    }
    onResult?.(at, open, result);
  }
  return brackets;
}

/** Some images of a batch. */
async function partOf(images: Tensor, open: readonly number[]): Promise<Tensor> {
  if (open.length === images.shape[0]) return images;
  const chosen = images.gather(tensor(Int32Array.from(open)));
  return new Value(await chosen.data(), chosen.shape, chosen.dtype);
}
