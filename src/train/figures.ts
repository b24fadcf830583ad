// Figures of an epoch: means over its samples of what its steps gave.
import type { Dataset } from "../data/dataset.js";
import type { Loss } from "../losses/index.js";
import type { RunResult } from "../native.js";
import type { StepFigures } from "./callback.js";
import type { Metrics } from "./history.js";

/** The samples of each of an epoch's steps, as indices of the data set. */
export type Batches = readonly Uint32Array[];

/** What the steps of a run gave. */
export interface Given {
  readonly figures: StepFigures;
  /** How much the samples of each step count together in the loss, where a step says so. */
  readonly totals: Float64Array | undefined;
}

/** The figures of the steps of a run, by names in the order of its scalars, behind which may be what the loss was divided by. */
export function givenBy(names: readonly string[], { scalars, steps }: Pick<RunResult, "scalars" | "steps">): Given {
  const width = scalars.length / steps;
  const column = (i: number) =>
    Float64Array.from({ length: steps }, (_, step) => scalars[step * width + i] ?? Number.NaN);
  return {
    figures: Object.fromEntries(names.map((name, i) => [name, column(i)])),
    totals: width > names.length ? column(names.length) : undefined,
  };
}

/**
 * Means over samples: the loss of a step counts as much as its samples weigh, and what else there is as often as it has samples that the
 * loss, or the metric, counts. Those of its class `ignoreIndex` are not among them; of one that does not say which class it ignores, if
 * any, those of the data set's.
 */
export function meansOf(
  { figures, totals }: Given,
  batches: Batches,
  dataset: Dataset,
  measured: { readonly loss: Loss; readonly metrics: Metrics },
): Record<string, number> {
  const counts = new Map<number | undefined, readonly number[]>();
  const countsOf = (owner: object): readonly number[] => {
    const ignored = ignoredBy(owner, dataset);
    const known = counts.get(ignored) ?? batches.map((batch) => samplesThatCount(batch, dataset, ignored));
    counts.set(ignored, known);
    return known;
  };
  const owners: Readonly<Record<string, object>> = { ...measured.metrics, loss: measured.loss };
  return Object.fromEntries(
    Object.entries(figures).map(([name, values]) => [
      name,
      weightedMean(values, (name === "loss" ? totals : undefined) ?? countsOf(owners[name] ?? {})),
    ]),
  );
}

/** The mean of values that count so often; what does not count may be NaN. */
function weightedMean(values: Float64Array, weights: ArrayLike<number>): number {
  let [sum, all] = [0, 0];
  values.forEach((value, i) => {
    const weight = weights[i] ?? 0;
    all += weight;
    if (weight !== 0) sum += weight * value;
  });
  return sum / all;
}

function ignoredBy(owner: object, dataset: Dataset): number | undefined {
  const { ignoreIndex }: { ignoreIndex?: unknown } = "ignoreIndex" in owner ? owner : dataset;
  return typeof ignoreIndex === "number" ? ignoreIndex : undefined;
}

function samplesThatCount(batch: Uint32Array, { labelsRaw }: Dataset, ignored: number | undefined): number {
  if (ignored === undefined || labelsRaw.length === 0) return batch.length;
  return batch.reduce((count, sample) => count + (labelsRaw[sample] === ignored ? 0 : 1), 0);
}
