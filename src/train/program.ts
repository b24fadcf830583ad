// Training and evaluation steps as programs of the engine, fed from a data set that lives there.
import type { Dataset } from "../data/dataset.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import type { Job, Progress, RunResult } from "../native.js";
import type { Module } from "../nn/index.js";
import { scaledImages } from "../nn/module.js";
import type { Optimizer } from "../optim/index.js";
import { assign, grad, Program, type State, Tensor } from "../tensor/index.js";
import type { Metrics } from "./history.js";
import { runReporting } from "./run.js";
import type { TrainingPosition } from "./state.js";

/** Scalars of one step: the loss, if there is one, then the metrics in the order of their keys. */
type Terms = readonly Tensor[];

const IMAGES = 0;
const LABELS = 1;
const FED = new Uint8Array(0);

/** Loss and metrics of a batch of raw images and labels. */
function terms(
  model: Module,
  dataset: Dataset,
  [images, labels]: readonly [Tensor, Tensor],
  loss: Loss | undefined,
  metrics: Metrics,
): Terms {
  const logits = model.forward(scaledImages(images));
  if (logits.rank !== 2 || logits.shape[0] !== labels.shape[0]) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `the model maps ${images.shape.join("x")} to ${logits.shape.join("x")}; logits must have shape [n, classes]`,
    );
  }
  checkClasses(dataset, logits);
  const measured = Object.entries(metrics).map(([name, metric]) => scalarOf(name, metric(logits, labels)));
  return loss === undefined ? measured : [scalarOf("loss", loss.forward(logits, labels)), ...measured];
}

function scalarOf(name: string, value: Tensor): Tensor {
  if (value instanceof Tensor && value.rank === 0 && value.dtype === "f32") return value;
  const given = value instanceof Tensor ? `${value.dtype} of shape [${value.shape.join(", ")}]` : typeof value;
  throw new TslipError("SHAPE_MISMATCH", `${name} must be a scalar f32 tensor, it is ${given}; reduce it with mean()`);
}

/** Refuses a data set with labels that the model has no logit for; a single logit is a score, not a class. */
function checkClasses(dataset: Dataset, logits: Tensor): void {
  const classes = logits.shape[1] ?? 0;
  const at = classes > 1 ? dataset.labelsRaw.findIndex((label) => label >= classes) : -1;
  if (at < 0) return;
  throw new TslipError(
    "LABEL_OUT_OF_RANGE",
    `labels[${at}] is ${dataset.labelsRaw[at]}; the model has ${classes} logits, for labels from 0 to ${classes - 1}`,
  );
}

/** A program of `size` samples of a data set. */
function record(dataset: Dataset, size: number, body: (images: Tensor, labels: Tensor) => Terms): Program<Terms> {
  return Program.record(body, [
    { shape: [size, ...dataset.shape], dtype: dataset.imageDtype, batched: true },
    { shape: [size], dtype: "i32", batched: true },
  ]);
}

/** One step of training on `size` samples; it counts as one of the position, if there is one. */
export function trainingProgram(
  model: Module,
  dataset: Dataset,
  size: number,
  loss: Loss,
  metrics: Metrics,
  optimizer: Optimizer,
  position?: TrainingPosition,
): Program<Terms> {
  return record(dataset, size, (images, labels) => {
    const values = terms(model, dataset, [images, labels], loss, metrics);
    const parameters = model.parameters();
    optimizer.update(parameters, grad(values[0] ?? labels, parameters));
    if (position !== undefined) assign(position.steps, position.steps.add(1));
    return values;
  });
}

/** Loss and metrics of `size` samples. */
export function evaluationProgram(
  model: Module,
  dataset: Dataset,
  size: number,
  loss: Loss | undefined,
  metrics: Metrics,
): Program<Terms> {
  return record(dataset, size, (images, labels) => terms(model, dataset, [images, labels], loss, metrics));
}

/** Programs with the steps each is run for, the order of the samples and the scalars that vary from step to step. */
export interface Run {
  parts: readonly { program: Program<Terms>; steps: number }[];
  order: Uint32Array;
  tables?: readonly { state: State; values: Float32Array }[];
  signal?: AbortSignal | undefined;
  onProgress?: Progress;
}

/**
 * Runs programs over a data set in one native call. Rejects with the signal's reason within one step of its abort; the
 * last whole step stays.
 */
export async function runOver(dataset: Dataset, run: Run): Promise<RunResult> {
  const [first] = run.parts;
  if (first === undefined)
    throw new TslipError("EMPTY_DATASET", "there is nothing to run over: the data set has no samples");
  const job: Job = {
    segments: run.parts.map(({ program, steps }) => ({ plan: program.plan, steps })),
    inputs: first.program.inputs([FED, FED]),
    dataset: { id: dataset.engineId(), order: run.order, imageInput: IMAGES, labelInput: LABELS },
    tables: (run.tables ?? []).map(({ state, values }) => ({ state: state.id, values })),
  };
  return await runReporting(job, run.signal, run.onProgress);
}
