// standardSuite: attacks from the cheapest on, until the bracket of each image is closed, and what speaks against believing them.
import type { Attack } from "../attacks/attack.js";
import { L2APGDAttack } from "../attacks/auto-pgd.js";
import { L2BrendelBethgeAttack } from "../attacks/brendel-bethge.js";
import { L2CarliniWagnerAttack } from "../attacks/carlini-wagner.js";
import { criterion } from "../attacks/criterion.js";
import { DDNAttack } from "../attacks/ddn.js";
import { L2FABAttack } from "../attacks/fast-adaptive-boundary.js";
import { L2FMNAttack } from "../attacks/fast-minimum-norm.js";
import { type AttackResult, type Bounds, classList, pixelBounds } from "../attacks/space.js";
import { L2SquareAttack } from "../attacks/square.js";
import { SuperDeepFoolAttack } from "../attacks/super-deepfool.js";
import { type Certificate, type CertifyOptions, certify } from "../certify/index.js";
import { effort } from "../certify/local.js";
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { classesOf } from "../logits.js";
import { forwarded } from "../nn/flow.js";
import { type ModelInput, Module } from "../nn/index.js";
import { batchOf, scaledImages } from "../nn/module.js";
import { abortSignal, callback, number, readOptions, type Schema } from "../options.js";
import { remarkOnBounds } from "../scale.js";
import { compile, grad, state, type Tensor, tensor, Value } from "../tensor/index.js";
import { type Bracket, bracketsOf, inL2 } from "./bracket.js";

/** Attacks of {@link standardSuite} in its order, the cheapest first: a further one is one more line. */
const STANDARD: readonly (() => Attack)[] = [
  () => new SuperDeepFoolAttack(),
  () => new DDNAttack(),
  () => new L2FMNAttack({ steps: 200 }),
  () => new L2FABAttack(),
  () => new L2APGDAttack({ loss: "dlr", targetClasses: 3, steps: 20, seed: 0 }),
  () => new L2BrendelBethgeAttack({ seed: 0 }),
  () => new L2CarliniWagnerAttack({ binarySearchSteps: 6, steps: 1000 }),
  () => new L2SquareAttack({ steps: 300, seed: 0 }),
];

/** The attacks that {@link standardSuite} takes by default, in the L2 norm, the cheapest first. */
export function standardAttacks(): Attack[] {
  return STANDARD.map((make) => make());
}

/** Options of {@link standardSuite}. */
export interface StandardSuiteOptions {
  /** Attacks in the L2 norm, the cheapest first; by default {@link standardAttacks}. */
  attacks?: readonly Attack[];
  /**
   * An image is left alone once its certified radius is at least this share of the distance of the nearest adversarial found: above 0, at most 1, by
   * default 0.99.
   */
  ratio?: number;
  /** How certificates are proved, as `certify` has it; by default "fast". */
  effort?: CertifyOptions["effort"];
  /** Of pixels, as the model sees them; by default [0, 1]. */
  bounds?: Bounds;
  /** Aborting rejects with the signal's reason within one step. */
  signal?: AbortSignal | undefined;
  /** Told of the work done, from 0 to 1; what it throws, or rejects with, ends it, and rejects. */
  onProgress?: ((share: number) => void) | undefined;
}

/**
 * What speaks against believing distances, after AutoAttack (Croce and Hein 2020): "random-outputs", "softmaxed-outputs" and "zero-gradients" may hide
 * adversarials from gradients, "black-box-wins" says that they did. "uncertified": no certificates say how far distances may be off.
 */
export type SuiteWarningKind =
  | "random-outputs"
  | "softmaxed-outputs"
  | "zero-gradients"
  | "black-box-wins"
  | "uncertified";

/** A reason not to believe distances, and the images that gave it. */
export interface SuiteWarning {
  readonly kind: SuiteWarningKind;
  /** A sentence for people. */
  readonly message: string;
  /** The images that it is about: all of them, or those that showed it. */
  readonly images: readonly number[];
}

/** What {@link standardSuite} finds. */
export interface StandardSuiteResult {
  /** Of each image; `attack` is a place in `attacks`. */
  readonly brackets: readonly Bracket[];
  readonly attacks: readonly Attack[];
  /** The nearest adversarials, f32 of the shape of the images: the image itself where it is told wrong, or none was found. */
  readonly adversarials: Value;
  readonly warnings: readonly SuiteWarning[];
}

