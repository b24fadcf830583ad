// fit: trains a model on a data set, an epoch in one native call.
import { Dataset } from "../data/dataset.js";
import { describe } from "../describe.js";
import { currentDevice, type Device, isFree, onDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { STOPPED } from "../native.js";
import { Module } from "../nn/index.js";
import { createProgress, type Progress, print } from "../node/index.js";
import { Optimizer, type Schedule } from "../optim/index.js";
import { abortSignal, callback, isPlain, knownOptions, type Names } from "../options.js";
import type { State } from "../tensor/index.js";
import { isStateful } from "../tensor/stateful.js";
import { inOrder, shuffledOrder } from "./batches.js";
import { type Choice, fasterDevice } from "./choose.js";
import { Evaluator } from "./evaluate.js";
import { checkMetrics, describeEpoch, type EpochRecord, type History, type Metrics } from "./history.js";
import { Pass, type PassResult } from "./pass.js";
import { TrainingPosition } from "./state.js";
import { inTurn, unlessAborted } from "./turns.js";

/** What callbacks are given to steer a training with. */
export interface TrainingControl {
  /**
   * Ends the training within one step: `fit` resolves with the history so far. An epoch that is stopped in the middle has no record;
   * its steps are made, and a `position` counts them. May be called at any time, after the callback has returned too.
   */
  stop(): void;
}

/**
 * Called by `fit`; a callback that throws or rejects ends training with that error, one that calls `control.stop()` ends it with what
 * has been reached. What it changes of modes, coefficients and fields holds from the next epoch on, in `onEpochStart` from that one: a
 * part that it puts into evaluation mode is trained so.
 */
export interface Callback<M extends Metrics = Metrics> {
  onEpochStart?(epoch: number, control: TrainingControl): void | Promise<void>;
  /**
   * At most 20 times a second: steps done, steps of the epoch, loss and metrics of the last step. Where it returns a
   * promise, steps go on meanwhile, and the end of the epoch waits for it.
   */
  onProgress?(step: number, total: number, values: Readonly<Record<string, number>>, control: TrainingControl): void;
  onEpochEnd?(record: EpochRecord<M>, control: TrainingControl): void | Promise<void>;
}

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
  initialEpoch: true,
  device: true,
  signal: true,
  position: true,
  maxSteps: true,
  callbacks: true,
  verbose: true,
};

/**
 * Trains a model. Resolves to the figures of every epoch. The first step whose loss, or a value that it would assign, is not finite
 * changes no weight and nothing else, and ends the training. Trainings of the same parameters, or with the same optimizer, that
 * are asked for without awaiting run one after another.
 * @throws TslipError for options out of range, before anything changes; `NON_FINITE` at the first step whose loss, or a value that it
 * would assign (or the sum of all these), is NaN or infinite, naming it: the model, the optimizer and the position are those of the step
 * before, but for the learning rate and momentum that a schedule has set for this one, and the count of epochs that were begun.
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
  // A loss without memory is no one's: trainings may share it.
  const named = [...model.namedStates(), ...(isStateful(loss) ? loss.namedStates() : [])];
  const changed = [optimizer, ...(position === undefined ? [] : [position]), ...named.map(([, state]) => state)];
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
  const { epochs, initialEpoch, seed = 0, shuffle = true, verbose = true, signal, callbacks = [] } = options;
  const metrics = options.metrics ?? ({} as M);
  const steps = Math.ceil(dataset.length / options.batchSize);
  const { optimizer, schedule, position, maxSteps = Number.POSITIVE_INFINITY } = options;
  let made = position?.steps.item() ?? (initialEpoch ?? 0) * steps;
  const end = Math.min(epochs * steps, maxSteps);
  const momentum = schedule && cycledMomentum(schedule, made, end, optimizer);
  const passes = passesOf(model, dataset, options);
  const { validation } = passes;
  let { training } = passes;
  const stopping = new Stopping(signal);
  const history: History<M> = { device: currentDevice(), epochs: [] };
  // Orders go on behind those of earlier fits; where the place is given, it says which they are.
  const before = initialEpoch === undefined && position === undefined ? await optimizer.epochsBegun() : 0;
  while (made < end && !stopping.stopped) {
    const epoch = Math.floor(made / steps) + 1;
    const first = made - (epoch - 1) * steps;
    const count = Math.min(steps - first, end - made);
    for (const callback of callbacks) await callback.onEpochStart?.(epoch, stopping);
    if (stopping.stopped) break;
    if (!training.current) training = Pass.training(model, dataset, options);
    const names = ["loss", ...Object.keys(metrics)];
    if (verbose && history.epochs.length === 0 && (reason !== undefined || currentDevice() !== "cpu")) {
      print(`Training on ${currentDevice()}${reason === undefined ? "" : `: ${reason}`}`);
    }
    if (verbose) print(`Epoch ${epoch}/${epochs}`);
    const bar = verbose ? createProgress({ label: `epoch ${epoch}`, total: count }) : undefined;
    const answers: Promise<unknown>[] = [];
    const order = before + epoch;
    const started = performance.now();
    const run = training.run({
      first,
      most: count,
      order: shuffle ? shuffledOrder(dataset.length, seed, order) : inOrder(dataset.length),
      tables: [
        { state: optimizer.epochs, values: new Float32Array(count).fill(order) },
        ...(schedule === undefined ? [] : tablesOf(schedule, made, count, optimizer.rate, momentum)),
      ],
      signal: stopping.signal,
      onProgress: (step, total, values) => {
        if (step === total) stopping.finished();
        const answer = report(bar, callbacks, names, step, total, values, stopping);
        answers.push(answer);
        answer.catch(() => stopping.stop());
      },
    });
    const result = await stopping.unlessStopped(run).finally(() => bar?.stop());
    const seconds = (performance.now() - started) / 1000;
    await unlessAborted(Promise.all(answers), signal);
    if (result === undefined) break;
    if (result.failed) throw failure(result, names.length, epoch, first);
    made += count;
    const sizes = Array.from(
      { length: count },
      (_, i) => training.samples(first + i + 1) - training.samples(first + i),
    );
    const record = summarize(names, result.scalars, epoch, sizes, seconds);
    if (made < epoch * steps) break;
    const measured = Object.entries((await validation?.run(signal)) ?? {});
    for (const [name, value] of measured) record[`val_${name}`] = value;
    if (verbose) print(describeEpoch(record, Object.keys(metrics)));
    history.epochs.push(record as EpochRecord<M>);
    for (const callback of callbacks) await callback.onEpochEnd?.(record as EpochRecord<M>, stopping);
  }
  return history;
}

/** Ends a training between or within epochs. */
class Stopping implements TrainingControl {
  readonly #stop = new AbortController();
  readonly #given: AbortSignal | undefined;
  #running = false;
  stopped = false;

