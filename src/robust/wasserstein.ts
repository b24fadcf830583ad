// wassersteinLowerBound: how far two distributions are apart at least, by a Lipschitz critic on samples that it has not seen.
import { type Bounds, checkWithin, limits, pixelBounds } from "../attacks/space.js";
import { isOne } from "../certify/outputs.js";
import { lightOf } from "../data/dataset.js";
import { TslipError } from "../errors.js";
import type { Module } from "../nn/index.js";
import { nextTurn } from "../node/index.js";
import { number, readOptions, type Schema } from "../options.js";
import { showShape, sizeOf } from "../tensor/shape.js";
import { BATCHES, exported, type Held, held, ofOutputs, type PassOptions, type Samples } from "./batches.js";

/** Options of {@link wassersteinLowerBound}. */
export interface WassersteinOptions extends PassOptions {
  /** How probable it is at least that the bound holds; by default 0.95. */
  confidence?: number;
  /**
   * What values all samples of both distributions have, those that were not drawn among them, as the model sees them; by default [0, 1], as bytes
   * divided by 255 have.
   */
  bounds?: Bounds;
}

/** What {@link wassersteinLowerBound} finds; distances are in units of what enters the first layer. */
export interface WassersteinBound {
  /** With probability `confidence` the Wasserstein-1 distance of the two distributions is at least this; never less than 0. */
  readonly distance: number;
  /** The difference of the means of the critic on both samples, over `lipschitz`: the estimate of which `distance` is the lower end. */
  readonly estimate: number;
  /** Means of the critic on the first and the second sample. */
  readonly means: readonly [number, number];
  /** How far the mean of each distribution may be from that of its sample, in units of the critic. */
  readonly deviations: readonly [number, number];
  /** How many samples there are of each. */
  readonly samples: readonly [number, number];
  /** Proved upper bound of the L2 Lipschitz constant of the critic. */
  readonly lipschitz: number;
  readonly confidence: number;
}

const OPTIONS = {
  ...BATCHES,
  confidence: number("above 0 and below 1", (value) => value > 0 && value < 1, 0.95),
  bounds: pixelBounds,
} satisfies Schema<keyof WassersteinOptions>;

/**
 * A lower bound of the Wasserstein-1 distance, with the L2 norm, of the distributions P and Q that two samples were drawn from, by a critic of one output
 * that is larger on the first: a monitor of drift, where P is what was and Q what is now.
 *
 * An L-Lipschitz f has W1(P, Q) >= (E_P f - E_Q f) / L (Kantorovich and Rubinstein; Villani 2009, "Optimal Transport", remark 6.5), whatever f is. L is
 * proved of the weights (`certify`), and the means are bounded by the empirical Bernstein inequality (Maurer and Pontil 2009, "Empirical Bernstein
 * Bounds and Sample Variance Penalization", theorem 4): with probability 1 - δ a mean of n independent values in an interval of length M
 * and of sample variance V is above its expectation by no more than sqrt(2 V ln(2 / δ) / n) + 7 M ln(2 / δ) / (3 (n - 1)). Each of the two means has δ = (1 -
 * confidence) / 2. M is proved, too: the critic's values are within L times the diagonal of the box of all samples with d values within `bounds`,
 * M = L (high - low) sqrt(d). What float32 rounds in the critic's values is counted against the bound.
 *
 * It holds for any P and Q within `bounds`, if the samples are independent draws from them and neither the critic nor anything of its training has seen
 * them. A bound of 0 says nothing; a critic that is larger on the second sample gives 0, too: exchange the samples. Where M / n is large against the
 * distance more samples are needed.
 * @throws TslipError `SHAPE_MISMATCH` for other outputs and samples of two shapes, `EMPTY_DATASET` for fewer than two samples of either, `INVALID_ARGUMENT` for samples
 * outside of `bounds`, and what `certify` does
 */
