// Certificates: radii within which no perturbation changes the prediction.
import { describe } from "../describe.js";
import { currentDevice, onDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { checkLogits } from "../logits.js";
import { certificateRadius as radii } from "../native.js";
import type { ModelInput } from "../nn/index.js";
import { batchOf, evaluatingThroughout, Module } from "../nn/module.js";
import { refuseOverridden } from "../nn/overridden.js";
import { snapshot } from "../nn/snapshot.js";
import {
  abortSignal,
  asGiven,
  callback,
  checkNumbers,
  choice,
  number,
  optional,
  readOptions,
  type Schema,
} from "../options.js";
import { remarkOnScale } from "../scale.js";
import type { TypedArray } from "../tensor/dtype.js";
import { Tensor, Value } from "../tensor/index.js";
import { showShape } from "../tensor/shape.js";
import { type Bounds, type Forward, forward, type Network, type Pass } from "./forward.js";
import { type Effort, effort, improved } from "./local.js";

/**
 * By which bound of a difference of two logits: "generic", sqrt(2) times that of all logits together; "pairwise", that of what enters a linear last
 * layer times the distance of its two rows, which is seldom more; "disjoint", the sum of those of both logits, each by itself.
 */
export type CertificateKind = "generic" | "disjoint" | "pairwise";

/**
 * A claim about one image: no perturbation of L2 norm below `radius` changes the class `predicted` that the exported network, in
 * evaluation mode, computes in float32 by this engine. A perturbation is the exact difference of two float32 images. The claim
 * belongs to the weights of the export, whose low bits differ between machines (docs/certificates.md).
 */
export interface Certificate {
  /** The class with the largest logit, the first of ties. */
  predicted: number;
  /** The class with the second largest logit. */
  runnerUp: number;
  /** Difference of the two logits. */
  margin: number;
  /**
   * The least of (largest - other logit) / bound of that difference, less what float32 may have rounded away here and in the ball around,
   * rounded down; 0 for a tie. Of {@link kind} "generic" and {@link effort} "fast" the bound is sqrt(2) lipschitz. In units of what enters the first layer: for u8 images those are pixels divided by 255.
   * Infinity (for `JSON.stringify`: null), or very large, where nothing can change the class.
   */
  radius: number;
  /**
   * Proved upper bound of the model's L2 Lipschitz constant on images of this size, from its weights in float64: the figure that holds where `kCoefLip`
   * is kept up to rounding.
   */
  lipschitz: number;
  kind: CertificateKind;
  /** "local" where the radius is larger than constants alone prove, by what the network can do near the image. */
  effort: "fast" | "local";
}

export interface CertifyOptions {
  /**
   * Which bound of a difference of logits is used: "auto", the default, takes for each image the one with the largest radius. "disjoint" and "pairwise"
   * need a last layer that is linear, of at most 1,024 classes.
   */
  head?: "auto" | CertificateKind;
  /**
   * "fast", the default, rests on Lipschitz constants, and takes a forward pass. "local" also looks at which pairs of a sort, ReLUs and windows can turn within
   * the radius, which takes milliseconds to seconds an image; a number is that with so many tries to prove a radius, of which "local" has 6. No radius is
   * smaller than the fast one, and no model is refused that has one.
   */
  effort?: Effort;
  /** Aborting rejects with the signal's reason, soon where the search is local. */
  signal?: AbortSignal | undefined;
  /** Told of the share of images done, from 0 to 1, and waited for; what it throws, or rejects with, ends the search, and rejects. */
  onProgress?: ((share: number) => void) | undefined;
}

type HeadOption = NonNullable<CertifyOptions["head"]>;

/** As the engine numbers them. */
const KINDS: readonly CertificateKind[] = ["generic", "disjoint", "pairwise"];

const OPTIONS = {
  head: choice<HeadOption>(["auto", ...KINDS], "auto"),
  effort,
  signal: abortSignal,
  onProgress: callback,
} satisfies Schema<keyof CertifyOptions>;

export { OPTIONS as CERTIFY_OPTIONS };

/**
 * A certificate for each image, of the network that `vanillaExport` gives at the moment of the call: its weights determine the
 * bound, its float32 forward pass the margin, less the rounding of that pass (docs/certificates.md).
 * @throws TslipError `NOT_LIPSCHITZ` with the layer that has no bound, mixes the samples of a batch, reads more than its input or
 * computes something else each time, `UNSUPPORTED` with the layer that does not say how it rounds, `NON_FINITE` for images,
 * weights or logits that are not finite, `EMPTY_DATASET` without images, `SHAPE_MISMATCH` where the logits are not
 * `[n, classes]` of two classes or more, `INVALID_ARGUMENT` for other arguments, wrong answers of a layer and weights that change meanwhile.
 */
export async function certify(model: Module, images: ModelInput, options: CertifyOptions = {}): Promise<Certificate[]> {
  const { head, effort: tries, signal } = readOptions("certify", OPTIONS, options);
  const { onProgress } = options;
  signal?.throwIfAborted();
  const { pass, bounds, pixels } = await boundedPass("certify", model, images, tries > 0);
  const fast = certificates(pass, bounds, head);
  if (tries > 0) return await improved(fast, pass, bounds, pixels, { tries, signal, onProgress });
  await onProgress?.(1);
  return fast;
}

/**
 * Images as an exported model passes them, and what bounds its outputs: what claims are made of, by `who`. All that is certified is recorded and
 * handed over, or asked for, before this returns its promise. Throws as {@link certify}, but for what the outputs are.
 */
export async function boundedPass(
  who: string,
  model: Module,
  images: ModelInput,
  local = false,
): Promise<{ readonly pass: Pass; readonly bounds: Bounds; readonly pixels: TypedArray }> {
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${who} takes a Module, then images; the first argument is ${describe(model)}`,
    );
  }
  const x = batchOf(images);
  if (x.shape[0] === 0) throw new TslipError("EMPTY_DATASET", `${who} needs at least one image; the batch is empty`);
  const pixels = pixelsOf(x);
  if (pixels instanceof Float32Array) remarkOnScale(who, pixels, x.shape[0] ?? 1);
  const device = currentDevice();
  // All of it runs in evaluation mode: what a model says of itself and what it computes belong together.
  const known = model.evaluating(() => provedOf(model, x, local));
  if (known !== undefined) {
    const pass = await model.evaluating(() => known.network.run(x, pixels));
    if (pass !== undefined) return { pass, bounds: known.bounds, pixels };
  }
  const found = await onDevice(device, () => evaluatingThroughout(() => passedAnew(model, x, pixels, local)));
  return { ...found, pixels };
}

/** What has been proved of models; asked again as long as they are the same. */
const proved = new WeakMap<Module, Proved>();

interface Proved {
  readonly bounds: Bounds;
  readonly network: Network;
}

/** A pass with proofs of now. All that is certified is recorded and asked for before the first await. */
async function passedAnew(model: Module, x: Tensor, pixels: TypedArray, local: boolean): Promise<Forward> {
  for (const module of model.modules()) {
    refuseOverridden(module, "lipschitzBound");
    refuseOverridden(module, "vanillaExport");
  }
  // What it starts from is computed where it is to run, of all layers in one step, once it is known which they are.
  const deployed = snapshot(
    () => exported(model),
    () => undefined,
  );
  const states = deployed.namedStates().map(([, state]) => state);
  const parts = [...model.modules(), ...deployed.modules()];
  const found = await forward(deployed, x, pixels, states, parts, local);
  const { bounds, network } = found;
  if (network !== undefined) proved.set(model, { bounds, network });
  return found;
}

/** What is known of a model that certificates of images like these can rest on, if nothing has changed since. */
function provedOf(model: Module, x: Tensor, local: boolean): Proved | undefined {
  const known = proved.get(model);
  if (known?.network.serves(x) === false) proved.delete(model);
  else if (!local || known?.bounds.local !== undefined) return known;
  return undefined;
}

function certificates({ logits, shape, squares }: Pass, bounds: Bounds, head: HeadOption): Certificate[] {
  checkLogits("certify", shape, "certifyBinary() certifies two classes told by the sign of one logit");
  const { lipschitz } = bounds;
  const rows = bounds.certificates(new Float64Array(logits), shape[1] ?? 0, squares, head);
  return Array.from({ length: shape[0] ?? 0 }, (_, i) => ({
    predicted: rows[COLUMNS * i] ?? 0,
    runnerUp: rows[COLUMNS * i + 1] ?? -1,
    margin: rows[COLUMNS * i + 2] ?? 0,
    radius: rows[COLUMNS * i + 3] ?? 0,
    lipschitz,
    kind: KINDS[rows[COLUMNS * i + 4] ?? 0] ?? "generic",
    effort: "fast",
  }));
}

const COLUMNS = 5;

/** What a model exports. */
function exported(model: Module): Module {
  const deployed: unknown = model.vanillaExport();
  if (deployed instanceof Module) return deployed;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `vanillaExport() of ${model.constructor.name} must return a Module; it returned ${describe(deployed)}`,
  );
}

/** Options of {@link certificateRadius}. */
export interface CertificateRadiusOptions {
  kind: CertificateKind;
  lipschitz: number;
  /** Weight `[classes, features]` of the last layer, for kind "pairwise". */
  head?: { data: ArrayLike<number>; shape: readonly [number, number] };
}

const RADIUS_OPTIONS = {
  kind: choice<CertificateKind>(["generic", "disjoint", "pairwise"]),
  lipschitz: number("finite and at least 0", (value) => Number.isFinite(value) && value >= 0),
  head: optional(asGiven<NonNullable<CertificateRadiusOptions["head"]>>()),
} satisfies Schema<keyof CertificateRadiusOptions>;

/**
 * Radii of logits `[n, classes]`, a tensor or values with their shape, by formula, in float64 rounded to nearest: "generic" margin / (sqrt(2) L), "disjoint"
 * margin / (2 L), "pairwise" the least of (f_y - f_i) / (L |w_y - w_i|). Throws `SHAPE_MISMATCH` for fewer than two classes,
 * `NON_FINITE` for logits that are not finite.
 */
export function certificateRadius(
  logits: Tensor | { data: ArrayLike<number>; shape: readonly [number, number] },
  options: CertificateRadiusOptions,
): { predicted: Int32Array; runnerUp: Int32Array; margin: Float64Array; radius: Float64Array } {
  const { kind, lipschitz, head } = readOptions("certificateRadius", RADIUS_OPTIONS, options);
  const data = valuesOf(logits);
  if (!Array.isArray(logits?.shape) || data === undefined) {
    throw new TslipError("INVALID_ARGUMENT", `logits are { data, shape: [n, classes] }; given ${describe(logits)}`);
  }
  checkLogits("certificateRadius", logits.shape);
  const [samples = 0, classes = 0] = logits.shape;
  if (data.length !== samples * classes) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `logits of shape ${showShape(logits.shape)} have ${samples * classes} values; given ${data.length}`,
      { shapes: [logits.shape] },
    );
  }
  if (head !== undefined && kind !== "pairwise") {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `head is for kind "pairwise"; given one with kind "${kind}", whose radius does not ask for it: leave it out, or say the other kind`,
    );
  }
  checkNumbers("logits", data);
  if (head !== undefined) checkHead(head, classes);
  const weight = head === undefined ? undefined : Float64Array.from(head.data);
  return radii({ kind, lipschitz }, Float64Array.from(data), classes, weight, head?.shape[1]);
}

/** The numbers that were given, those of a tensor too; undefined where there are none. */
function valuesOf(given: Tensor | { readonly data: ArrayLike<number> } | undefined): ArrayLike<number> | undefined {
  if (given instanceof Tensor) return given.dataSync();
  return typeof given?.data === "object" && typeof given.data.length === "number" ? given.data : undefined;
}

function checkHead(head: NonNullable<CertificateRadiusOptions["head"]>, classes: number): void {
  const { data, shape } = head ?? {};
  const [rows, columns] = Array.isArray(shape) ? shape : [];
  if (shape?.length === 2 && rows === classes && data?.length === classes * (columns as number)) {
    checkNumbers("the data of head", data);
    return;
  }
  throw new TslipError(
    "SHAPE_MISMATCH",
    `head is the weight { data, shape: [${classes}, features] } of the last layer, a row a class; given ${describe(head)}` +
      (Array.isArray(shape) ? ` of shape ${describe(shape)}` : ""),
  );
}

/** The values that images have now, also those of a state or what is made of states. Throws `NON_FINITE` for NaN and infinities. */
function pixelsOf(x: Tensor): TypedArray {
  const values = x instanceof Value ? x.held() : x.dataSync();
  let at = 0;
  // A callback for each pixel would take as long as the network.
  while (at < values.length && Number.isFinite(values[at])) at++;
  if (at === values.length) return values;
  const size = values.length / (x.shape[0] ?? 1);
  throw new TslipError(
    "NON_FINITE",
    `pixel ${at % size} of image ${Math.floor(at / size)} is ${values[at]}; give finite images`,
  );
}
