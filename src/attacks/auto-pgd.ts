// Auto-PGD (Croce and Hein 2020), and its L1 member (Croce and Hein 2021): ascents that choose their step sizes.
import { choice, flag, type Options, type Schema, whole } from "../options.js";
import { assign, type State, state, type Tensor, zeros } from "../tensor/index.js";
import { aimsOf } from "./aims.js";
import {
  type Ascent,
  AscentAttack,
  type Phase,
  type Place,
  readDescent,
  type StartOptions,
  startOptions,
} from "./ascent.js";
import type { Search } from "./attack.js";
import { logitsRatio } from "./logits-ratio.js";
import { L0, L1, L2, Linf, perSample, projectL1 } from "./norm.js";
import { roomOf, withinReach } from "./planes.js";

/** Options of {@link L2APGDAttack}, {@link LinfAPGDAttack} and {@link L1APGDAttack}; `randomStart` is true by default. */
export interface APGDOptions extends StartOptions {
  /** By default 100. */
  steps?: number;
  /** What rises: cross-entropy, "ce", as by default, or the difference of logits ratio, "dlr", which no scale of the logits changes. */
  loss?: "ce" | "dlr";
  /**
   * Classes that are aimed at, each in runs of its own (APGD-T has 9, and the loss "dlr"): those of the largest logits beside the
   * label. By default 0: any other. With `targets` these are the only ones.
   */
  targetClasses?: number;
}

const OPTIONS = {
  steps: whole(1, 100),
  loss: choice(["ce", "dlr"], "ce"),
  targetClasses: whole(0, 0),
  ...startOptions(true),
} satisfies Schema<keyof APGDOptions>;

/** Options of {@link L1APGDAttack}. */
export interface L1APGDOptions extends APGDOptions {
  /**
   * Whether runs keep within three times the radius for three tenths of the steps, then within twice the radius for as many, each time from the
   * highest place so far, as by default; only what they find within the radius counts. `randomStart` is within three times the radius then.
   */
  largerRadii?: boolean;
}

const L1_OPTIONS = { ...OPTIONS, largerRadii: flag(true) } satisfies Schema<keyof L1APGDOptions>;

/** Share of what went before that a step keeps. */
const MOMENTUM = 0.25;
/** Share of the steps that must have risen for the step size to stay. */
const RISING = 0.75;

/** Steps at which the step size is looked at: after 22 % of them at first, then ever sooner, down to after 6 %. */
function checkpoints(steps: number): number[] {
  const [least, less] = [0.06, 0.03];
  const shares = [0, 0.22];
  for (;;) {
    const [before = 0, last = 0] = shares.slice(-2);
    const next = last + Math.max(last - before - less, least);
    if (next > 1) break;
    shares.push(next);
  }
  return [...new Set(shares.slice(1).map((share) => Math.ceil(share * steps)))];
}

type Climb = Pick<Ascent, "next" | "phases" | "tables">;

/** What the attacks share: the losses, and what they aim at. */
abstract class AutoPGDAttack<O extends Options<typeof OPTIONS> = Options<typeof OPTIONS>> extends AscentAttack<O> {
  protected async ascent(search: Search): Promise<Ascent> {
    const { loss, targetClasses } = this.options;
    const { criterion } = search;
    const climb = this.climb(search);
    if (targetClasses === 0) {
      const lead = (logits: Tensor): Tensor => logitsRatio(criterion.lead(logits).neg(), logits, criterion.targeted);
      return { ...climb, rises: loss === "ce" ? (logits) => criterion.odds(logits) : lead };
    }
    const { count, odds, rise } = await aimsOf(search, targetClasses);
    const lead = (logits: Tensor, aim: Tensor): Tensor => logitsRatio(rise(logits, aim), logits, true);
    return { ...climb, aims: count, rises: loss === "ce" ? odds : lead };
  }

  /** How step sizes follow what rises. */
  protected abstract climb(search: Search): Climb;
}

/** The highest place of a run so far. */
class Peak {
  readonly #height: State;
  readonly #delta: State;
  readonly #gradient: State;

  constructor({ images, count }: Search["task"]) {
    const batched = true;
    this.#height = state(zeros([count]), { batched, name: "largest value of the run" });
    this.#delta = state(zeros(images.shape), { batched, name: "its perturbation" });
    this.#gradient = state(zeros(images.shape), { batched, name: "its gradient" });
  }

