// robustAccuracy: how many samples of a data set are told right within radii, as proved and as far as attacks find.
import type { Attack } from "../attacks/attack.js";
import type { Bounds } from "../attacks/space.js";
import { certify } from "../certify/index.js";
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { Module } from "../nn/index.js";
import { abortSignal, asGiven, callback, readOptions, type Schema, whole } from "../options.js";
import { type Bracket, bracketsOf, inL2 } from "./bracket.js";

/** Options of {@link robustAccuracy}. */
export interface RobustAccuracyOptions {
  /** Attacks in the L2 norm, which tell how many samples are told wrong within the radii; by default none. */
  attacks?: readonly Attack[];
  /** Of pixels, as the model sees them, for attacks; by default [0, 1]. */
  bounds?: Bounds;
  /** Samples that are looked at together, by default 256. */
  batchSize?: number;
  /** Aborting rejects with the signal's reason within one step. */
  signal?: AbortSignal | undefined;
  /** Told of the work done, from 0 to 1, and of the brackets so far, in the order of the data set. */
  onProgress?: ((share: number, brackets: readonly Bracket[]) => void) | undefined;
  /** Brackets of the first samples from an earlier call that was ended, told by its `onProgress`: it goes on behind them. */
  resume?: readonly Bracket[];
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
export interface RobustAccuracy extends RobustShares {
  readonly radii: readonly number[];
  /** The same of the samples of each class, by its name. */
  readonly classes: readonly (RobustShares & { readonly name: string })[];
  /** Of each sample what is known of it, in the order of the data set. */
  readonly brackets: readonly Bracket[];
}

const OPTIONS = {
  attacks: inL2(0, []),
  bounds: asGiven<Bounds | undefined>(),
  batchSize: whole(1, 256),
  signal: abortSignal,
  onProgress: callback,
  resume: asGiven<readonly Bracket[] | undefined>(),
} satisfies Schema<keyof RobustAccuracyOptions>;

/**
 * Clean, certified and empirical accuracy of a model on a data set of classes at L2 radii, in units of what enters the first layer (u8 pixels
 * divided by 255), with mean radii, per class and with the bracket of each sample. All of it is of the network that the model exports
 * at the call.
 * @throws TslipError a `ViolationError` where an attack beats a certificate, and what `certify` and attacks throw
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
  if (!Array.isArray(radii) || !radii.every((radius) => radius >= 0)) {
    throw invalid(`radii must be an array of numbers, each at least 0; given ${describe(radii)}`);
  }
  if (dataset.labelsRaw.length === 0) {
    throw invalid("robustAccuracy needs classes as targets; the data set has numbers");
  }
  const { bounds, batchSize, signal, resume = [], attacks } = readOptions("robustAccuracy", OPTIONS, options);
  const brackets = [...resumed(resume, dataset)];
  const network = model.vanillaExport().eval();
  await onCurrentDevice(async () => {
    while (brackets.length < dataset.length) {
      signal?.throwIfAborted();
      const [start, stop] = [brackets.length, Math.min(brackets.length + batchSize, dataset.length)];
      const places = Array.from({ length: stop - start }, (_, i) => start + i);
      // Labels that do not count are no classes that an attack could be told of.
      const counted = places.filter((i) => dataset.labelsRaw[i] !== dataset.ignoreIndex);
      const told = (share: number): void =>
        options.onProgress?.((start + share * (stop - start)) / dataset.length, brackets);
      const found: Bracket[] = [];
      if (counted.length > 0) {
        const { images, labels } = dataset.select(counted);
        const certificates = await certify(network, images);
        signal?.throwIfAborted();
        const asked = { certificates, attacks, bounds, signal, onProgress: told, places: counted };
        found.push(...(await bracketsOf(network, images, labels, asked)));
      }
      const known = new Map(counted.map((place, i) => [place, found[i]]));
      for (const place of places) brackets.push(known.get(place) ?? uncounted(dataset.labelsRaw[place] ?? 0));
      await options.onProgress?.(stop / dataset.length, brackets);
    }
  });
  const shares = (of: readonly Bracket[]): RobustShares => sharesOf(of, radii, attacks.length > 0);
  const counted = brackets.filter(({ label }) => label !== dataset.ignoreIndex);
  const classes = dataset.classNames.map((name, index) => ({
    name,
    ...shares(counted.filter(({ label }) => label === index)),
  }));
  return { radii: [...radii], ...shares(counted), classes, brackets };
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
const uncounted = (label: number): Bracket => ({ predicted: -1, label, radius: 0, distance: 0, attack: -1 });

/** Brackets of the first samples of this data set. */
function resumed(given: unknown, { labelsRaw }: Dataset): readonly Bracket[] {
  const fits = (bracket: Bracket, i: number): boolean =>
    typeof bracket === "object" && bracket !== null && bracket.label === labelsRaw[i];
  if (Array.isArray(given) && given.length <= labelsRaw.length && given.every(fits)) return given as Bracket[];
  throw invalid("resume must be the brackets of the first samples of this data set, as onProgress was told of them");
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