const OPTIONS = {
  attacks: { read: (name: string, given: unknown) => inL2(1).read(name, given ?? standardAttacks()) },
  ratio: number("above 0 and at most 1", (value) => value > 0 && value <= 1, 0.99),
  effort,
  bounds: pixelBounds,
  signal: abortSignal,
  onProgress: callback,
} satisfies Schema<keyof StandardSuiteOptions>;

/** By how much results may miss 0, 1 and a sum of 1 and still look like those of a softmax. */
const SOFTMAX_TOLERANCE = 1e-5;
/** A black-box attack wins where it is nearer than this share of what attacks that use gradients found. */
const WON = 0.95;

/**
 * Certifies images `[n, ...]` of the given labels, and attacks those that the model tells right by each of the attacks in turn, as long as
 * certificate and nearest adversarial are apart: what audit does, for the attacks that are needed alone. The attacks by default are
 * SuperDeepFool, DDN, FMN, FAB-T, APGD-T, Brendel-Bethge, Carlini and Wagner's, and the square attack, which needs no gradients. What is found for an image does not depend on the others. A
 * model without a Lipschitz bound is attacked all the same, with radii of 0.
 * @throws TslipError a `ViolationError` where an attack beats a certificate, and what `certify` and attacks throw of images and labels
 */
export async function standardSuite(
  model: Module,
  images: ModelInput,
  labels: ArrayLike<number>,
  options: StandardSuiteOptions = {},
): Promise<StandardSuiteResult> {
  if (!((model as unknown) instanceof Module)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `standardSuite takes a Module, images and labels; given ${describe(model)}`,
    );
  }
  const { attacks, ratio, bounds, signal } = readOptions("standardSuite", OPTIONS, options);
  const { onProgress, effort: chosen = "fast" } = options;
  signal?.throwIfAborted();
  // The perturbations that an attack measures are those of what the model sees.
  const given = batchOf(images);
  remarkOnBounds(given.dtype, bounds);
  const x = scaledImages(given);
  // A copy: what is given may change meanwhile.
  const classes = classList("labels", labels, x.shape[0] ?? 0);
  const network = model.vanillaExport().eval();
  return await onCurrentDevice(async () => {
    const { certificates, refused } = await certified(network, x, { effort: chosen, signal });
    const found = new Found(Float32Array.from(await x.data()), attacks);
    const onResult = found.add.bind(found);
    const brackets = await bracketsOf(network, x, classes, {
      ...{ certificates, attacks, ratio, bounds, signal, onProgress, onResult },
    });
    const warnings = [...refused, ...(await warningsOfOutputs(network, x, classes)), ...found.warnings(brackets)];
    signal?.throwIfAborted();
    return { brackets, attacks, adversarials: new Value(found.adversarials, x.shape, "f32"), warnings };
  });
}

/** What attacks have found so far. */
class Found {
  /** The nearest of each image, or itself. */
  readonly adversarials: Float32Array;
  readonly #attacks: readonly Attack[];
  /** Of each image the shortest distance by attacks that use gradients, and by those that do not. */
  readonly #distances = { gradients: new Map<number, number>(), blackBox: new Map<number, number>() };

  constructor(images: Float32Array, attacks: readonly Attack[]) {
    this.adversarials = images;
    this.#attacks = attacks;
  }

  add(attack: number, images: readonly number[], { clipped, distances }: AttackResult): void {
    const { gradients, blackBox } = this.#distances;
    const [own, other] = this.#attacks[attack]?.blackBox ? [blackBox, gradients] : [gradients, blackBox];
    const values = (clipped as Value).held();
    const size = values.length / images.length;
    for (const [k, i] of images.entries()) {
      const distance = distances[k] ?? Number.POSITIVE_INFINITY;
      const before = own.get(i) ?? Number.POSITIVE_INFINITY;
      if (distance < before && distance < (other.get(i) ?? Number.POSITIVE_INFINITY)) {
        this.adversarials.set(values.subarray(k * size, (k + 1) * size), i * size);
      }
      own.set(i, Math.min(before, distance));
    }
  }

