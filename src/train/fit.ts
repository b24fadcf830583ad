// fit: trains a model on a data set, an epoch in one native call.
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { currentDevice, type Device, isFree, onDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { Module } from "../nn/index.js";
import { createProgress, type Progress, print } from "../node/index.js";
import { Optimizer, type Schedule } from "../optim/index.js";
import { abortSignal, knownOptions, type Names } from "../options.js";
import type { State } from "../tensor/index.js";
import { isStateful } from "../tensor/stateful.js";
import { inOrder, shuffledOrder } from "./batches.js";
import { type Choice, fasterDevice } from "./choose.js";
import { Evaluator } from "./evaluate.js";
import { checkMetrics, describeEpoch, type EpochRecord, type History, type Metrics } from "./history.js";
import { Pass } from "./pass.js";
import { TrainingPosition } from "./state.js";
import { inTurn, unlessAborted } from "./turns.js";

/**
 * Called by `fit`; a callback that throws or rejects ends training with that error. What it changes of modes, coefficients and
 * fields holds from the next epoch on, in `onEpochStart` from that one: a part that it puts into evaluation mode is trained so.
 */
export interface Callback<M extends Metrics = Metrics> {
  onEpochStart?(epoch: number): void | Promise<void>;
  /**
   * At most 20 times a second: steps done, steps of the epoch, loss and metrics of the last step. Where it returns a
   * promise, steps go on meanwhile, and the end of the epoch waits for it.
   */
  onProgress?(step: number, total: number, values: Readonly<Record<string, number>>): void;
  onEpochEnd?(record: EpochRecord<M>): void | Promise<void>;
}

/**
 * What `fit` is told. A step is recorded once, and again at the beginning of an epoch where modes, coefficients or fields of the
 * model, the loss, the metrics or the optimizer have changed; which changes are seen stands at `Module`.
 */
export interface FitOptions<M extends Metrics> {
  /** Passes over the data set. */
  epochs: number;
  batchSize: number;
  loss: Loss;
  optimizer: Optimizer;
  metrics?: M;
  /** Evaluated after each epoch, as one batch. */
  validation?: Dataset;
  /** Learning rate (and momentum) of each step, counted over all epochs. */
  schedule?: Schedule;
  /** Determines the order of the samples; the same seed gives the same bits. Default 0. */
  seed?: number;
  /** Order of the samples changes from epoch to epoch. Default true. */
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
   * the middle of an epoch as if it had not stopped. The figures of such an epoch are those of its remaining steps.
   */
  position?: TrainingPosition;
  /** Ends training after so many steps in all, in the middle of an epoch too, which then has no record. */
  maxSteps?: number;
  callbacks?: readonly Callback<M>[];
  /** Print epochs on stdout, before them the device where there was a choice, and progress on stderr. Default true. */
  verbose?: boolean;
}

const OPTIONS: Names<FitOptions<Metrics>> = {
  epochs: true,
  batchSize: true,
  loss: true,
  optimizer: true,
  metrics: true,
  validation: true,
  schedule: true,
  seed: true,
  shuffle: true,
  device: true,
  signal: true,
  position: true,
  maxSteps: true,
  callbacks: true,
  verbose: true,
};

/**
 * Trains a model. Resolves to the figures of every epoch. Trainings of the same parameters, or with the same optimizer, that
 * are asked for without awaiting run one after another.
 * @throws TslipError for options out of range, before anything changes; `NON_FINITE` after an epoch in which the loss of a step
 * was NaN or infinite, naming the first such step.
 */
export async function fit<M extends Metrics = Record<never, never>>(
  model: Module,
  dataset: Dataset,
  options: FitOptions<M>,
): Promise<History<M>> {
  check(model, dataset, knownOptions("fit", OPTIONS, options));
  const { optimizer, loss, position, signal, device = currentDevice() } = options;
  const free = isFree(options.device);
  signal?.throwIfAborted();
  const others = [loss, position].filter((one) => one !== undefined && isStateful(one));
  const changed = [optimizer, ...others, ...model.namedStates().map(([, state]) => state)];
  return await inTurn(changed, signal, async () => {
    const choice = free ? await chosenFor(model, dataset, options) : undefined;
    return await onDevice(choice?.device ?? device, () => train(model, dataset, options, choice?.reason));
  });
}

async function train<M extends Metrics>(
  model: Module,
  dataset: Dataset,
  options: FitOptions<M>,
  reason: string | undefined,
): Promise<History<M>> {
  const { epochs, seed = 0, shuffle = true, verbose = true, signal, callbacks = [] } = options;
  const metrics = options.metrics ?? ({} as M);
  const steps = Math.ceil(dataset.length / options.batchSize);
  const { optimizer, schedule, position, maxSteps = Number.POSITIVE_INFINITY } = options;
  let made = position?.steps.item() ?? 0;
  const end = Math.min(epochs * steps, maxSteps);
  const momentum = schedule && cycledMomentum(schedule, made, end, optimizer);
  const passes = passesOf(model, dataset, options);
  const { validation } = passes;
  let { training } = passes;
  const history: History<M> = { device: currentDevice(), epochs: [] };
  while (made < end) {
    const epoch = Math.floor(made / steps) + 1;
    const first = made - (epoch - 1) * steps;
    const count = Math.min(steps - first, end - made);
    for (const callback of callbacks) await callback.onEpochStart?.(epoch);
    if (!training.current) training = Pass.training(model, dataset, options);
    const names = ["loss", ...Object.keys(metrics)];
    if (verbose && epoch === 1 && (reason !== undefined || currentDevice() !== "cpu")) {
      print(`Training on ${currentDevice()}${reason === undefined ? "" : `: ${reason}`}`);
    }
    if (verbose) print(`Epoch ${epoch}/${epochs}`);
    const bar = verbose ? createProgress({ label: `epoch ${epoch}`, total: count }) : undefined;
    const answers: Promise<unknown>[] = [];
    let rejected: { readonly reason: unknown } | undefined;
    const started = performance.now();
    const { scalars } = await training
      .run({
        first,
        most: count,
        order: shuffle ? shuffledOrder(dataset.length, seed, epoch) : inOrder(dataset.length),
        tables: schedule === undefined ? [] : tablesOf(schedule, made, count, optimizer.rate, momentum),
        signal,
        onProgress: (step, total, values) => {
          if (rejected !== undefined) throw rejected.reason;
          const answer = report(bar, callbacks, names, step, total, values);
          answers.push(answer);
          answer.catch((reason: unknown) => {
            rejected = { reason };
          });
        },
      })
      .finally(() => bar?.stop());
    made += count;
    const seconds = (performance.now() - started) / 1000;
    await unlessAborted(Promise.all(answers), signal);
    const samples = training.samples(first + count) - training.samples(first);
    const record = summarize(names, scalars, epoch, first, seconds, samples);
    if (made < epoch * steps) break;
    const measured = Object.entries((await validation?.run(signal)) ?? {});
    for (const [name, value] of measured) record[`val_${name}`] = value;
    if (verbose) print(describeEpoch(record, Object.keys(metrics)));
    history.epochs.push(record as EpochRecord<M>);
    for (const callback of callbacks) await callback.onEpochEnd?.(record as EpochRecord<M>);
  }
  return history;
}

/** Shows progress and calls who listens; throws what they throw at once, and rejects with what they reject with. */
function report<M extends Metrics>(
  bar: Progress | undefined,
  callbacks: readonly Callback<M>[],
  names: readonly string[],
  step: number,
  total: number,
  values: Float64Array,
): Promise<unknown> {
  const named = Object.fromEntries(names.map((name, i) => [name, values[i] ?? Number.NaN]));
  bar?.update(step, names.map((name) => `${name}: ${(named[name] ?? Number.NaN).toFixed(4)}`).join(" - "));
  return Promise.all(callbacks.map((callback): unknown => callback.onProgress?.(step, total, named)));
}

/** The last step's loss and the means of the metrics over the steps. Throws for the first loss that is not finite. */
function summarize(
  names: readonly string[],
  scalars: Float64Array,
  epoch: number,
  first: number,
  seconds: number,
  samples: number,
): Record<string, number> {
  const count = names.length;
  const steps = scalars.length / count;
  for (let step = 0; step < steps; step++) {
    const loss = scalars[step * count] ?? Number.NaN;
    if (Number.isFinite(loss)) continue;
    throw new TslipError(
      "NON_FINITE",
      `the loss became ${loss} in epoch ${epoch}, step ${first + step + 1}; lower the learning rate or look at the data`,
    );
  }
  const record: Record<string, number> = { epoch };
  names.forEach((name, i) => {
    let sum = 0;
    for (let step = 0; step < steps; step++) sum += scalars[step * count + i] ?? Number.NaN;
    record[name] = i === 0 ? (scalars[(steps - 1) * count] ?? Number.NaN) : sum / steps;
  });
  return { ...record, seconds, imagesPerSecond: samples / seconds };
}

/** The passes of a training, all that a data set is needed for: an epoch, and what validates. Training mode stays. */
function passesOf<M extends Metrics>(model: Module, dataset: Dataset, options: FitOptions<M>) {
  const { loss, validation: other, metrics } = options;
  const validation = other && new Evaluator(model, other, { loss, metrics });
  // Its errors come first.
  validation?.record();
  const training = inTraining(model, () => Pass.training(model, dataset, options));
  return { training, validation };
}

/** Where "auto" trains; the model keeps its modes. */
async function chosenFor<M extends Metrics>(model: Module, dataset: Dataset, options: FitOptions<M>): Promise<Choice> {
  return await fasterDevice(() => {
    const restore = modesOf(model);
    try {
      const { training, validation } = passesOf(model, dataset, options);
      return validation === undefined ? [training] : [training, validation.record()];
    } finally {
      restore();
    }
  });
}

/** Records in training mode, which stays; on an error every module has the mode it had. */
function inTraining<T>(model: Module, record: () => T): T {
  const restore = modesOf(model);
  model.train();
  try {
    return record();
  } catch (error) {
    restore();
    throw error;
  }
}

/** What gives every module the mode that it has now. */
function modesOf(model: Module): () => void {
  const modes = model.modules().map((module) => [module, module.training] as const);
  return () => {
    // Parents come before their children, whose own mode is thus set last.
    for (const [module, training] of modes) module.train(training);
  };
}

type Rates = ReturnType<Schedule["at"]>;

/** Learning rate and momentum of a step of the whole training; `cycles` says whether there must be a momentum, or must be none. */
function ratesAt(schedule: Schedule, step: number, cycles?: boolean): Rates {
  const usable = (value: number): boolean => Number.isFinite(value) && value >= 0;
  const rates = schedule.at(step);
  const { lr, momentum } = rates;
  if (!usable(lr) || !usable(momentum ?? 0)) {
    const shown = JSON.stringify(rates, (_key, value) => (typeof value === "number" ? String(value) : value));
    throw new TslipError(
      "INVALID_ARGUMENT",
      `the schedule gives ${shown} for step ${step}; rates must be finite and at least 0`,
    );
  }
  if ((momentum !== undefined) === (cycles ?? momentum !== undefined)) return rates;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `the schedule gives ${cycles ? "no" : "a"} momentum for step ${step}, unlike for steps before; give one for every step, or for none`,
  );
}

