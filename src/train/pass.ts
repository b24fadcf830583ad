// A pass over a data set in batches: loss and metrics of each, in training with a step of the optimizer, in one native call.
import type { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import type { Projection, Regularizer } from "../enforcement/index.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { asMixture, demandIndices } from "../losses/targets.js";
import { type Progress, type RunResult, runCancellable } from "../native.js";
import { Fields } from "../nn/fields.js";
import { forwarded } from "../nn/flow.js";
import type { Module } from "../nn/index.js";
import { scaledImages } from "../nn/module.js";
import { gradientClip } from "../optim/clip.js";
import type { GradientClip, Optimizer } from "../optim/index.js";
import { demandsOf } from "../tensor/demand.js";
import { assign, grad, Program, type State, Tensor } from "../tensor/index.js";
import { currentTrace, latest } from "../tensor/trace.js";
import { type Augmentation, type AugmentationSamples, augmented, drawsOf } from "./augment.js";
import { batchSizes, inOrder, stepsBetween } from "./batches.js";
import type { Callback } from "./callback.js";
import { stepOfEpoch } from "./epoch-step.js";
import { failureOf, wholeOrNothing } from "./guard.js";
import type { Metrics } from "./history.js";
import type { TrainingPosition } from "./state.js";
import { SampleWeights, type WeighedLoss, weighedLoss } from "./weights.js";

/**
 * Scalars of one step: the loss, if there is one, then the metrics in the order of their keys; after them, in training, what the loss was
 * divided by, unless all samples count alike, and the bool that says that the step has changed nothing.
 */
type Terms = readonly Tensor[];

const IMAGES = 0;
const TARGETS = 1;
const FED = new Uint8Array(0);
/** On a GPU it is looked at after so many steps whether one has failed: to look costs as much as a small step. */
const LOOK_EVERY = 32;

/** What a step of training consists of. */
export interface Training {
  readonly batchSize: number;
  readonly loss: Loss;
  readonly optimizer: Optimizer;
  readonly metrics?: Metrics | undefined;
  /** Terms that are added to the loss for the gradients; the loss that is reported goes without them. */
  readonly regularizers?: readonly Regularizer[] | undefined;
  /** Where the weights are put after each step. */
  readonly projection?: Projection | undefined;
  /** How much the samples of each class count in the loss. */
  readonly classWeights?: readonly number[] | undefined;
  /** How much each sample counts in the loss. */
  readonly sampleWeights?: ArrayLike<number> | undefined;
  readonly gradientClip?: GradientClip | undefined;
  readonly augment?: readonly Augmentation[] | undefined;
  /** Determines what augmentations draw. */
  readonly seed?: number | undefined;
  /** What takes part in steps, where it does. */
  readonly callbacks?: readonly Pick<Callback<never>, "onStep">[] | undefined;
  /** Each step counts as one of it. */
  readonly position?: TrainingPosition | undefined;
}

/** What is measured. */
export interface Evaluation {
  readonly loss?: Loss | undefined;
  readonly metrics?: Metrics | undefined;
}

/** What the steps of a training have besides. */
interface Kept {
  /** Says that a step has changed nothing. */
  readonly failed?: State;
  /** The number of the step in its epoch, where something follows from it. */
  readonly step?: State | undefined;
  readonly weights?: SampleWeights | undefined;
}

/** What training does to samples, and asks of its loss, besides. */
interface InTraining {
  readonly fed?: (samples: AugmentationSamples) => AugmentationSamples;
  readonly totalWeight?: WeighedLoss["totalWeight"];
}

/** Which steps of a pass are run, and what of them changes from step to step. */
export interface PassRun {
  /** Steps that have been made; default 0. */
  readonly first?: number;
  /** Steps that are made at most; default all. */
  readonly most?: number;
  /** The samples of the whole pass in the order in which they are taken; default as they are. */
  readonly order?: Uint32Array;
  /** 0-d f32 states with the values that they take before each step that is run. */
  readonly tables?: readonly { readonly state: State; readonly values: Float32Array }[];
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: Progress;
}

/** What a run of a pass gives back. */
export interface PassResult extends RunResult {
  /** Whether the last step, which ended the run, has changed nothing: its loss or a new value was NaN or infinite. */
  readonly failed: boolean;
}

/** A recorded pass. */
export class Pass {
  readonly #dataset: Dataset;
  readonly #batchSize: number;
  readonly #parts: readonly { readonly program: Program<Terms>; readonly steps: number }[];
  readonly #fields: Fields;
  readonly #kept: Kept;

  /** Records `step`, of raw images and targets, for each size of batch that occurs; it rests on the fields of `read()`. Steps end with `failed`. */
  private constructor(
    dataset: Dataset,
    batchSize: number,
    step: (images: Tensor, targets: Tensor) => Terms,
    read: () => readonly object[],
    kept: Kept = {},
  ) {
    this.#kept = kept;
    const { shape, imageDtype, target } = dataset;
    this.#dataset = dataset;
    this.#batchSize = batchSize;
    this.#parts = batchSizes(dataset.length, batchSize).map(({ size, steps }) => {
      const images = { shape: [size, ...shape], dtype: imageDtype, batched: true };
      const targets = { shape: [size, ...target.shape], dtype: target.dtype, batched: true };
      return { program: Program.record(step, [images, targets]), steps };
    });
    // As the recording itself left them.
    this.#fields = new Fields(read());
  }

  /** An epoch of training, with each module in the mode that it has. It ends with the first step that fails, which changes nothing. */
  static training(model: Module, dataset: Dataset, training: Training): Pass {
    const { batchSize, loss, optimizer, metrics, regularizers = [], projection, position } = training;
    const { augment = [], seed = 0, callbacks = [], classWeights, sampleWeights } = training;
    const weights = sampleWeights === undefined ? undefined : new SampleWeights(sampleWeights, dataset);
    const weightsOfStep = weights && ((size: number) => weights.ofStep(stepOfEpoch(optimizer), batchSize, size));
    const weighed = weighedLoss(loss, classWeights, weightsOfStep);
    const failed = failureOf(optimizer);
    const clipped = gradientClip.read("gradientClip", training.gradientClip);
    const steps = Math.ceil(dataset.length / batchSize);
    const stepping = callbacks.filter(({ onStep }) => onStep !== undefined);
    const context = { dataset, loss: loss.constructor?.name ?? "the loss" };
    const fed = (samples: AugmentationSamples): AugmentationSamples =>
      augment.length === 0 ? samples : augmented(samples, augment, drawsOf(optimizer, steps, seed), context);
    const step = (images: Tensor, targets: Tensor): Terms => {
      const values = terms(model, dataset, [images, targets], { loss: weighed, metrics }, { ...weighed, fed });
      // Gradients of what is frozen have no part in their norm.
      const parameters = model.parameters().filter(({ trainable }) => trainable);
      const added = regularizers.map((regularizer) => scalarOf("the value of a regularizer", regularizer(model)));
      const objective = added.reduce((sum, term) => sum.add(term), values[0] ?? targets);
      const gradients = grad(objective, parameters);
      const followed = projection?.gradients(model, parameters, gradients) ?? gradients;
      optimizer.update(parameters, clipped(followed));
      projection?.project(model);
      for (const callback of stepping) callback.onStep?.(model);
      if (position !== undefined) assign(position.steps, position.steps.add(1));
      const isFailed = wholeOrNothing(objective);
      assign(failed, isFailed);
      // Behind the guard: a metric may be NaN.
      position?.keep(stepOfEpoch(optimizer), steps, values, isFailed);
      return [...values, failed];
    };
    const read = () => [
      ...model.modules(),
      { loss, metrics, optimizer, regularizers, projection, classWeights, augment, stepping },
    ];
    const counted = augment.length > 0 || weights !== undefined || position !== undefined;
    return new Pass(dataset, batchSize, step, read, {
      failed,
      weights,
      step: counted ? stepOfEpoch(optimizer) : undefined,
    });
  }

  /**
   * Loss and metrics of all samples as one batch, in evaluation mode: a KR value is no mean of batch means. It assigns no state:
   * what `forward` of a loss, a metric or a module assigns counts within the step alone.
   */
  static evaluation(model: Module, dataset: Dataset, evaluation: Evaluation): Pass {
    const step = (images: Tensor, targets: Tensor): Terms => {
      const values = terms(model, dataset, [images, targets], evaluation);
      currentTrace()?.assigns.clear();
      return values;
    };
    const read = (): object[] => [...model.modules(), evaluation];
    return model.evaluating(() => new Pass(dataset, dataset.length, step, read));
  }

  /** Whether modes, coefficients and fields that the recording used are still the same, and the device. */
  get current(): boolean {
    return this.#parts.every(({ program }) => program.current) && this.#fields.current === this.#fields;
  }

  /** The engine's plans, in the order in which they are first run. */
  get plans(): readonly number[] {
    return this.#parts.map(({ program }) => program.plan);
  }

  /** The plan of its first steps in words. */
  explain(): string {
    return this.#parts[0]?.program.explain() ?? "";
  }

  /** Bytes that its samples take on a device: images, targets, and the order in which they are taken. */
  get sampleBytes(): number {
    const { imagesRaw, targetsRaw, length } = this.#dataset;
    return imagesRaw.byteLength + targetsRaw.byteLength + length * Uint32Array.BYTES_PER_ELEMENT;
  }

  /** Samples in the first `steps` of its steps: all batches but the last are of one size. */
  samples(steps: number): number {
    return Math.min(this.#dataset.length, steps * this.#batchSize);
  }

  /**
   * Runs steps in one native call, to the first that fails; their scalars. Rejects with the signal's reason, or with what `onProgress` throws, within one
   * step; the last whole step stays.
   */
  async run(run: PassRun = {}): Promise<PassResult> {
    const { first = 0, most = Number.POSITIVE_INFINITY, signal, onProgress } = run;
    const { failed, step, weights } = this.#kept;
    const order = run.order ?? inOrder(this.#dataset.length);
    const parts = stepsBetween(this.#parts, first, most);
    if (parts.length === 0)
      throw new TslipError("EMPTY_DATASET", "there is nothing to run over: the data set has no samples");
    const count = parts.reduce((sum, { steps }) => sum + steps, 0);
    const numbers = Float32Array.from({ length: count }, (_, i) => first + i);
    const tables = [...(run.tables ?? []), ...(step === undefined ? [] : [{ state: step, values: numbers }])];
    if (weights !== undefined) await weights.arrange(order);
    const job = {
      stretches: parts.map(({ program, steps }) => ({ plan: program.plan, steps, inputs: program.inputs([FED, FED]) })),
      dataset: {
        id: this.#dataset.engineId(),
        order: order.subarray(first * this.#batchSize, this.samples(first + most)),
        imageInput: IMAGES,
        targetInput: TARGETS,
      },
      tables: tables.map(({ state, values }) => ({ state: state.id, values })),
      ...(failed === undefined ? {} : { until: { state: failed.id, checkEvery: LOOK_EVERY } }),
    };
    let running: RunResult | Promise<RunResult> = runCancellable(job, signal, onProgress);
    for (const { program } of parts) running = program.afterFilling(running);
    const result = await running;
    return { ...result, failed: failed !== undefined && result.outputs.at(-1)?.[0] === 1 };
  }
}

/**
 * Loss and metrics of a batch of raw images and targets. All targets of the data set must be such as they take; those that an augmentation
 * makes are for the loss alone.
 */
function terms(
  model: Module,
  dataset: Dataset,
  [images, targets]: readonly [Tensor, Tensor],
  { loss, metrics = {} }: Evaluation,
  { fed = (samples) => samples, totalWeight }: InTraining = {},
): Terms {
  const samples = fed({ images: scaledImages(images), targets });
  const outputs = forwarded(model, samples.images);
  if (outputs.rank === 0 || outputs.shape[0] !== targets.shape[0]) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `the model maps ${images.shape.join("x")} to [${outputs.shape.join(", ")}]; outputs must have shape [n, ...], a row a sample`,
    );
  }
  const measured = Object.entries(metrics).map(([name, metric]) => scalarOf(name, metric(outputs, targets, model)));
  const asked = samples.mixed === undefined ? samples.targets : asMixture(samples.targets, samples.mixed);
  const values = loss === undefined ? measured : [scalarOf("loss", loss.forward(outputs, asked)), ...measured];
  const total = totalWeight?.(outputs, asked);
  // What a loss of the user's own makes of labels without a logit is not known; a single logit is a score, not a class.
  const classes = outputs.rank === 2 && targets.dtype === "i32" ? (outputs.shape[1] ?? 0) : 0;
  if (classes > 1 && demandsOf(targets).length === 0) demandIndices(targets, classes, dataset.ignoreIndex);
  for (const check of demandsOf(targets)) check(dataset.targetsRaw);
  return total === undefined ? values : [...values, scalarOf("the weight of a batch", total)];
}

function scalarOf(name: string, value: Tensor): Tensor {
  // A state that has been assigned is its new value.
  if (value instanceof Tensor && value.rank === 0 && value.dtype === "f32") return latest(value);
  throw new TslipError(
    "SHAPE_MISMATCH",
    `${name} must be a scalar f32 tensor, it is ${describe(value)}; reduce it with mean()`,
  );
}
