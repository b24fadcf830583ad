// What `fit` is told, and what is refused of it.
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { currentDevice, type Device, onDevice } from "../device.js";
import type { Projection, Regularizer } from "../enforcement/index.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { Module } from "../nn/index.js";
import { gradientClip } from "../optim/clip.js";
import { type GradientClip, Optimizer, type Schedule } from "../optim/index.js";
import { abortSignal, knownOptions, type Names } from "../options.js";
import { type Augmentation, checkAugmentations } from "./augment.js";
import { type Callback, checkCallbacks } from "./callback.js";
import { checkMetrics, type Metrics } from "./history.js";
import { TrainingPosition } from "./state.js";

/**
 * What `fit` is told. A step is recorded once, and again at the beginning of an epoch where modes, coefficients or fields of the
 * model, the loss, the metrics or the optimizer have changed; which changes are seen stands at `Module`.
 */
export interface FitOptions<M extends Metrics> {
  /** Passes over the data set; with `initialEpoch` or a `position` those made before are among them. */
  epochs: number;
  /**
   * Epochs that have been made before, default 0: training goes on behind them as one with all `epochs` would. Fits one after
   * another, each from the epoch at which the one before ended, train bit for bit as a single one: the optimizer goes on from its own
   * states, orders of the samples, schedule and numbers of epochs from here.
   */
  initialEpoch?: number;
  batchSize: number;
  loss: Loss;
  optimizer: Optimizer;
  metrics?: M;
  /**
   * How much the samples of each class count in the loss of training; validation goes without. As `WeightedLoss` says, which is what it
   * makes of the loss.
   */
  classWeights?: readonly number[];
  /** How much each sample of the data set counts in the loss, at least 0: an array with a number for each. */
  sampleWeights?: ArrayLike<number>;
  /**
   * Terms that are added to the loss for the gradients, such as `regularizers.orthogonal({ strength: 0.01 })`; the loss that is reported
   * goes without them.
   */
  regularizers?: readonly Regularizer[];
  /**
   * Puts the weights of ordinary layers where a Lipschitz constant holds, before the first of all steps and after each, in the same native
   * call, such as `projections.spectral()`.
   */
  projection?: Projection;
  /** Evaluated after each epoch, as one batch. */
  validation?: Dataset;
  /** Learning rate (and momentum) of each step, counted over all epochs: from 0 without `initialEpoch` and `position`. */
  schedule?: Schedule;
  /**
   * Determines the order of the samples; the same seed gives the same bits, but where `rand()` or `randn()` in the model draws while
   * something else does too: give such models a `Generator` of their own. Default 0.
   */
  seed?: number;
  /**
   * The order of the samples changes from epoch to epoch (the default). It follows from `seed` and the number of the epoch, without
   * `initialEpoch` and `position` from the number of epochs that the optimizer has trained: another fit takes other orders.
   */
  shuffle?: boolean;
  /**
   * Where to train. "auto" (the default, unless `setDefaultDevice` or `onDevice` names another) is decided once and printed: a
   * GPU of hardware where it has the memory and is expected to be faster, else the CPU.
   */
  device?: Device;
  /** Aborting rejects with the signal's reason within one step; the model keeps the last whole step. */
  signal?: AbortSignal | undefined;
  /**
   * Where to begin, and where the steps are counted: with states that were put back (see `TrainingState`), training goes on in
   * the middle of an epoch as if it had not stopped. The record of such an epoch is that of all its steps; its seconds, and images a
   * second, are those of the fit that ends it. A step takes longer for it in an epoch of tens of thousands of steps.
   */
  position?: TrainingPosition;
  /**
   * Limits gradients before the optimizer follows them, as PyTorch does: the norm of all of them together, frozen parameters left out, or
   * each entry. Default: no limit.
   */
  gradientClip?: GradientClip;
  /**
   * What is done to the samples of each step, in this order, such as `[randomFlip(), randomCrop({ padding: 4 })]`; validation takes them as
   * they are. The same seed gives the same samples.
   */
  augment?: readonly Augmentation[];
  /** Ends training after so many steps in all, in the middle of an epoch too, which then has no record. */
  maxSteps?: number;
  callbacks?: readonly Callback<NoInfer<M>>[];
  /** Print epochs on stdout, before them the device where there was a choice, and progress on stderr. Default true. */
  verbose?: boolean;
}

const OPTIONS: Names<FitOptions<Metrics>> = {
  epochs: true,
  batchSize: true,
  loss: true,
  optimizer: true,
  metrics: true,
  classWeights: true,
  sampleWeights: true,
  regularizers: true,
  projection: true,
  validation: true,
  schedule: true,
  seed: true,
  shuffle: true,
  initialEpoch: true,
  device: true,
  signal: true,
  position: true,
  gradientClip: true,
  augment: true,
  maxSteps: true,
  callbacks: true,
  verbose: true,
};

