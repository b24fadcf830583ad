// certifiedAuroc: how well the score of a one-class model ranks samples, whatever perturbations up to a norm do to each of them.
import { type Ends, isOne } from "../certify/outputs.js";
import type { Module } from "../nn/index.js";
import { readOptions, type Schema } from "../options.js";
import { BATCHES, exported, held, ofOutputs, type PassOptions, radiiOf, type Samples } from "./batches.js";

/** Options of {@link certifiedAuroc}. */
export type CertifiedAurocOptions = PassOptions;

/** What {@link certifiedAuroc} finds. */
export interface CertifiedAuroc {
  readonly radii: readonly number[];
  /** Of the scores as they are computed. */
  readonly clean: number;
  /** At each radius: no perturbation of L2 norm at most that of each sample makes it less. */
  readonly certified: readonly number[];
  /** How many samples there are. */
  readonly positives: number;
  readonly negatives: number;
  /** Proved upper bound of the L2 Lipschitz constant of the score. */
  readonly lipschitz: number;
}

const OPTIONS = BATCHES satisfies Schema<keyof CertifiedAurocOptions>;

/**
 * The area under the ROC curve of a model of one output, the score, which is to be larger for positives than for negatives: the share of all pairs that it
 * ranks so, ties counted half (Hanley and McNeil 1982). At a radius ε in units of what enters the first layer it is that of the least scores that
 * positives and the largest that negatives can have within ε of each sample, f - L ε and f + L ε with the proved L, and what float32 may round: the
 * ranking of no pair can be made worse than by both of these, so that the AUROC of samples perturbed by up to ε is not less. As signed distances of
 * one-class models have it (Béthune et al. 2023, "Robust One-Class Classification with Signed Distance Function using 1-Lipschitz Neural Networks"), with L proved
 * of the weights. It speaks of these samples; no claim is made about others.
 * @throws TslipError `SHAPE_MISMATCH` for other outputs, `EMPTY_DATASET` without positives or negatives, and what `certify` does
 */
export async function certifiedAuroc(
  model: Module,
  positives: Samples,
  negatives: Samples,
  radii: readonly number[],
  options: CertifiedAurocOptions = {},
): Promise<CertifiedAuroc> {
  const network = exported("certifiedAuroc", "a Module, positives, negatives and radii", model);
  const asked = radiiOf(radii);
  const batches = readOptions("certifiedAuroc", OPTIONS, options);
  const sets = await Promise.all([held("positives", positives), held("negatives", negatives)]);
  let lipschitz = 0;
  const [high = [], low = []] = await ofOutputs("certifiedAuroc", network, sets, batches, async (outputs) => {
    outputs.check(isOne, "one score a sample, [n] or [n, 1]");
    lipschitz = Math.max(lipschitz, ...outputs.lipschitz);
    return await outputs.intervals(asked, ([score = Number.NaN], within) => ({ score, within }));
  });
  const end = (which: "lower" | "upper", at: number) => (one: { within: Ends[] }) =>
    one.within[at]?.[which][0] ?? Number.NaN;
  const score = (one: { score: number }): number => one.score;
  return {
    radii: asked,
    clean: auroc(high.map(score), low.map(score)),
    certified: asked.map((_, at) => auroc(high.map(end("lower", at)), low.map(end("upper", at)))),
    positives: high.length,
    negatives: low.length,
    lipschitz,
  };
}

/** The share of pairs of which the first is the larger, ties counted half. */
function auroc(high: readonly number[], low: readonly number[]): number {
  const sorted = Float64Array.from(low).sort();
  const pairs = high.reduce((sum, score) => {
    const below = firstOf(sorted, (other) => other >= score);
    const tied = firstOf(sorted, (other) => other > score) - below;
    return sum + below + tied / 2;
  }, 0);
  return pairs / (high.length * low.length);
}

/** The first place of sorted numbers from which on something holds. */
function firstOf(sorted: Float64Array, holds: (value: number) => boolean): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (holds(sorted[middle] as number)) to = middle;
    else from = middle + 1;
  }
  return from;
}