  /** The highest of this place and those before. */
  over({ heights, delta, gradient, held }: Place): { height: Tensor; delta: Tensor; gradient: Tensor } {
    const before = held(this.#height, Number.NEGATIVE_INFINITY);
    const higher = heights.greater(before);
    const pixels = perSample(higher, delta);
    const peak = {
      height: higher.where(heights, before),
      delta: pixels.where(delta, held(this.#delta)),
      gradient: pixels.where(gradient, held(this.#gradient)),
    };
    assign(this.#height, peak.height);
    assign(this.#delta, peak.delta);
    assign(this.#gradient, peak.gradient);
    return peak;
  }
}

/** Auto-PGD: steps with momentum, of twice the radius at first; half as long, from the highest place, where too few of them rise. */
abstract class HalvingPGDAttack extends AutoPGDAttack {
  protected climb({ task, best }: Search): Climb {
    const { norm } = this;
    const { images, count, bounds } = task;
    const { originals } = best;
    const { steps } = this.options;
    const numbers = (name: string): State => state(zeros([count]), { batched: true, name });
    const top = new Peak(task);
    const size = numbers("step size");
    const previous = numbers("value before");
    const ups = numbers("steps that rose since the last check");
    const checked = numbers("largest value at the last check");
    const halved = numbers("whether the last check halved the step size");
    const last = state(zeros(images.shape), { batched: true, name: "perturbation before" });
    // Of steps so many must have risen; below 0 where none is looked at.
    const needed = state(zeros([]), { name: "steps that have to have risen" });
    const checks = checkpoints(steps);
    const values = Array.from({ length: steps + 1 }, (_, i) => {
      const at = checks.indexOf(i);
      return at < 0 ? -1 : RISING * (i - (checks[at - 1] ?? 0));
    });
    return {
      tables: [{ state: needed, values }],
      next: (place) => {
        const { step, radius, delta, heights, gradient, held } = place;
        const peak = top.over(place);
        const risen = held(ups).add(heights.greater(held(previous, Number.POSITIVE_INFINITY)).cast("f32"));
        const due = needed.greaterEqual(0);
        const stuck = held(halved, 1).equal(0).and(held(checked).greaterEqual(peak.height));
        const back = due.and(risen.less(needed).or(stuck));
        const pace = held(size, radius.mul(2)).mul(back.where(0.5, 1));
        const from = perSample(back, delta).where(peak.delta, delta);
        const uphill = norm.steepest(perSample(back, delta).where(peak.gradient, gradient));
        const within = (d: Tensor): Tensor =>
          originals
            .add(norm.project(d, radius))
            .clip(...bounds)
            .sub(originals);
        const straight = within(from.add(uphill.mul(perSample(pace, delta))));
        const kept = step.equal(1).where(0, MOMENTUM);
        const turned = from.add(straight.sub(from).mul(kept.neg().add(1))).add(from.sub(held(last)).mul(kept));
        assign(previous, heights);
        assign(ups, due.where(0, risen));
        assign(checked, due.where(peak.height, held(checked)));
        assign(halved, due.where(back.cast("f32"), held(halved, 1)));
        assign(size, pace);
        assign(last, from);
        return norm.project(turned, radius);
      },
    };
  }
}

/**
 * Auto-PGD (Croce and Hein 2020) in an L2 ball: steps of gradients divided by their norms, with momentum, each image with a step size of
 * its own: twice the radius at first, halved wherever fewer than three of four steps of a stretch rise, or none is higher than before.
 * APGD-CE by default, APGD-DLR with `loss: "dlr"`, and APGD-T with `targetClasses: 9` beside it.
 */
export class L2APGDAttack extends HalvingPGDAttack {
  constructor(options: APGDOptions = {}) {
    super(L2, readDescent("L2APGDAttack", OPTIONS, options));
  }
}

/** {@link L2APGDAttack} in an L∞ ball: steps of signs of gradients. */
export class LinfAPGDAttack extends HalvingPGDAttack {
  constructor(options: APGDOptions = {}) {
    super(Linf, readDescent("LinfAPGDAttack", OPTIONS, options));
  }
}

/** Shares of pixels that a step moves: of all at first, then of those that the highest place has moved. */
const [FIRST_MOVED, MOVED] = [0.2, 1 / 1.5];
/** Where the highest place moves fewer than this share of the pixels that it moved before, steps are as long as the radius again. */
const SPARSER = 0.95;
/** By what steps grow shorter elsewhere, and down to which share of the radius. */
const [SHORTER, SHORTEST] = [1.5, 0.1];
/** Share of the steps after which pixels and step size are looked at. */
const EVERY = 0.04;
/** Times the radius that the phases before the last keep within, and what share of the steps each of these takes. */
const [LARGER, EARLY] = [[3, 2], 0.3];

/** The phases of a run of so many steps; at least one is left for the radius itself. */
function phasesOf(steps: number, largerRadii: boolean): readonly Phase[] {
  const early = largerRadii ? Math.min(Math.ceil(EARLY * steps), Math.floor((steps - 1) / LARGER.length)) : 0;
  const before = early > 0 ? LARGER.map((times) => ({ steps: early, times })) : [];
  return [...before, { steps: steps - early * before.length, times: 1 }];
}

/**
 * APGD in the part of an L1 ball within the bounds (Croce and Hein 2021): steps move the pixels of the largest slopes, of those that are not on
 * their bounds, all by as much, and end at the nearest point of that part. How many pixels follows the highest place of a phase; step sizes go down from the
 * radius while that moves as many pixels. Runs come from larger radii, as AutoAttack's do.
 */
export class L1APGDAttack extends AutoPGDAttack<Options<typeof L1_OPTIONS>> {
  constructor(options: L1APGDOptions = {}) {
    super(L1, readDescent("L1APGDAttack", L1_OPTIONS, options));
  }

  protected climb({ task, best }: Search): Climb {
    const { images, count, bounds } = task;
    const { originals } = best;
    const { steps, largerRadii } = this.options;
    const phases = phasesOf(steps, largerRadii);
    const pixels = images.size / count;
    const numbers = (name: string): State => state(zeros([count]), { batched: true, name });
    const top = new Peak(task);
    const size = numbers("step size");
    const moved = numbers("pixels that a step moves");
    const before = numbers("pixels of the highest place at the last check");
    const check = state(zeros([]), { name: "whether pixels are looked at" });
    const shrinks = state(zeros([]), { name: "the next phase's radius as a share of this one's, where it begins" });
    // Of each step whether pixels are looked at, and how much smaller the radius gets.
    const table = phases.flatMap(({ steps: own, times }, k) => {
      const every = Math.max(Math.floor(EVERY * own), 1);
      const next = phases[k + 1];
      return Array.from({ length: own + Number(next !== undefined) }, (_, i) => ({
        check: Number(i > 0 && i % every === 0),
        shrinks: i === own && next !== undefined ? next.times / times : 0,
      }));
    });
    return {
      phases,
      tables: [
        { state: check, values: table.map((row) => row.check) },
        { state: shrinks, values: table.map((row) => row.shrinks) },
      ],
      next: (place) => {
        const { opens, radius, delta, gradient, held } = place;
        const peak = top.over(place);
        const due = check.greater(0);
        const dense = L0.distance(peak.delta);
        // A phase that goes on has the pixels of where it begins.
        const earlier = held(before, opens.greater(0).where(pixels, dense));
        const sparser = due.and(dense.less(earlier.mul(SPARSER)));
        const shorter = held(size, radius).div(SHORTER).maximum(radius.mul(SHORTEST));
        const pace = sparser.where(radius, due.where(shorter, held(size, radius)));
        const width = due
          .where(dense.mul(MOVED), held(moved, opens.greater(0).where(pixels * FIRST_MOVED, dense.mul(MOVED))))
          .maximum(1);
        const from = perSample(sparser, delta).where(peak.delta, delta);
        const uphill = perSample(sparser, delta).where(peak.gradient, gradient);
        const slopes = L0.project(withinReach(uphill.neg(), originals.add(from), bounds), width)
          .sign()
          .neg();
        const each = pace.div(L0.distance(slopes).maximum(1));
        const step = from.add(slopes.mul(perSample(each, delta)));
        assign(size, pace);
        assign(moved, width);
        assign(before, due.where(dense, earlier));
        const ends = shrinks.greater(0);
        const target = ends.where(peak.delta, step);
        return projectL1(target, ends.where(radius.mul(shrinks), radius), roomOf(originals, target, bounds));
      },
    };
  }
}