  warnings(brackets: readonly Bracket[]): SuiteWarning[] {
    const { gradients, blackBox } = this.#distances;
    const won = [...blackBox].flatMap(([i, distance]) => {
      const other = gradients.get(i);
      return other !== undefined && distance < WON * other && brackets[i]?.distance !== 0 ? [i] : [];
    });
    if (won.length === 0) return [];
    const message =
      `of ${won.length} of ${brackets.length} images an attack without gradients found adversarials that are nearer by more than ` +
      `${Math.round(100 * (1 - WON))} % than those that attacks with gradients found, whose gradients seem to mislead: take attacks ` +
      "of this kind with more steps, and no empirical accuracy for the truth";
    return [{ kind: "black-box-wins", message, images: won.toSorted((a, b) => a - b) }];
  }
}

/** Certificates, or where there are none, radii of 0 and why. */
async function certified(
  network: Module,
  x: Tensor,
  options: CertifyOptions,
): Promise<{ certificates: readonly Certificate[]; refused: readonly SuiteWarning[] }> {
  try {
    return { certificates: await certify(network, x, options), refused: [] };
  } catch (error) {
    if (!(error instanceof TslipError) || !["NOT_LIPSCHITZ", "UNSUPPORTED"].includes(error.code)) throw error;
    const classes = await classesOf(await network.predict(x)).data();
    const nothing = {
      runnerUp: -1,
      margin: 0,
      radius: 0,
      lipschitz: Number.POSITIVE_INFINITY,
      kind: "generic",
      effort: "fast",
    } as const;
    const certificates = Array.from(classes, (predicted) => ({ predicted, ...nothing }));
    const message = `images have no certificates, so that only attacks speak: ${error.message}`;
    return { certificates, refused: [{ kind: "uncertified", message, images: all(certificates) }] };
  }
}

/** What results and gradients of a network at images tell. */
async function warningsOfOutputs(network: Module, x: Tensor, labels: ArrayLike<number>): Promise<SuiteWarning[]> {
  const warnings: SuiteWarning[] = [];
  const [once, again] = [await network.predict(x), await network.predict(x)];
  const [first, second] = [once.held(), again.held()];
  if (first.some((value, k) => !Object.is(value, second[k]))) {
    const message =
      "the model gives other results for the same images: distances are of one draw of its random numbers; attack the expectation of " +
      "what it computes";
    warnings.push({ kind: "random-outputs", message, images: all(labels) });
  }
  const classes = once.shape[1] ?? 1;
  const rows = Array.from({ length: first.length / classes }, (_, i) => first.subarray(i * classes, (i + 1) * classes));
  if (rows.every(isDistribution)) {
    const message =
      "the results look like probabilities, whose gradients vanish where the model is certain: attack and certify the model without its " +
      "softmax";
    warnings.push({ kind: "softmaxed-outputs", message, images: all(labels) });
  }
  const flat = await withoutGradient(network, x, labels);
  if (flat.length > 0) {
    const message =
      `at ${flat.length} of ${labels.length} images the lead of the label has a gradient of 0, which attacks with gradients cannot follow: ` +
      "take one without as well";
    warnings.push({ kind: "zero-gradients", message, images: flat });
  }
  return warnings;
}

/** Images at which the lead of the label over the other classes has a gradient of 0. */
async function withoutGradient(network: Module, x: Tensor, labels: ArrayLike<number>): Promise<number[]> {
  const classes = state(tensor(Int32Array.from(labels)), { batched: true, name: "classes" });
  const { lead } = criterion(classes, false);
  const program = compile((images: Tensor) => {
    const [gradient] = grad(lead(forwarded(network, images)).sum(), [images]);
    return gradient.equal(0).reshape([labels.length, -1]).all(1);
  });
  const flat = await (await program(x)).data();
  return all(flat).filter((i) => flat[i]);
}

/** Whether a row of results has no number below 0 and adds up to 1. */
function isDistribution(row: ArrayLike<number>): boolean {
  const values = Array.from(row);
  const sum = values.reduce((a, b) => a + b, 0);
  return Math.abs(sum - 1) <= SOFTMAX_TOLERANCE && values.every((value) => value >= -SOFTMAX_TOLERANCE);
}

const all = ({ length }: ArrayLike<unknown>): number[] => Array.from({ length }, (_, i) => i);