export async function wassersteinLowerBound(
  critic: Module,
  first: Samples,
  second: Samples,
  options: WassersteinOptions = {},
): Promise<WassersteinBound> {
  const network = exported("wassersteinLowerBound", "a Module and two samples", critic);
  const { confidence, bounds, ...batches } = readOptions("wassersteinLowerBound", OPTIONS, options);
  const sets = await Promise.all([held("the first sample", first, 2), held("the second sample", second, 2)]);
  checkAlike(sets);
  for (const set of sets) await checkSet(set, bounds);
  let lipschitz = 0;
  const [p = [], q = []] = await ofOutputs("wassersteinLowerBound", network, sets, batches, async (outputs) => {
    outputs.check(isOne, "one value a sample, [n] or [n, 1]");
    [lipschitz = 0] = outputs.lipschitz;
    return await outputs.intervals([0], ([value = Number.NaN], [ends]) => ({
      value,
      off: (ends?.upper[0] ?? Number.POSITIVE_INFINITY) - value,
    }));
  });
  const [, ...sample] = sets[0]?.shape ?? [];
  const [low, high] = limits(bounds);
  const range = lipschitz * (high - low) * Math.sqrt(sizeOf(sample));
  const [of, against] = [p, q].map((values) => meanOf(values, range, (1 - confidence) / 2)) as [Mean, Mean];
  const proved = of.mean - of.deviation - (against.mean + against.deviation);
  // Sums of n terms in float64, each rounded n + 2 times at most, and what little is computed of them.
  const magnitude = of.magnitude + of.deviation + against.magnitude + against.deviation;
  const rounding = (Math.max(p.length, q.length) + 64) * Number.EPSILON * magnitude;
  const perUnit = (value: number): number => (lipschitz === 0 ? 0 : value / lipschitz);
  return {
    distance: Math.max(0, perUnit(proved - rounding)),
    estimate: perUnit(of.mean - against.mean),
    means: [of.mean, against.mean],
    deviations: [of.deviation, against.deviation],
    samples: [p.length, q.length],
    lipschitz,
    confidence,
  };
}

/** Refuses samples of two shapes, between which there is no distance. */
function checkAlike([{ shape: first }, { shape: second }]: readonly [Held, Held]): void {
  if (first.length === second.length && first.every((extent, axis) => axis === 0 || extent === second[axis])) return;
  throw new TslipError(
    "SHAPE_MISMATCH",
    `both samples must have one shape, but for how many there are; given ${showShape(first)} and ${showShape(second)}`,
    { shapes: [first, second] },
  );
}

/** Values that are looked at in one turn of the event loop. */
const PER_TURN = 2 ** 20;

/** Refuses samples outside of the box that the range of the critic is proved of. */
async function checkSet({ values, shape: [samples = 0, ...sample] }: Held, bounds: Bounds): Promise<void> {
  const size = sizeOf(sample);
  const perTurn = Math.max(1, Math.floor(PER_TURN / size));
  for (let start = 0; start < samples; start += perTurn) {
    const some = values.subarray(start * size, Math.min(samples, start + perTurn) * size);
    checkWithin(some instanceof Uint8Array ? lightOf(some) : some, size, bounds, start);
    await nextTurn();
  }
}

/** A value of the critic, and by how much it may be off. */
interface Scored {
  readonly value: number;
  readonly off: number;
}

/** The mean of a sample. */
interface Mean {
  readonly mean: number;
  /** How far the expectation may be from it, on one side, with the probability that was asked for. */
  readonly deviation: number;
  /** The mean of magnitudes. */
  readonly magnitude: number;
}

/**
 * The empirical Bernstein inequality of values within an interval of length `range`. Exact values are within `off` of those that are known: their mean is
 * within the largest of these, and their standard deviation, a seminorm, within sqrt(n / (n - 1)) times that.
 */
function meanOf(values: readonly Scored[], range: number, risk: number): Mean {
  const n = values.length;
  const sum = (of: (one: Scored) => number): number => values.reduce((total, one) => total + of(one), 0);
  const mean = sum(({ value }) => value) / n;
  const off = values.reduce((most, one) => Math.max(most, one.off), 0);
  const spread = Math.sqrt(sum(({ value }) => (value - mean) ** 2) / (n - 1)) + Math.sqrt(n / (n - 1)) * off;
  const logarithm = Math.log(2 / risk);
  const deviation = spread * Math.sqrt((2 * logarithm) / n) + (7 * range * logarithm) / (3 * (n - 1)) + off;
  return { mean, deviation, magnitude: sum(({ value }) => Math.abs(value)) / n };
}
