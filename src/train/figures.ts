// Figures of an epoch: means over its samples of what its steps gave.
import type { Dataset } from "../data/dataset.js";
import type { Loss } from "../losses/index.js";
import type { StepFigures } from "./callback.js";
import type { Metrics } from "./history.js";

/** How much a sample of the data set counts in the loss. */
export type WeightOf = (sample: number) => number;

/** The samples of each of an epoch's steps, as indices of the data set. */
export type Batches = readonly Uint32Array[];

/** What each step gave, by name; `scalars` has one after another the values of each step in the order of the names. */
export function stepFigures(names: readonly string[], scalars: Float64Array): StepFigures {
  const steps = scalars.length / names.length;
  const figure = (_: string, i: number) =>
    Float64Array.from({ length: steps }, (_, step) => scalars[step * names.length + i] ?? Number.NaN);
  return Object.fromEntries(names.map((name, i) => [name, figure(name, i)]));
}

/**
 * Means over samples: the value of a step counts as often as it has samples that the loss, or the metric, counts. Those of the class
 * `ignoreIndex` of the loss or metric, or of the data set, are not among them. In the loss samples count as they are weighed.
 */
export function meansOf(
  figures: StepFigures,
  batches: Batches,
  dataset: Dataset,
  measured: { readonly loss: Loss; readonly metrics: Metrics; readonly weightOf?: WeightOf | undefined },
): Record<string, number> {
  const counts = new Map<number | undefined, readonly number[]>();
  const countedBy = (owner: unknown): readonly number[] => {
    const ignored = ignoredBy(owner) ?? dataset.ignoreIndex;
    const known = counts.get(ignored) ?? batches.map((batch) => counted(batch, dataset, ignored));
    counts.set(ignored, known);
    return known;
  };
  const { loss, weightOf } = measured;
  const weights =
    weightOf && batches.map((batch) => weighed(batch, dataset, ignoredBy(loss) ?? dataset.ignoreIndex, weightOf));
  const owners: Readonly<Record<string, unknown>> = { ...measured.metrics, loss: measured.loss };
  return Object.fromEntries(
    Object.entries(figures).map(([name, values]) => [
      name,
      weightedMean(values, (name === "loss" ? weights : undefined) ?? countedBy(owners[name])),
    ]),
  );
}

/** The mean of values that count so often; what does not count may be NaN. */
function weightedMean(values: Float64Array, weights: readonly number[]): number {
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.reduce((sum, weight, i) => (weight === 0 ? sum : sum + weight * (values[i] ?? Number.NaN)), 0) / all;
}

function ignoredBy(owner: unknown): number | undefined {
  const ignored: unknown = (owner as { ignoreIndex?: unknown }).ignoreIndex;
  return typeof ignored === "number" ? ignored : undefined;
}

function counted(batch: Uint32Array, { labelsRaw }: Dataset, ignored: number | undefined): number {
  if (ignored === undefined || labelsRaw.length === 0) return batch.length;
  return batch.reduce((count, sample) => count + (labelsRaw[sample] === ignored ? 0 : 1), 0);
}

/** What the samples of a batch that count weigh together. */
function weighed(batch: Uint32Array, { labelsRaw }: Dataset, ignored: number | undefined, weightOf: WeightOf): number {
  return batch.reduce(
    (sum, sample) => sum + (ignored !== undefined && labelsRaw[sample] === ignored ? 0 : weightOf(sample)),
    0,
  );
}