/** The momentum that a schedule sets in steps from `first` to before `end`, if it does; asked for before any step is recorded. */
function cycledMomentum(schedule: Schedule, first: number, end: number, optimizer: Optimizer): State | undefined {
  const cycles = first < end && ratesAt(schedule, first).momentum !== undefined;
  for (let step = first + 1; step < end; step++) ratesAt(schedule, step, cycles);
  if (!cycles) return undefined;
  const momentum = optimizer.momentumState;
  if (momentum !== undefined) return momentum;
  throw new TslipError(
    "INVALID_ARGUMENT",
    `the schedule cycles a momentum, which ${optimizer.constructor.name} does not have; give it cycleMomentum: false`,
  );
}

/** The states that a schedule sets before each of `steps` steps from `first` on. */
function tablesOf(schedule: Schedule, first: number, steps: number, rate: State, momentum: State | undefined) {
  const scheduled = Array.from({ length: steps }, (_, step) => ratesAt(schedule, first + step, momentum !== undefined));
  const tables = [{ state: rate, values: Float32Array.from(scheduled, ({ lr }) => lr) }];
  if (momentum !== undefined) {
    tables.push({ state: momentum, values: Float32Array.from(scheduled, (rates) => rates.momentum ?? 0) });
  }
  return tables;
}

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

