// Training and evaluation steps as programs of the engine, fed from a data set that lives there.
import type { Dataset } from "../data/dataset.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { demandIndices } from "../losses/targets.js";
import type { Job, Progress, RunResult } from "../native.js";
import type { Module } from "../nn/index.js";
import { scaledImages } from "../nn/module.js";
import type { Optimizer } from "../optim/index.js";
import { demandsOf } from "../tensor/demand.js";
import { assign, grad, Program, type State, Tensor } from "../tensor/index.js";
import type { Metrics } from "./history.js";
import { runReporting } from "./run.js";
import type { TrainingPosition } from "./state.js";

/** Scalars of one step: the loss, if there is one, then the metrics in the order of their keys. */
type Terms = readonly Tensor[];

const IMAGES = 0;
const TARGETS = 1;
const FED = new Uint8Array(0);

/** Loss and metrics of a batch of raw images and targets. All targets of the data set must be such as they take. */
function terms(
  model: Module,
  dataset: Dataset,
  [images, targets]: readonly [Tensor, Tensor],
  loss: Loss | undefined,
  metrics: Metrics,
): Terms {
  const outputs = model.forward(scaledImages(images));
  if (outputs.rank === 0 || outputs.shape[0] !== targets.shape[0]) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `the model maps ${images.shape.join("x")} to [${outputs.shape.join(", ")}]; outputs must have shape [n, ...], a row a sample`,
    );
  }
  const measured = Object.entries(metrics).map(([name, metric]) => scalarOf(name, metric(outputs, targets)));
  const values = loss === undefined ? measured : [scalarOf("loss", loss.forward(outputs, targets)), ...measured];
  // What a loss of the user's own makes of labels without a logit is not known; a single logit is a score, not a class.
  const classes = outputs.rank === 2 && targets.dtype === "i32" ? (outputs.shape[1] ?? 0) : 0;
  if (classes > 1 && demandsOf(targets).length === 0) demandIndices(targets, classes);
  for (const check of demandsOf(targets)) check(dataset.targetsRaw);
  return values;
}

function scalarOf(name: string, value: Tensor): Tensor {
  if (value instanceof Tensor && value.rank === 0 && value.dtype === "f32") return value;
  const given = value instanceof Tensor ? `${value.dtype} of shape [${value.shape.join(", ")}]` : typeof value;
  throw new TslipError("SHAPE_MISMATCH", `${name} must be a scalar f32 tensor, it is ${given}; reduce it with mean()`);
}

/** A program of `size` samples of a data set. */
function record(dataset: Dataset, size: number, body: (images: Tensor, targets: Tensor) => Terms): Program<Terms> {
  const { shape, imageDtype, target } = dataset;
  return Program.record(body, [
    { shape: [size, ...shape], dtype: imageDtype, batched: true },
    { shape: [size, ...target.shape], dtype: target.dtype, batched: true },
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
  return record(dataset, size, (images, targets) => {
    const values = terms(model, dataset, [images, targets], loss, metrics);
    const parameters = model.parameters();
    optimizer.update(parameters, grad(values[0] ?? targets, parameters));
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
  return record(dataset, size, (images, targets) => terms(model, dataset, [images, targets], loss, metrics));
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
    dataset: { id: dataset.engineId(), order: run.order, imageInput: IMAGES, targetInput: TARGETS },
    tables: (run.tables ?? []).map(({ state, values }) => ({ state: state.id, values })),
  };
  return await runReporting(job, run.signal, run.onProgress);
}
