// fit: trains a model on a data set, an epoch in one native call.
import type { Dataset } from "../data/dataset.js";
import { currentDevice, isFree, onDevice } from "../device.js";
import { TslipError } from "../errors.js";
import type { Module } from "../nn/index.js";
import { createProgress, print, warn } from "../node/index.js";
import { isStateful } from "../tensor/stateful.js";
import { inOrder, shuffledOrder } from "./batches.js";
import { report, type TrainingControl } from "./callback.js";
import { checkNotAveraged } from "./callbacks/ema.js";
import { type Choice, fasterDevice } from "./choose.js";
import { Evaluator } from "./evaluate.js";
import { givenBy, meansOf } from "./figures.js";
import { fromProjected } from "./from-projected.js";
import { describeEpoch, type EpochRecord, figureNames, type History, type Metrics } from "./history.js";
import { check, type FitOptions } from "./options.js";
import { Pass, type PassResult } from "./pass.js";
import { cycledMomentum, tablesOf } from "./rates.js";
import { Stopping } from "./stopping.js";
import { inTurn, unlessAborted } from "./turns.js";

/** What is asked of a run. */
type Ran = Pick<PassResult, "scalars" | "steps" | "failed">;
/** A run of no step. */
const NOTHING: Ran = { scalars: new Float64Array(), steps: 0, failed: false };

/**
 * Trains a model. Resolves to the figures of every epoch. The first step whose loss, or a value that it would assign, is not finite
 * changes no weight and nothing else, and ends the training. Where all parameters are frozen as it begins, or there are none, a process
 * warning says so. Trainings of the same parameters, or with the same optimizer, that
 * are asked for without awaiting run one after another.
 * @throws TslipError for options out of range, before anything changes; `NON_FINITE` at the first step whose loss, or a value that it
 * would assign (or the sum of all these), is NaN or infinite, naming it: the model, the optimizer and the position are those of the step
 * before, but for the learning rate and momentum that a schedule has set for this one, and the count of epochs that were begun. A model
 * of which no step has changed anything has the weights that it was given, whatever the projection.
 */
