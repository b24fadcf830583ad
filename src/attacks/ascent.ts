// Attacks within a radius: runs of steps that climb from random starts, and the search for the smallest radius. How a run climbs is
// an attack's own.
import { TslipError } from "../errors.js";
import { flag, type Options, optional, readOptions, type Schema, whole } from "../options.js";
import {
  assign,
  Generator,
  grad,
  type Operand,
  Program,
  type State,
  state,
  type Tensor,
  zeros,
} from "../tensor/index.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { type Norm, perSample } from "./norm.js";
import { SearchRadius } from "./search-radius.js";

/** Options of every attack within a radius. */
export interface StartOptions {
  /** Whether to start at a random point within the radius, at the same multiples of it for all images. */
  randomStart?: boolean;
  /** Runs from random starts, of which the best is kept; by default 1. */
  repeat?: number;
  /** Of the random starts; by default the next of the sequence that `manualSeed` restarts. */
  seed?: number;
  /**
   * Radii that are tried for an image where `run` is given no epsilons, by default 16. The first is that of all images within the bounds;
   * it is halved until something is found, then put in the middle between the nearest adversarial and the largest radius that held none.
   */
  binarySearchSteps?: number;
}

/** Schema of {@link StartOptions}. */
export const startOptions = (randomStart: boolean) =>
  ({
    randomStart: flag(randomStart),
    repeat: whole(1, 1),
    seed: optional(whole(0)),
    binarySearchSteps: whole(1, 16),
  }) satisfies Schema<keyof StartOptions>;

/** Names by which other libraries take the radius where an attack is made. */
const RADII = ["epsilons", "epsilon", "eps"];

