// robustAccuracy: how many samples of a data set are told right within radii, as proved and as far as attacks find.
import { Attack } from "../attacks/attack.js";
import { type Bounds, pixelBounds } from "../attacks/space.js";
import { type CertifyOptions, certify } from "../certify/index.js";
import { effort } from "../certify/local.js";
import { Dataset } from "../data/dataset.js";
import { clip, describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { checkLogits } from "../logits.js";
import { forwarded } from "../nn/flow.js";
import { Module } from "../nn/index.js";
import { abortSignal, asGiven, callback, isPlain, readOptions, type Schema, whole } from "../options.js";
import { remarkOnBounds } from "../scale.js";
import { checkLabel, radiiOf } from "./batches.js";
import { Bracket, type BracketJson, bracketsOf, inL2 } from "./bracket.js";

/** Options of {@link robustAccuracy}. */
export interface RobustAccuracyOptions {
  /** Attacks in the L2 norm, which tell how many samples are told wrong within the radii; by default none. */
  attacks?: readonly Attack[];
  /** How certificates are proved, as `certify` has it; by default "fast". */
  effort?: CertifyOptions["effort"];
  /** Of pixels, as the model sees them, for attacks; by default [0, 1]. */
  bounds?: Bounds;
  /** Samples that are looked at together, by default 256. */
  batchSize?: number;
  /** Aborting rejects with the signal's reason within one step. */
  signal?: AbortSignal | undefined;
  /** Told of the work done, from 0 to 1, and of what is known so far; what it throws, or rejects with, ends it, and rejects. */
  onProgress?: ((share: number, progress: RobustProgress) => void) | undefined;
  /** What an earlier call that was ended told its `onProgress`, of the same model, data set and attacks; as JSON too. It goes on behind that. */
  resume?: RobustProgressJson;
}

/** What is known of a data set so far: `JSON.stringify` writes it, and `resume` takes what `JSON.parse` reads. */
export interface RobustProgress {
  /** Each of the attacks, by its class and what it was given, and the bounds within which it looked. */
  readonly attacks: readonly string[];
  /** Of the first samples what is known of each, in the order of the data set. */
  readonly brackets: readonly Bracket[];
}

/** {@link RobustProgress} as JSON. */
export interface RobustProgressJson {
  readonly attacks: readonly string[];
  readonly brackets: readonly BracketJson[];
}

/** Shares of samples. */
export interface RobustShares {
  /** Samples that these are shares of; those of the data set's `ignoreIndex` do not count. */
  readonly samples: number;
  /** Told right. */
  readonly clean: number;
  /** At each radius: told right, with a certified radius of at least so much. */
  readonly certified: readonly number[];
  /** At each radius: told right, where no attack found a perturbation below it; nothing without attacks. */
  readonly empirical: readonly number[] | undefined;
  /** Average of certified radii, 0 for each sample that is told wrong (Zhai et al. 2020). */
  readonly meanRadius: number;
}

/** What {@link robustAccuracy} finds. */
export interface RobustAccuracy extends RobustShares, RobustProgress {
  readonly radii: readonly number[];
  /** The same of the samples of each class, by its name. */
  readonly classes: readonly (RobustShares & { readonly name: string })[];
}

const OPTIONS = {
  attacks: inL2(0, []),
  effort,
  bounds: pixelBounds,
  batchSize: whole(1, 256),
  signal: abortSignal,
  onProgress: callback,
  resume: asGiven<unknown>(),
} satisfies Schema<keyof RobustAccuracyOptions>;

/**
 * Clean, certified and empirical accuracy of a model on a data set of classes at L2 radii, in units of what enters the first layer (u8 pixels
 * divided by 255), with mean radii, per class and with the bracket of each sample. All of it is of the network that the model exports
 * at the call; a sample of the label that does not count has the class -1, radius and distance 0.
 * @throws TslipError a `ViolationError` where an attack beats a certificate, `LABEL_OUT_OF_RANGE` for a class that the model has no logit for,
 * `INVALID_ARGUMENT` for what other attacks, or none, have found to `resume` from, and what `certify` and attacks throw
 */
export async function robustAccuracy(
  model: Module,
  dataset: Dataset,
  radii: readonly number[],
  options: RobustAccuracyOptions = {},
): Promise<RobustAccuracy> {
  if (!((model as unknown) instanceof Module) || !((dataset as unknown) instanceof Dataset)) {
    throw invalid(
      `robustAccuracy takes a Module, a Dataset and radii; given ${describe(model)} and ${describe(dataset)}`,
    );
  }
  const asked = radiiOf(radii);
  if (dataset.labelsRaw.length === 0) {
    throw invalid("robustAccuracy needs classes as targets; the data set has numbers");
  }
  const { bounds, batchSize, signal, resume, attacks } = readOptions("robustAccuracy", OPTIONS, options);
  const { onProgress, effort: chosen = "fast" } = options;
  remarkOnBounds(dataset.imageDtype, bounds);
  const network = model.vanillaExport().eval();
  const width = classesOf(network, dataset);
  const names = Object.freeze(attacks.map((attack) => `${textOf(attack)} within [${bounds.join(", ")}]`));
  const brackets = resume === undefined ? [] : resumed(resume, names, dataset, width);
  let progress: RobustProgress = { attacks: names, brackets: [...brackets] };
  await onCurrentDevice(async () => {
    while (brackets.length < dataset.length) {
      signal?.throwIfAborted();
      const [start, stop] = [brackets.length, Math.min(brackets.length + batchSize, dataset.length)];
      const places = Array.from({ length: stop - start }, (_, i) => start + i);
      // Labels that do not count are no classes that an attack could be told of.
      const counted = places.filter((i) => dataset.labelsRaw[i] !== dataset.ignoreIndex);
      const told = (share: number): void => onProgress?.((start + share * (stop - start)) / dataset.length, progress);
      const found: Bracket[] = [];
      if (counted.length > 0) {
        const { images, labels } = dataset.select(counted);
        const certificates = await certify(network, images, { effort: chosen, signal });
        signal?.throwIfAborted();
        const work = { certificates, attacks, bounds, signal, onProgress: told, places: counted };
        found.push(...(await bracketsOf(network, images, labels, work)));
      }
      const known = new Map(counted.map((place, i) => [place, found[i]]));
      for (const place of places) brackets.push(known.get(place) ?? uncounted(dataset.labelsRaw[place] ?? 0));
      progress = { attacks: names, brackets: [...brackets] };
      await onProgress?.(stop / dataset.length, progress);
    }
  });
  const shares = (of: readonly Bracket[]): RobustShares => sharesOf(of, asked, attacks.length > 0);
  const counted = brackets.filter(({ label }) => label !== dataset.ignoreIndex);
  const classes = dataset.classNames.map((name, index) => ({
    name,
    ...shares(counted.filter(({ label }) => label === index)),
  }));
  return { radii: asked, ...shares(counted), classes, attacks: names, brackets };
}

function sharesOf(brackets: readonly Bracket[], radii: readonly number[], attacked: boolean): RobustShares {
  const samples = brackets.length;
  const right = brackets.filter(({ predicted, label }) => predicted === label);
  const share = (holds: (bracket: Bracket) => boolean): number =>
    samples === 0 ? Number.NaN : right.filter(holds).length / samples;
  return {
    samples,
    clean: share(() => true),
    certified: radii.map((r) => share(({ radius }) => radius >= r)),
    empirical: attacked ? radii.map((r) => share(({ distance }) => distance >= r)) : undefined,
    meanRadius: samples === 0 ? Number.NaN : right.reduce((sum, { radius }) => sum + radius, 0) / samples,
  };
}

/** Of a sample that does not count. */
const uncounted = (label: number): Bracket => new Bracket(-1, label, 0, 0, -1);

/** How many classes a model tells of images of a data set. Throws `LABEL_OUT_OF_RANGE` for labels that are none of them. */
function classesOf(network: Module, dataset: Dataset): number {
  const { images } = dataset.select([0]);
  const { shape } = network.evaluating(() => forwarded(network, images));
  checkLogits("robustAccuracy", shape);
  const [, classes = 0] = shape;
  dataset.labelsRaw.forEach((label, i) => {
    if (label !== dataset.ignoreIndex) checkLabel(i, label, classes);
  });
  return classes;
}

/** Fields that all attacks of a class have alike. */
const OF_CLASS = ["norm", "blackBox", "bounded", "within"];

/** An attack by its class and what it was given. */
function textOf(attack: Attack): string {
  const given = Object.fromEntries(Object.entries(attack).filter(([name]) => !OF_CLASS.includes(name)));
  return `${attack.constructor.name} ${JSON.stringify(given, inWords)}`;
}

/** For `JSON.stringify`, which leaves functions out: of what else JSON has no words for, such as a data set, what messages say of it. */
function inWords(this: Readonly<Record<string, unknown>>, name: string): unknown {
  // Before any toJSON().
  const given = this[name];
  if (given instanceof Attack) return textOf(given);
  const isJson = given === null || Array.isArray(given) || isPlain(given) || Number.isFinite(given);
  return isJson || ["string", "boolean", "undefined", "function"].includes(typeof given) ? given : describe(given);
}

/** Brackets of the first samples of this data set, as these attacks found them. */
function resumed(given: unknown, attacks: readonly string[], dataset: Dataset, classes: number): Bracket[] {
  const { attacks: tried, brackets }: Partial<Record<string, unknown>> = given ?? {};
  if (!Array.isArray(tried) || !Array.isArray(brackets)) {
    throw invalid(
      `resume must be what onProgress was told of an earlier call, { attacks, brackets }; given ${describe(given)}`,
    );
  }
  const other = Array.from({ length: Math.max(tried.length, attacks.length) }, (_, i) => i).find(
    (i) => tried[i] !== attacks[i],
  );
  if (other !== undefined) {
    const [before, now] = [tried[other] ?? "none", attacks[other] ?? "none"].map((one) => clip(String(one), 160));
    throw invalid(
      `resume has what other attacks found: attack ${other} was ${before}, and is ${now}; give the same ones with the same bounds, or leave ` +
        "resume out",
    );
  }
  if (brackets.length > dataset.length) {
    throw invalid(
      `resume must have brackets of the first samples of this data set, which has ${dataset.length}; given ${brackets.length}`,
    );
  }
  return brackets.map((one: unknown, i) => {
    const bracket = bracketOf(one);
    const label = dataset.labelsRaw[i] as number;
    const isNone = label === dataset.ignoreIndex;
    if (bracket?.label === label && (isNone ? isUncounted(bracket) : fits(bracket, classes, attacks.length)))
      return bracket;
    const fields = bracket === undefined ? describe(one) : JSON.stringify(bracket);
    throw invalid(
      `resume must have brackets of the first samples of this data set, as onProgress was told of them; that of sample ${i}, of label ${label}, ` +
        `is ${clip(fields, 160)}`,
    );
  });
}

/** A bracket that was given, as JSON too, whatever its numbers are; undefined for anything else. */
function bracketOf(given: unknown): Bracket | undefined {
  if (typeof given !== "object" || given === null) return undefined;
  const { predicted, label, radius, distance, attack } = given as Partial<Record<string, unknown>>;
  const numbers = [predicted, label, radius, distance, attack].map((one) => (one === "Infinity" ? Number(one) : one));
  if (!numbers.every((one) => typeof one === "number")) return undefined;
  return new Bracket(...(numbers as [number, number, number, number, number]));
}

const isUncounted = ({ predicted, radius, distance, attack }: Bracket): boolean =>
  predicted === -1 && radius === 0 && distance === 0 && attack === -1;

/** Whether a bracket is one that so many attacks of a model of so many classes can leave. */
function fits({ predicted, label, radius, distance, attack }: Bracket, classes: number, attacks: number): boolean {
  if (!Number.isInteger(predicted) || predicted < 0 || predicted >= classes || !(radius >= 0)) return false;
  if (predicted !== label) return distance === 0 && attack === -1;
  if (attack === -1) return distance === Number.POSITIVE_INFINITY;
  // What is nearer than the radius is a violation, and no bracket.
  return Number.isInteger(attack) && attack >= 0 && attack < attacks && Number.isFinite(distance) && distance >= radius;
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