export async function fit<M extends Metrics = Record<never, never>>(
  model: Module,
  dataset: Dataset,
  options: FitOptions<M>,
): Promise<History<M>> {
  check(model, dataset, options);
  const { optimizer, loss, position, callbacks = [], signal, device = currentDevice() } = options;
  const free = isFree(options.device);
  signal?.throwIfAborted();
  const others = [position, ...callbacks].filter((one) => one !== undefined && isStateful(one));
  // A loss without memory is no one's: trainings may share it. An optimizer and one that hands on to it have one rate.
  const named = [...model.namedStates(), ...(isStateful(loss) ? loss.namedStates() : [])];
  const changed = [optimizer.rate, ...others, ...named.map(([, state]) => state)];
  return await inTurn(changed, signal, async () => {
    checkNotAveraged(model);
    for (const callback of callbacks) callback.track?.(model);
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
  const { loss, optimizer, schedule, position, maxSteps = Number.POSITIVE_INFINITY } = options;
  let made = position?.steps.item() ?? (initialEpoch ?? 0) * steps;
  const end = Math.min(epochs * steps, maxSteps);
  const momentum = schedule && cycledMomentum(schedule, made, end, optimizer);
  const passes = passesOf(model, dataset, options);
  const { validation } = passes;
  let { training } = passes;
  // What the steps of an epoch gave that was left in the middle, or before its end was reported; as the recording has found it.
  let earlier = await position?.keptOf(made, steps);
  const stopping = new Stopping(signal);
  const control: TrainingControl = {
    ...{ stop: stopping.stop, model, optimizer, loss, schedule },
    figures: figureNames(metrics, validation !== undefined),
    get over() {
      return stopping.stopped || made >= epochs * steps;
    },
  };
  const history: History<M> = { device: currentDevice(), epochs: [] };
  // Orders go on behind those of earlier fits; where the place is given, it says which they are.
  const before = initialEpoch === undefined && position === undefined ? await optimizer.epochsBegun() : 0;
  while ((made < end || earlier?.whole === true) && !stopping.stopped) {
    const epoch = Math.floor(made / steps) + (earlier?.whole === true ? 0 : 1);
    const first = made - (epoch - 1) * steps;
    const count = Math.max(Math.min(steps - first, end - made), 0);
    for (const callback of callbacks) await callback.onEpochStart?.(epoch, control);
    if (stopping.stopped) break;
    checkNotAveraged(model);
    if (!training.current) training = Pass.training(model, dataset, options);
    if (count > 0 && history.epochs.length === 0) warnOfFrozen(model);
    const names = ["loss", ...Object.keys(metrics)];
    if (verbose && history.epochs.length === 0 && (reason !== undefined || currentDevice() !== "cpu")) {
      print(`Training on ${currentDevice()}${reason === undefined ? "" : `: ${reason}`}`);
    }
    if (verbose) print(`Epoch ${epoch}/${epochs}`);
    const bar = verbose && count > 0 ? createProgress({ label: `epoch ${epoch}`, total: count }) : undefined;
    const answers: Promise<unknown>[] = [];
    const begun = before + epoch;
    const order = shuffle ? shuffledOrder(dataset.length, seed, begun) : inOrder(dataset.length);
    let started = 0;
    const run = async (): Promise<Ran | undefined> => {
      if (count === 0) return NOTHING;
      // As it may be while the projection begins.
      if (stopping.stopped) return undefined;
      started = performance.now();
      const running = training.run({
        first,
        most: count,
        order,
        tables: [
          { state: optimizer.epochs, values: new Float32Array(count).fill(begun) },
          ...(schedule === undefined ? [] : tablesOf(schedule, made, count, optimizer.rate, momentum)),
        ],
        signal: stopping.signal,
        onProgress: (step, total, values) => {
          if (step === total) stopping.finished();
          const answer = report(bar, callbacks, names, step, total, values, control);
          answers.push(answer);
          answer.catch(() => stopping.stop());
        },
      });
      return await stopping.unlessStopped(running);
    };
    const result = await (made === 0 ? fromProjected(model, options, run) : run()).finally(() => bar?.stop());
    const seconds = (performance.now() - started) / 1000;
    await unlessAborted(Promise.all(answers), signal);
    if (result === undefined) break;
    if (result.failed) throw failure(result, epoch, first);
    made += count;
    if (made < epoch * steps) break;
    const scalars = [...(earlier?.scalars ?? []), ...result.scalars];
    const from = earlier === undefined ? first : 0;
    earlier = undefined;
    const given = givenBy(names, { scalars: Float64Array.from(scalars), steps: steps - from });
    const batches = Array.from({ length: steps - from }, (_, i) =>
      order.subarray(training.samples(from + i), training.samples(from + i + 1)),
    );
    const means = meansOf(given, batches, dataset, { loss, metrics });
    const samples = training.samples(first + count) - training.samples(first);
    const imagesPerSecond = samples === 0 ? 0 : samples / seconds;
    const record: Record<string, number> = { epoch, ...means, seconds, imagesPerSecond };
    for (const module of model.modules()) await module.epochEnded();
    const measured = Object.entries((await validation?.run(signal)) ?? {});
    for (const [name, value] of measured) record[`val_${name}`] = value;
    if (verbose) print(describeEpoch(record, Object.keys(metrics)));
    history.epochs.push(record as EpochRecord<M>);
    // Callbacks are told once: what one of them saves goes on with the next epoch.
    await position?.reported();
    for (const callback of callbacks) await callback.onEpochEnd?.(record as EpochRecord<M>, control, given.figures);
  }
  for (const callback of callbacks) await callback.onTrainingEnd?.(history, control);
  return history;
}

/** Says where a training begins that changes no parameter, whatever other states of the model its steps assign. */
function warnOfFrozen(model: Module): void {
  const all = model.parameters();
  if (all.some(({ trainable }) => trainable)) return;
  const why =
    all.length === 0
      ? "it has none; a module of one's own keeps each as a Parameter in a field"
      : `all ${all.length} are frozen; set trainable = true of what is to be trained`;
  warn(`fit changes no parameter of this ${model.constructor.name}: ${why}`, "NOTHING_TRAINED");
}

/** What is said of the last step of a run, which failed. */
function failure(result: Ran, epoch: number, first: number): TslipError {
  const { steps } = result;
  const loss = givenBy(["loss"], result).figures["loss"]?.at(-1) ?? Number.NaN;
  const what = Number.isFinite(loss)
    ? "a gradient or a new value, or the sum of the new values, became NaN or infinite"
    : `the loss became ${loss}`;
  return new TslipError(
    "NON_FINITE",
    `${what} in epoch ${epoch}, step ${first + steps}, which has changed nothing; lower the learning rate or look at the data`,
  );
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
