// Callbacks: what a training calls on its way, and what it gives them to steer it with.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import type { Module } from "../nn/index.js";
import type { Progress } from "../node/index.js";
import type { Optimizer, Schedule } from "../optim/index.js";
import { callback, isPlain, knownOptions, type Names } from "../options.js";
import type { EpochRecord, History, Metrics } from "./history.js";

/** What callbacks are given to steer a training with. */
export interface TrainingControl {
  /**
   * Ends the training within one step: `fit` resolves with the history so far. An epoch that is stopped in the middle has no record;
   * its steps are made, and a `position` counts and keeps them. May be called at any time, after the callback has returned too.
   */
  stop(): void;
  readonly model: Module;
  readonly optimizer: Optimizer;
  readonly loss: Loss;
  readonly schedule: Schedule | undefined;
  /** The figures that the record of each epoch has. */
  readonly figures: readonly string[];
  /** Whether the training is over, so that nothing follows: it was stopped, or all `epochs` are made. `maxSteps` ends a `fit` before that. */
  readonly over: boolean;
}

/** What each step of an epoch gave, by the names of the loss and the metrics. */
export type StepFigures = Readonly<Record<string, Float64Array>>;

/**
 * Called by `fit`; a callback that throws or rejects ends training with that error, one that calls `control.stop()` ends it with what
 * has been reached. What it changes of modes, coefficients and fields holds from the next epoch on, in `onEpochStart` from that one: a
 * part that it puts into evaluation mode is trained so.
 */
export interface Callback<M extends Metrics = Metrics> {
  onEpochStart?(epoch: number, control: TrainingControl): void | Promise<void>;
  /**
   * Called while a step is recorded, behind the optimizer's update: what it assigns is a part of each step. Changes of fields of such a
   * callback are followed as those of a `Module` are.
   */
  onStep?(model: Module): void;
  /**
   * At most 20 times a second: steps done, steps of the epoch, loss and metrics of the last step. Where it returns a
   * promise, steps go on meanwhile, and the end of the epoch waits for it.
   */
  onProgress?(step: number, total: number, values: Readonly<Record<string, number>>, control: TrainingControl): void;
  /** After validation; `steps` has what each step gave, those of earlier fits too where a `position` has kept them. */
  onEpochEnd?(record: EpochRecord<M>, control: TrainingControl, steps: StepFigures): void | Promise<void>;
  /** Once all epochs are over or the training was stopped, with what `fit` resolves to; not where it ends with an error. */
  onTrainingEnd?(history: History<M>, control: TrainingControl): void | Promise<void>;
  /**
   * Makes the states that it keeps of a model: `TrainingState` calls it, and `fit` before anything changes; where it throws, nothing is
   * trained.
   */
  track?(model: Module): void;
}

const MEMBERS: Names<Callback<Metrics>> = {
  onEpochStart: true,
  onStep: true,
  onProgress: true,
  onEpochEnd: true,
  onTrainingEnd: true,
  track: true,
};
/** One of them a callback has to have. */
const CALLS = Object.keys(MEMBERS).filter((name) => name.startsWith("on"));

/** Refuses what would never be called, or could not be. */
export function checkCallbacks(given: unknown): void {
  if (!Array.isArray(given)) {
    throw invalid(`callbacks must be an array of objects such as { onEpochEnd }; given ${describe(given)}`);
  }
  Array.from(given, checkCallback);
  const at = given.findIndex((one, i) => given.indexOf(one) < i);
  if (at < 0) return;
  throw invalid(
    `callbacks[${given.indexOf(given[at])}] and callbacks[${at}] are the same object, ${describe(given[at])}, which would be called twice; ` +
      "give it once, or make another",
  );
}

function checkCallback(given: unknown, at: number): void {
  if (typeof given !== "object" || given === null) {
    throw invalid(`callbacks[${at}] must be an object such as { onEpochEnd }; given ${describe(given)}`);
  }
  // One of a class may have other fields; a record is what is written down for this alone.
  if (isPlain(given)) knownOptions(`callbacks[${at}]`, MEMBERS, given as Callback<Metrics>);
  const record = given as Readonly<Record<string, unknown>>;
  const called = CALLS.filter((name) => record[name] !== undefined);
  if (called.length === 0) {
    throw invalid(`callbacks[${at}] has none of ${CALLS.join(", ")}; given ${describe(given)}`);
  }
  for (const name of [...called, "track"]) callback.read(`${name} of callbacks[${at}]`, record[name]);
}

/** Shows progress and calls who listens; rejects with what they throw or reject with. */
export async function report<M extends Metrics>(
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
  await Promise.all(callbacks.map((one): unknown => one.onProgress?.(step, total, named, control)));
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