/** {@link readOptions} of an attack within a radius, which is no option of it. */
export function readDescent<S extends Schema>(owner: string, schema: S, options: unknown): Options<S> {
  const given = RADII.find((name) => typeof options === "object" && options !== null && Object.hasOwn(options, name));
  if (given === undefined) return readOptions(owner, schema, options);
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} has no option "${given}"; radii are given where it runs: run(model, images, labels, { epsilons: [0.5] })`,
  );
}

/** Where a run is, as a step of it is recorded. */
export interface Place {
  /** The step of the phase, from 1; f32 `[]`. */
  readonly step: State;
  /** Whether a run begins; f32 `[]`. */
  readonly opens: State;
  /** That of the phase, one an image, `[n]`. */
  readonly radius: Tensor;
  /** The images at hand, within the bounds. */
  readonly images: Tensor;
  /** From the originals to these, within the radii too. */
  readonly delta: Tensor;
  /** What has to rise, `[n]`, and its gradient by the images. */
  readonly heights: Tensor;
  readonly gradient: Tensor;
  /** What a state holds that phases keep for themselves: at the first step of a phase what is given for it, by default 0. */
  held(kept: State, first?: Operand): Tensor;
}

/** A part of a run. */
export interface Phase {
  readonly steps: number;
  /** How many times the radius it keeps within. */
  readonly times: number;
}

/** How runs climb. */
export interface Ascent {
  /** What is climbed one after another, each in runs of its own; by default one thing. */
  readonly aims?: number;
  /** What has to rise, `[n]`; the aim is f32 `[]`, from 0. */
  rises(logits: Tensor, aim: State): Tensor;
  /** The next perturbation, within the radius; what is beyond the bounds is cut off. */
  next(place: Place): Tensor;
  /**
   * What a run consists of, by default one phase of all steps within the radius. Before another phase `next` is asked once more, for where
   * that begins; what is found within other times the radius than one does not count.
   */
  readonly phases?: readonly Phase[];
  /** 0-d states with values for each time that `next` is asked in a run. */
  readonly tables?: readonly { readonly state: State; readonly values: ArrayLike<number> }[];
}

/** Options as they are read; an attack without steps takes one. */
export type Climbing = Options<ReturnType<typeof startOptions>> & { readonly steps?: number };

/**
 * Climbs within a radius and the bounds. Within each of the epsilons it finds the image that leads most of all steps and runs; without
 * epsilons the nearest, over radii of its own.
 */
export abstract class AscentAttack<O extends Climbing = Climbing> extends Attack {
  protected override readonly bounded = true;
  protected override readonly within = true;

  constructor(
    readonly norm: Norm,
    /** Those given, with the defaults of others. */
    readonly options: O,
  ) {
    super();
    if (options.randomStart || options.repeat === 1) return;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `repeat is ${options.repeat}, expected 1 where randomStart is false, as all runs are the same; give randomStart: true with it`,
    );
  }

  /** How a search climbs, with states of its own. */
  protected abstract ascent(search: Search): Ascent | Promise<Ascent>;

  protected async search(search: Search): Promise<void> {
    const { task, best, signal, progress } = search;
    const { randomStart, seed, binarySearchSteps, steps = 1 }: Climbing = this.options;
    const { model, images, bounds } = task;
    const { norm } = this;
    const { originals } = best;
    const batched = true;
    const { aims = 1, rises, next, phases = [{ steps, times: 1 }], tables = [] } = await this.ascent(search);
    const places = phases.flatMap(({ steps: own, times: wide }, k) =>
      Array.from({ length: own + Number(k + 1 < phases.length) }, (_, i) => ({
        step: i + 1,
        wide,
        opens: k + i === 0,
      })),
    );
    const radius = new SearchRadius(search, norm, binarySearchSteps);
    const moved = state(zeros(images.shape), { batched, name: "perturbation" });
    const step = state(zeros([]), { name: "step of the phase" });
    const times = state(zeros([]), { name: "times the radius" });
    const opens = state(zeros([]), { name: "whether a run begins" });
    const aim = state(zeros([]), { name: "what the run climbs" });
    const last = state(zeros([]), { name: "whether it is the last with this radius" });
    const generator = randomStart ? new Generator(seed === undefined ? {} : { seed }) : undefined;
    // One for all, so that an image has the same whichever are beside it.
    const one = zeros([1, ...images.shape.slice(1)]);
    const start = (within: Tensor): Tensor =>
      generator === undefined
        ? zeros(images.shape)
        : norm.random(generator, one, zeros([1]).add(1)).mul(perSample(within, images));
    const offer = (perturbed: Tensor, allowed?: Tensor): Tensor => {
      const logits = model.forward(perturbed);
      best.offer(perturbed, logits, allowed);
      return logits;
    };
    const climb = (): { found: Tensor } => {
      const begins = step.equal(1);
      const within = radius.value.mul(times);
      const perturbed = originals.add(opens.greater(0).where(start(within), moved)).clip(...bounds);
      const logits = offer(perturbed, times.equal(1));
      const heights = rises(logits, aim);
      const [gradient] = grad(heights.sum(), [perturbed]);
      const held = (kept: State, at: Operand = 0): Tensor => begins.where(at, kept);
      const delta = perturbed.sub(originals);
      assign(moved, next({ step, opens, radius: within, images: perturbed, delta, heights, gradient, held }));
      return { found: best.count() };
    };
    /** Offers where the step before went, which takes no gradient. */
    const end = (): { found: Tensor } => {
      offer(originals.add(moved).clip(...bounds));
      radius.next(last.greater(0));
      return { found: best.count() };
    };
    const [climbing, ending] = model.evaluating(() => [Program.record(climb, []), Program.record(end, [])] as const);
    const run = [
      { program: climbing, steps: places.length },
      { program: ending, steps: 1 },
    ];
    const length = places.length + 1;
    const each = length * this.options.repeat * aims;
    const total = radius.tries * each;
    const table = (of: State, value: (i: number) => number): { state: State; values: Float32Array } => ({
      state: of,
      values: Float32Array.from({ length: total }, (_, i) => value(i)),
    });
    const onProgress = (done: number, _: number, [found = 0]: Float64Array): void => progress(done / total, found);
    const { values } = await repeat(Array.from({ length: total / length }, () => run).flat(), {
      steps: total,
      tables: [
        table(step, (i) => places[i % length]?.step ?? 0),
        table(times, (i) => places[i % length]?.wide ?? 1),
        table(opens, (i) => Number(places[i % length]?.opens ?? false)),
        table(aim, (i) => Math.floor(i / length) % aims),
        table(last, (i) => Number(i % each === each - 1)),
        ...tables.map(({ state: of, values: own }) => table(of, (i) => own[i % length] ?? 0)),
      ],
      signal,
      onProgress,
    });
    progress(1, values.found.item());
  }
}
