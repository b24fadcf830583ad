// evaluate: loss and metrics of a model on a whole data set at once.
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { Module } from "../nn/index.js";
import { abortSignal, knownOptions, type Names } from "../options.js";
import { checkMetrics, type Metrics } from "./history.js";
import { type Evaluation, Pass } from "./pass.js";

export interface EvaluateOptions<M extends Metrics> {
  loss?: Loss;
  metrics?: M;
  signal?: AbortSignal | undefined;
}

const OPTIONS: Names<EvaluateOptions<Metrics>> = { loss: true, metrics: true, signal: true };

/**
 * Loss and metrics of all samples as one batch (a KR value is no mean of batch means). The model is put into evaluation
 * mode and back. Memory does not grow with the number of samples. States keep their values: what `forward` assigns, as a loss with
 * memory does, counts for the figures alone, and a `Generator` draws what the next step of a training draws, each time the same.
 */
export async function evaluate<M extends Metrics = Record<never, never>>(
  model: Module,
  dataset: Dataset,
  options: EvaluateOptions<M> = {},
): Promise<{ [K in keyof M & string]: number } & { loss?: number }> {
  if (!((model as unknown) instanceof Module)) {
    throw invalid(`evaluate takes a Module, a Dataset and options; the first argument is ${describe(model)}`);
  }
  if (!((dataset as unknown) instanceof Dataset)) {
    throw invalid(
      `evaluate takes a Module, then a Dataset, as fromArrays() makes one; the second is ${describe(dataset)}`,
    );
  }
  const { loss, metrics, signal } = knownOptions("evaluate", OPTIONS, options);
  abortSignal.read("signal", signal);
  if (loss !== undefined && typeof loss?.forward !== "function") {
    throw invalid(`loss must have forward(outputs, targets), as an HKRMulticlassLoss has; given ${describe(loss)}`);
  }
  checkMetrics(metrics);
  return (await new Evaluator(model, dataset, { loss, metrics }).run(signal)) as {
    [K in keyof M & string]: number;
  } & { loss?: number };
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}

/** Evaluates a model again and again, recorded once as long as nothing changes that the recording rests on. */
export class Evaluator {
  readonly #model: Module;
  readonly #dataset: Dataset;
  readonly #evaluation: Evaluation;
  #recorded: Pass | undefined;

  constructor(model: Module, dataset: Dataset, evaluation: Evaluation) {
    this.#model = model;
    this.#dataset = dataset;
    this.#evaluation = evaluation;
  }

  /** What is run. */
  record(): Pass {
    const known = this.#recorded;
    if (known !== undefined && this.#model.evaluating(() => known.current)) return known;
    this.#recorded = Pass.evaluation(this.#model, this.#dataset, this.#evaluation);
    return this.#recorded;
  }

  /** The figures by their names. */
  async run(signal: AbortSignal | undefined): Promise<Record<string, number>> {
    const { loss, metrics = {} } = this.#evaluation;
    const { scalars } = await this.record().run({ signal });
    const names = [...(loss === undefined ? [] : ["loss"]), ...Object.keys(metrics)];
    return Object.fromEntries(names.map((name, i) => [name, scalars[i] ?? Number.NaN]));
  }
}
