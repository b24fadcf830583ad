// What training reports: a record an epoch, typed by the metrics.

import { describe } from "../describe.js";
import type { ChosenDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Metric } from "../metrics/index.js";

/** Metrics by the names under which they are reported. */
export type Metrics = Readonly<Record<string, Metric>>;

/**
 * Figures of one epoch. Loss and metrics are means over its samples, while the weights change: what a batch gives counts as often as the
 * batch has samples that the loss or metric counts, which are not those of its class `ignoreIndex` (of one without that field, of the data
 * set's). A loss that is no mean over samples itself, as KR and HKR with their shares of classes, has no such value of the whole epoch;
 * the `val_` figures are of the whole set at once, as those of `evaluate` are.
 */
export type EpochRecord<M extends Metrics> = {
  epoch: number;
  loss: number;
  /** Seconds of training, without validation. */
  seconds: number;
  imagesPerSecond: number;
} & { [K in keyof M & string]: number } & { [K in "val_loss" | `val_${keyof M & string}`]?: number };

/** What `fit` resolves to. */
export interface History<M extends Metrics> {
  /** Where the model was trained. */
  device: ChosenDevice;
  epochs: EpochRecord<M>[];
}

const RESERVED: ReadonlySet<string> = new Set(["epoch", "loss", "seconds", "imagesPerSecond"]);

/** The figures of each record of a training, in their order. */
export function figureNames(metrics: Metrics, validated: boolean): string[] {
  const measured = ["loss", ...Object.keys(metrics)];
  return [
    "epoch",
    ...measured,
    "seconds",
    "imagesPerSecond",
    ...(validated ? measured.map((name) => `val_${name}`) : []),
  ];
}

/** Refuses metrics that are no functions, or whose names records and figures need for others. */
export function checkMetrics(metrics: Metrics = {}): void {
  const refuse = (message: string): never => {
    throw new TslipError("INVALID_ARGUMENT", message);
  };
  if (typeof metrics !== "object" || metrics === null || Array.isArray(metrics)) {
    refuse(`metrics are a record of functions by name, such as { acc: accuracy() }; given ${describe(metrics)}`);
  }
  for (const [name, metric] of Object.entries(metrics)) {
    if (typeof metric !== "function")
      refuse(`metric ${name} must be a function, as accuracy() gives one; given ${describe(metric)}`);
    if (RESERVED.has(name) || name.startsWith("val_"))
      refuse(`a metric cannot be called ${name}: records have that field`);
  }
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