function check<M extends Metrics>(model: Module, dataset: Dataset, options: FitOptions<M>): void {
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
  if (!Number.isSafeInteger(seed)) refuse(`seed must be an integer; given ${describe(seed)}`);
  abortSignal.read("signal", options.signal);
  const { schedule, callbacks = [], shuffle = true, verbose = true } = options;
  if (schedule !== undefined && typeof schedule?.at !== "function") {
    refuse(`schedule must have at(step), as a StepLR has; given ${describe(schedule)}`);
  }
  if (!Array.isArray(callbacks) || !callbacks.every((one) => typeof one === "object" && one !== null)) {
    refuse(`callbacks must be an array of objects such as { onEpochEnd }; given ${describe(callbacks)}`);
  }
  for (const [name, value] of Object.entries({ shuffle, verbose })) {
    if (typeof value !== "boolean") refuse(`${name} must be true or false; given ${describe(value)}`);
  }
  if (typeof loss?.forward !== "function")
    refuse(`loss must have forward(outputs, targets), as an HKRMulticlassLoss has; given ${describe(loss)}`);
  if (!(optimizer instanceof Optimizer))
    refuse(`optimizer must be one such as new Adam({ lr: 1e-4 }); given ${describe(optimizer)}`);
  if (validation !== undefined && !(validation instanceof Dataset))
    refuse(`validation must be a Dataset; given ${describe(validation)}`);
  if (validation !== undefined && validation.shape.join() !== dataset.shape.join()) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `training images are [${dataset.shape.join(", ")}], validation images [${validation.shape.join(", ")}]`,
    );
  }
  if (validation !== undefined) checkSameTargets(dataset, validation);
  checkMetrics(options.metrics);
  onDevice(options.device, currentDevice);
}
