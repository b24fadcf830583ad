// Attack: what all attacks share. An attack itself says how a perturbation is searched for.
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Module } from "../nn/index.js";
import { abortSignal, callback, knownOptions, type Names } from "../options.js";
import {
  assign,
  full,
  readStates,
  type State,
  state,
  type Tensor,
  tensor,
  type Value,
  zeros,
} from "../tensor/index.js";
import { BlackBox, isList } from "./black-box.js";
import { type Criterion, criterion } from "./criterion.js";
import { METHODS, type Norm, perSample } from "./norm.js";
import {
  type Answering,
  type AttackOptions,
  type AttackResult,
  type AttackTask,
  adversarial,
  type Bounds,
  type Found,
  finish,
  isFloat32,
  prepare,
  rowsWhere,
} from "./space.js";

/** What counts as the best: the nearest adversarial, or among those within a radius the one with the largest lead. */
type Goal = "nearest" | "strongest";

/** The best adversarials so far, kept by the frame and never by an attack: the nearest, or those with the largest lead. */
export class Best {
  readonly #images: State;
  /** The less the better: distances, or leads of the class that is to be left. */
  readonly #ranks: State;
  /** Whether anything was found since a search last set it to false, `[n]`. */
  readonly found: State;
  readonly #originals: State;

  readonly #norm: Norm;
  readonly #criterion: Criterion;
  /** Those that offers are held against. */
  readonly #bounds: Bounds | undefined;
  readonly #goal: Goal;

