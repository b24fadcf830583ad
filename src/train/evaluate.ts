// evaluate: loss and metrics of a model on a whole data set at once.
import { Dataset } from "../data/dataset.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import type { Module } from "../nn/index.js";
import { inOrder } from "./batches.js";
import type { Metrics } from "./history.js";
import { evaluationProgram, runOver } from "./program.js";

export interface EvaluateOptions<M extends Metrics> {
  loss?: Loss;
  metrics?: M;
  signal?: AbortSignal | undefined;
}

/**
 * Loss and metrics of all samples as one batch (a KR value is no mean of batch means). The model is put into evaluation
 * mode and back. Memory does not grow with the number of samples.
 */
export async function evaluate<M extends Metrics = Record<never, never>>(
  model: Module,
  dataset: Dataset,
  options: EvaluateOptions<M> = {},
): Promise<{ [K in keyof M & string]: number } & { loss?: number }> {
  if (!(dataset instanceof Dataset)) {
    throw new TslipError("INVALID_ARGUMENT", "evaluate takes a model and a Dataset; make one with fromArrays()");
  }
  const { loss, metrics = {} as M, signal } = options;
  const program = model.evaluating(() => evaluationProgram(model, dataset, dataset.length, loss, metrics));
  const { scalars } = await runOver(dataset, {
    parts: [{ program, steps: 1 }],
    order: inOrder(dataset.length),
    signal,
  });
  const names = [...(loss === undefined ? [] : ["loss"]), ...Object.keys(metrics)];
  return Object.fromEntries(names.map((name, i) => [name, scalars[i]])) as {
    [K in keyof M & string]: number;
  } & { loss?: number };
}