/** Refuses a validation set whose targets mean something else. */
function checkSameTargets(training: Dataset, validation: Dataset): void {
  const [one, two] = [training, validation].map(({ target }) => `${target.dtype} [${target.shape.join(", ")}]`);
  if (one !== two) {
    throw new TslipError("SHAPE_MISMATCH", `training targets are ${one}, validation targets ${two}, for each sample`);
  }
  if (training.sameClasses(validation)) return;
  const [names, others] = [training.classNames, validation.classNames];
  throw new TslipError(
    "INVALID_ARGUMENT",
    `classes are ${names.join(", ")} in training and ${others.join(", ")} in validation; give both data sets the same classNames`,
  );
}

/** Refuses options out of range, before anything changes. */
export function check<M extends Metrics>(model: Module, dataset: Dataset, given: FitOptions<M>): void {
  const options = knownOptions("fit", OPTIONS, given);
  const refuse = (message: string): never => {
    throw new TslipError("INVALID_ARGUMENT", message);
  };
  if (!(model instanceof Module))
    refuse(`fit takes a Module, a Dataset and options; the first argument is ${describe(model)}`);
  if (!(dataset instanceof Dataset))
    refuse(`fit takes a Module, a Dataset and options; the second is ${describe(dataset)}; make it with fromArrays()`);
  const { epochs, batchSize, loss, optimizer, validation, seed = 0 } = options;
  for (const [name, value] of Object.entries({ epochs, batchSize })) {
    if (!Number.isInteger(value) || value < 1) refuse(`${name} must be a positive integer; given ${describe(value)}`);
  }
  const { maxSteps = 1, position } = options;
  if (!Number.isInteger(maxSteps) || maxSteps < 1)
    refuse(`maxSteps must be a positive integer; given ${describe(maxSteps)}`);
  if (position !== undefined && !(position instanceof TrainingPosition))
    refuse(`position must be a TrainingPosition; given ${describe(position)}`);
  const { initialEpoch } = options;
  if (initialEpoch !== undefined && (!Number.isInteger(initialEpoch) || initialEpoch < 0 || initialEpoch >= epochs)) {
    refuse(
      `initialEpoch must be a whole number below epochs, which counts all from the first; given ${describe(initialEpoch)} of ` +
        `${epochs}: for n epochs more give epochs: initialEpoch + n`,
    );
  }
  if (initialEpoch !== undefined && position !== undefined)
    refuse("initialEpoch and position both say where to begin; give one of them");
  if (!Number.isSafeInteger(seed)) refuse(`seed must be an integer; given ${describe(seed)}`);
  abortSignal.read("signal", options.signal);
  const { schedule, callbacks = [], shuffle = true, verbose = true } = options;
  if (schedule !== undefined && typeof schedule?.at !== "function") {
    refuse(`schedule must have at(step), as a StepLR has; given ${describe(schedule)}`);
  }
  checkCallbacks(callbacks);
  gradientClip.read("gradientClip", options.gradientClip);
  checkAugmentations(options.augment ?? []);
  for (const [name, value] of Object.entries({ shuffle, verbose })) {
    if (typeof value !== "boolean") refuse(`${name} must be true or false; given ${describe(value)}`);
  }
  if (typeof loss?.forward !== "function")
    refuse(`loss must have forward(outputs, targets), as an HKRMulticlassLoss has; given ${describe(loss)}`);
  if (!(optimizer instanceof Optimizer))
    refuse(`optimizer must be one such as new Adam({ lr: 1e-4 }); given ${describe(optimizer)}`);
  const known = new Set(model.parameters());
  const stranger = optimizer.grouped.find((parameter) => !known.has(parameter));
  if (stranger !== undefined)
    refuse(
      `a group of the optimizer has the parameter ${stranger.name}, which the model does not have; group what is trained`,
    );
  if (validation !== undefined && !(validation instanceof Dataset))
    refuse(`validation must be a Dataset; given ${describe(validation)}`);
  if (validation !== undefined && validation.shape.join() !== dataset.shape.join()) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `training images are [${dataset.shape.join(", ")}], validation images [${validation.shape.join(", ")}]`,
    );
  }
  if (validation !== undefined) checkSameTargets(dataset, validation);
  const { regularizers = [], projection } = options;
  if (!Array.isArray(regularizers) || !regularizers.every((term) => typeof term === "function")) {
    const example = "regularizers.orthogonal({ strength: 0.01 })";
    refuse(`regularizers must be an array of functions such as ${example}; given ${describe(regularizers)}`);
  }
  for (const name of projection === undefined ? [] : (["begin", "gradients", "project"] as const)) {
    if (typeof projection?.[name] === "function") continue;
    refuse(`projection must be one such as projections.spectral(), with ${name}(); given ${describe(projection)}`);
  }
  checkMetrics(options.metrics);
  onDevice(options.device, currentDevice);
}
