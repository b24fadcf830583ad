// What training reports: a record an epoch, typed by the metrics.
import type { Metric } from "../metrics/index.js";

/** Metrics by the names under which they are reported. */
export type Metrics = Readonly<Record<string, Metric>>;

/** Figures of one epoch. `loss` is the last batch's, metrics are means over the batches; `val_` ones are of the whole set. */
export type EpochRecord<M extends Metrics> = {
  epoch: number;
  loss: number;
  /** Seconds of training, without validation. */
  seconds: number;
  imagesPerSecond: number;
} & { [K in keyof M & string]: number } & { [K in "val_loss" | `val_${keyof M & string}`]?: number };

/** What `fit` resolves to. */
export interface History<M extends Metrics> {
  epochs: EpochRecord<M>[];
}

/** The notebook's line: `loss: 1.2345 - acc: … - val_loss: …`, four decimals. */
export function describeEpoch(
  record: Readonly<Record<string, number | undefined>>,
  metrics: readonly string[],
): string {
  const names = ["loss", ...metrics];
  return [...names, ...names.map((name) => `val_${name}`)]
    .filter((name) => record[name] !== undefined)
    .map((name) => `${name}: ${(record[name] ?? Number.NaN).toFixed(4)}`)
    .join(" - ");
}