  constructor(given: AbortSignal | undefined) {
    this.#given = given;
  }

  /** Aborted where the one given is, and to end the epoch under way. */
  get signal(): AbortSignal {
    return this.#given === undefined ? this.#stop.signal : AbortSignal.any([this.#given, this.#stop.signal]);
  }

  /** A field, so that it may be taken out of its object. */
  readonly stop = (): void => {
    this.stopped = true;
    if (this.#running) this.#stop.abort(STOPPED);
  };

  /** All steps of the epoch are made: what is stopped is what follows. */
  finished(): void {
    this.#running = false;
  }

  /** What a run of {@link signal} resolves to; nothing where it was stopped. */
  async unlessStopped<T>(run: Promise<T>): Promise<T | undefined> {
    this.#running = true;
    try {
      return await run;
    } catch (error) {
      if (this.#stop.signal.aborted && error === this.#stop.signal.reason) return undefined;
      throw error;
    } finally {
      this.finished();
    }
  }
}

/** Shows progress and calls who listens; rejects with what they throw or reject with. */
async function report<M extends Metrics>(
  bar: Progress | undefined,
  callbacks: readonly Callback<M>[],
  names: readonly string[],
  step: number,
  total: number,
  values: Float64Array,
  control: TrainingControl,
): Promise<void> {
  const named = Object.fromEntries(names.map((name, i) => [name, values[i] ?? Number.NaN]));
  bar?.update(step, names.map((name) => `${name}: ${(named[name] ?? Number.NaN).toFixed(4)}`).join(" - "));
  await Promise.all(callbacks.map((callback): unknown => callback.onProgress?.(step, total, named, control)));
}

/** What is said of the last step of a run, which failed; `width` scalars a step. */
function failure({ scalars, steps }: PassResult, width: number, epoch: number, first: number): TslipError {
  const loss = scalars[(steps - 1) * width] ?? Number.NaN;
  const what = Number.isFinite(loss)
    ? "a gradient or a new value, or the sum of the new values, became NaN or infinite"
    : `the loss became ${loss}`;
  return new TslipError(
    "NON_FINITE",
    `${what} in epoch ${epoch}, step ${first + steps}, which has changed nothing; lower the learning rate or look at the data`,
  );
}

/** Means over the samples of an epoch, whose steps were of so many samples. */
function summarize(
  names: readonly string[],
  scalars: Float64Array,
  epoch: number,
  sizes: readonly number[],
  seconds: number,
): Record<string, number> {
  const samples = sizes.reduce((sum, size) => sum + size, 0);
  const record: Record<string, number> = { epoch };
  names.forEach((name, i) => {
    const figure = (step: number): number => scalars[step * names.length + i] ?? Number.NaN;
    record[name] = sizes.reduce((sum, size, step) => sum + size * figure(step), 0) / samples;
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
    for (const [module, training] of modes) module.setMode(training);
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

const CALLS: Names<Callback<Metrics>> = { onEpochStart: true, onProgress: true, onEpochEnd: true };

/** Refuses what would never be called, or could not be. */
function checkCallback(given: unknown, at: number): void {
  const refuse = (message: string): never => {
    throw new TslipError("INVALID_ARGUMENT", message);
  };
  if (typeof given !== "object" || given === null)
    refuse(`callbacks[${at}] must be an object such as { onEpochEnd }; given ${describe(given)}`);
  // One of a class may have other fields; a record is what is written down for this alone.
  if (isPlain(given)) knownOptions(`callbacks[${at}]`, CALLS, given as Callback<Metrics>);
  const record = given as Readonly<Record<string, unknown>>;
  const called = Object.keys(CALLS).filter((name) => record[name] !== undefined);
  if (called.length === 0)
    refuse(`callbacks[${at}] has none of ${Object.keys(CALLS).join(", ")}; given ${describe(given)}`);
  for (const name of called) callback.read(`${name} of callbacks[${at}]`, record[name]);
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
  if (!Array.isArray(callbacks)) {
    refuse(`callbacks must be an array of objects such as { onEpochEnd }; given ${describe(callbacks)}`);
  }
  Array.from(callbacks, checkCallback);
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