  constructor(
    { images, count, bounds }: AttackTask<Answering>,
    norm: Norm,
    criterion: Criterion,
    bounded: boolean,
    goal: Goal,
  ) {
    [this.#norm, this.#criterion, this.#bounds, this.#goal] = [norm, criterion, bounded ? undefined : bounds, goal];
    const batched = true;
    this.#originals = state(images, { batched, name: "images" });
    this.#images = state(images, { batched, name: "best adversarials" });
    this.#ranks = state(full([count], Number.POSITIVE_INFINITY), { batched, name: "their ranks" });
    this.found = state(zeros([count], { dtype: "bool" }), { batched, name: "found" });
  }

  /** The images that are attacked. */
  get originals(): Tensor {
    return this.#originals;
  }

  /**
   * Keeps those of the `images` with these `logits` that are adversarial, within the bounds and better than what was found before,
   * where `allowed` says so. Whether each is adversarial, within the bounds and allowed.
   */
  offer(images: Tensor, logits: Tensor, allowed?: Tensor): Tensor {
    const wanted = this.#criterion.met(logits);
    const met = this.#bounds === undefined ? wanted : wanted.and(areWithin(images, this.#bounds));
    const hit = allowed === undefined ? met : met.and(allowed);
    const isNearest = this.#goal === "nearest";
    const ranks = isNearest ? this.#norm.distance(images.sub(this.#originals)) : this.#criterion.lead(logits);
    const better = hit.and(ranks.less(this.#ranks));
    assign(this.#images, perSample(better, images).where(images, this.#images));
    assign(this.#ranks, better.where(ranks, this.#ranks));
    assign(this.found, this.found.or(hit));
    return hit;
  }

  /** In a search for the nearest: distances of what was found so far, Infinity where that is nothing; `[n]`. */
  get distances(): Tensor {
    return this.#ranks;
  }

  /** Images for which anything was found so far, as the step that is recorded leaves them; 0-d f32. */
  count(): Tensor {
    return this.#ranks.less(Number.POSITIVE_INFINITY).cast("f32").sum();
  }

  /** Of which images anything was found. */
  async successes(): Promise<boolean[]> {
    return Array.from(await this.#ranks.data(), (rank) => rank < Number.POSITIVE_INFINITY);
  }

  /** {@link values}, {@link successes}, and which originals, of these logits, are what is wanted, in one step. */
  async read(logits: Tensor): Promise<{ values: Float32Array; seen: boolean[]; already: boolean[] }> {
    const seen = this.#ranks.less(Number.POSITIVE_INFINITY);
    const read = await readStates({ images: this.#images, seen, already: this.#criterion.met(logits) });
    const flags = (values: Value): boolean[] => Array.from(values.held(), Boolean);
    return { values: read.images.held() as Float32Array, seen: flags(read.seen), already: flags(read.already) };
  }

  /** What was found; the image itself where that is nothing. */
  async values(): Promise<Float32Array> {
    return new Float32Array(await this.#images.data());
  }
}

/** Of each image whether all of it is within the bounds. */
export function areWithin(images: Tensor, bounds: Bounds): Tensor {
  const kept = images.equal(images.clip(...bounds));
  return kept.reshape([images.shape[0] ?? 0, -1]).all(1);
}

const RUN_OPTIONS: Names<AttackOptions & { epsilons?: unknown }> = {
  bounds: true,
  targets: true,
  signal: true,
  onProgress: true,
  epsilons: true,
};

/** What a search is given. */
export interface Search<M extends Answering = Module> {
  readonly task: AttackTask<M>;
  readonly best: Best;
  readonly criterion: Criterion;
  /** Of an attack that is {@link Attack.within} radii, one an image; without them the nearest adversarials are searched for. */
  readonly radii: Float64Array | undefined;
  /** How often the model was asked for each image, `[n]` f32: counted by searches that ask alone. */
  readonly asked: State;
  /** How often the frame itself asks for an image, at most. */
  readonly reserved: number;
  /** Rejects within one step once it is aborted. */
  readonly signal: AbortSignal | undefined;
  /** To be told of the work done, from 0 to 1, and the images for which something was found. */
  progress(share: number, found: number): void;
}

/**
 * A search for small perturbations that change a class. What is found for an image does not depend on the other images of the
 * batch; an image that already is what is wanted, by the confidence, comes back as it is, at distance 0.
 */
export abstract class Attack<M extends Answering = Module> {
  /** By which perturbations are measured. */
  abstract readonly norm: Norm;
  /** By how much the logit of another class must lead, by default 0. */
  readonly confidence: number = 0;
  /**
   * Whether the search goes by what the model answers alone, and never by its gradients: then it runs on a BlackBox too, and counts in
   * `search.asked` how often it asks.
   */
  readonly blackBox: boolean = false;
  /** Whether the search offers no image outside of the bounds; else each is looked at. */
  protected readonly bounded: boolean = false;
  /**
   * Whether the search keeps within `search.radii` where there are any: each of the epsilons then has a search of its own, whose
   * result is the adversarial with the largest lead.
   */
  protected readonly within: boolean = false;

  /** Offers what it finds to `search.best`, in steps that run natively. */
  protected abstract search(search: Search<M>): Promise<void>;

  /**
   * Attacks `images` `[n, ...]` of the given labels: searches for the nearest adversarials, or within each of the epsilons. With a list of `epsilons` there is one result for each: numbers, or lists of
   * one number an image.
   * @throws TslipError for images outside the bounds, labels out of range, and the signal's reason when it is aborted.
   */
  run(model: M, images: Tensor, labels: ArrayLike<number>, options?: AttackOptions): Promise<AttackResult>;
  run(
    model: M,
    images: Tensor,
    labels: ArrayLike<number>,
    options: AttackOptions & { epsilons: ArrayLike<number | ArrayLike<number>> },
  ): Promise<AttackResult[]>;
  async run(
    model: M,
    images: Tensor,
    labels: ArrayLike<number>,
    options: AttackOptions & { epsilons?: ArrayLike<number | ArrayLike<number>> } = {},
  ): Promise<AttackResult | AttackResult[]> {
    const { signal, onProgress, ...given } = knownOptions("run() of an attack", RUN_OPTIONS, options);
    abortSignal.read("signal", signal);
    callback.read("onProgress", onProgress);
    signal?.throwIfAborted();
    // A copy: what is given may change while the attack runs.
    const epsilons = isList(given.epsilons)
      ? Array.from(given.epsilons, (one) => (isList(one) ? Array.from(one) : one))
      : given.epsilons;
    checkNorm(this);
    return await onCurrentDevice(async () => {
      const task = await prepare([this.constructor.name, this.blackBox], model, images, labels, options);
      const radii = epsilons === undefined ? undefined : allRadii(epsilons, task.count);
      const classes = state(tensor(task.targets ?? task.labels), { batched: true, name: "classes" });
      const wanted = criterion(classes, task.targets !== undefined, this.confidence);
      // A search for the nearest serves all epsilons.
      const searches = this.within && radii !== undefined ? radii : [undefined];
      // The originals, and what is clipped for each of the epsilons that a search serves.
      const reserved = 1 + (radii?.length ?? 0) / searches.length;
      const found: Found[] = [];
      await reporting(options, async (either, progress) => {
        for (const [k, within] of searches.entries()) {
          const best = new Best(task, this.norm, wanted, this.bounded, within === undefined ? "nearest" : "strongest");
          const asked = state(zeros([task.count]), { batched: true, name: "how often it was asked" });
          let told = 0;
          const report: typeof progress = (share, count) => {
            told = share;
            progress((k + share) / searches.length, count);
          };
          const work = { asked, reserved, radii: within, signal: either, progress: report };
          await this.search({ task, best, criterion: wanted, ...work });
          const one = await settled(task, best, this.blackBox ? asked : undefined);
          found.push(one);
          // Some cannot say before how much there is to do.
          if (told < 1) report(1, one.fools.filter(Boolean).length);
        }
      });
      const results: AttackResult[] = [];
      for (const [k, each] of (radii ?? [undefined]).entries()) {
        results.push(await finish(task, this.norm, found[k] ?? (found[0] as Found), each, signal));
      }
      return radii === undefined ? (results[0] as AttackResult) : results;
    });
  }
}

/** Refuses an attack of one's own that does not say how perturbations are measured. */
function checkNorm(attack: object): void {
  const { norm } = attack as { readonly norm?: Partial<Record<string, unknown>> };
  const names = Object.keys(METHODS);
  if (names.every((name) => typeof norm?.[name] === "function")) return;
  refuse(`the field norm of ${attack.constructor.name}`, norm, `a norm such as L2, with ${names.join("(), ")}()`);
}

/** Calls a search that tells `onProgress` of its work; promises that it answers with are waited for once the search is over. */
async function reporting(
  { signal, onProgress }: AttackOptions,
  search: (signal: AbortSignal | undefined, progress: Search["progress"]) => Promise<void>,
): Promise<void> {
  if (onProgress === undefined) return await search(signal, () => undefined);
  const listener = new AbortController();
  const either = signal === undefined ? listener.signal : AbortSignal.any([signal, listener.signal]);
  const answers: Promise<void>[] = [];
  await search(either, (share, found) => {
    const answer = Promise.resolve(onProgress(share, found));
    answers.push(answer.catch((reason: unknown) => listener.abort(reason)));
  });
  await Promise.all(answers);
  either.throwIfAborted();
}

/** What was found where it fools the model; the image itself elsewhere, and where that already is what is wanted. */
async function settled(task: AttackTask<Answering>, best: Best, counted: State | undefined): Promise<Found> {
  const { values, seen, already } = await best.read(task.logits);
  // What a black box was seen to say of an image it says of it; a module may be rounded otherwise within a search.
  const fools = await adversarial(task, values, task.model instanceof BlackBox ? seen : [], undefined);
  const moved = fools.map((each, i) => each && !already[i]);
  const asked = counted && (await counted.data());
  const images = rowsWhere(moved, values, task.values);
  return { images, fools: fools.map((each, i) => each || already[i] === true), asked };
}

/** For each of the epsilons one radius for each image. */
function allRadii(epsilons: ArrayLike<number | ArrayLike<number>>, count: number): Float64Array[] {
  if (!isList(epsilons)) {
    refuse("epsilons", epsilons, "a list of numbers, or of lists of one number an image; a single one is [epsilon]");
  }
  return Array.from(epsilons, (epsilon, i) => {
    const radii: unknown[] = isList(epsilon) ? Array.from(epsilon) : new Array(count).fill(epsilon);
    if (radii.length === count && radii.every(isRadius)) return Float64Array.from(radii);
    return refuse(`epsilons[${i}]`, epsilon, `a number of at least 0, or one for each of ${count} images`);
  });
}

const isRadius = (value: unknown): value is number => typeof value === "number" && value >= 0;

/** Whether a number is finite in float32, in which searches compute, and above 0 there. */
export const isAboveZero = (value: unknown): boolean =>
  typeof value === "number" && Math.fround(value) > 0 && isFloat32(value);

/** Refuses an option that is not what it should be. */
function refuse(name: string, value: unknown, expected: string): never {
  throw new TslipError("INVALID_ARGUMENT", `${name} must be ${expected}; given ${describe(value)}`);
}
