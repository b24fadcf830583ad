// The state of a training: all that changes in it, to be taken at one moment and put back.

import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { Module } from "../nn/index.js";
import { byKey, loadInto, type StateRecord } from "../nn/state-dict.js";
import { Optimizer, type Schedule } from "../optim/index.js";
import { isPlain, knownOptions, type Names } from "../options.js";
import {
  arange,
  assign,
  concat,
  Generator,
  readStates,
  type Shape,
  State,
  scalar,
  state,
  type Tensor,
  type Value,
  zeros,
} from "../tensor/index.js";
import { sameShape } from "../tensor/shape.js";
import { assignInTurn } from "../tensor/state.js";
import { isStateful, type Stateful } from "../tensor/stateful.js";
import { latest, outsideTrace } from "../tensor/trace.js";
import { type Callback, checkCallbacks } from "./callback.js";

/** A count of steps. One below 0, which only a snapshot or an assignment can have put there, is refused where it is read. */
class StepCount extends State {
  override item(): number {
    const count = super.item();
    if (count >= 0) return count;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${this.name} must be at least 0; it is ${count}; restore a snapshot that a training has written`,
    );
  }
}

/** Key of what the steps of the epoch under way gave. */
const FIGURES = "figures";
const KEPT = `position.${FIGURES}`;
/** How keys of an optimizer's states begin. */
const OF_OPTIMIZER = "optimizer.";

/** What the steps of an epoch gave so far. */
export interface KeptFigures {
  /** Scalars of step after step. */
  readonly scalars: Float64Array;
  /** Whether these are all steps of the epoch, whose end was not reported. */
  readonly whole: boolean;
}

/**
 * A place in a training: the steps that have been made. It follows which epoch that is, and which batch of it. Loss and metrics of each
 * step of the epoch under way are kept with it, so that the figures of an epoch that goes on are those of all its steps.
 */
export class TrainingPosition implements Stateful {
  /** i32 `[]`. */
  readonly steps: State = new StepCount(scalar(0, "i32"), { name: "position.steps" });
  /** f32, a column for each step of an epoch: its number in the training, from 1, and its scalars. There is none before a training. */
  #figures: State | undefined;

  /** Ends the recording of a step, whose number in its epoch of `steps` is a 0-d state: keeps its scalars, unless it has failed. */
  keep(step: Tensor, steps: number, scalars: readonly Tensor[], failed: Tensor): void {
    const shape = [1 + scalars.length, steps] as const;
    if (this.#figures === undefined || !sameShape(this.#figures.shape, shape)) this.#figures = figuresOf(shape);
    const figures = this.#figures;
    const column = concat([latest(this.steps).cast("f32"), ...scalars].map((one) => one.reshape([1, 1])));
    const here = arange(steps).equal(step.cast("i32")).and(failed.not());
    assign(figures, here.broadcastTo(shape).where(column.broadcastTo(shape), figures));
  }

  /** What the steps gave before the one after `made`, in its epoch or in one whose end was not reported; nothing where that was not kept. */
  async keptOf(made: number, steps: number): Promise<KeptFigures | undefined> {
    const figures = this.#figures;
    const before = made - Math.floor((made - 1) / steps) * steps;
    if (figures?.shape[1] !== steps || made === 0) return undefined;
    const data = await figures.data();
    const width = data.length / steps - 1;
    const isKept = (step: number): boolean => data[step] === Math.fround(made - before + step + 1);
    if (!Array.from({ length: before }, (_, step) => isKept(step)).every(Boolean)) return undefined;
    const scalars = Float64Array.from({ length: before * width }, (_, i) =>
      Number(data[(1 + (i % width)) * steps + Math.floor(i / width)]),
    );
    return { scalars, whole: before === steps };
  }

  /** The end of an epoch is reported: what its steps gave is not needed any more. */
  async reported(): Promise<void> {
    if (this.#figures !== undefined) await assignInTurn([[this.#figures, zeros(this.#figures.shape)]]);
  }

  /** Calls `restore` with states such as a snapshot has them; where it throws, they are those that there were. */
  restoring(figures: StateRecord[string] | undefined, restore: () => void): void {
    const before = this.#figures;
    const shape = Array.isArray(figures?.shape) && figures.shape.length === 2 ? figures.shape : undefined;
    try {
      if (shape === undefined) this.#figures = undefined;
      else if (before === undefined || !sameShape(before.shape, shape)) this.#figures = figuresOf(shape);
      restore();
    } catch (error) {
      this.#figures = before;
      throw error;
    }
  }

  namedStates(prefix = ""): [string, State][] {
    const figures = this.#figures;
    return [
      [`${prefix}steps`, this.steps],
      ...(figures === undefined ? [] : [[`${prefix}${FIGURES}`, figures] as [string, State]]),
    ];
  }
}

function figuresOf(shape: Shape): State {
  return outsideTrace(() => state(zeros(shape), { name: KEPT }));
}

/** What takes part in a training. */
export interface TrainingParts {
  model: Module;
  optimizer?: Optimizer;
  /** A loss with memory lists it. */
  loss?: Loss;
  /** A schedule has no state, but may have the optimizer keep a momentum. */
  schedule?: Schedule;
  position?: TrainingPosition;
  /** Those with states, such as an `EMA` or an `EarlyStopping`, list them; their keys go by places in the list. */
  callbacks?: readonly Callback<never>[];
}

const PARTS: Names<TrainingParts> = {
  model: true,
  optimizer: true,
  loss: true,
  schedule: true,
  position: true,
  callbacks: true,
};

/**
 * All states of a training. A snapshot that is put back into objects made in the same way goes on bit for bit where it was
 * taken; with a `position`, in the middle of an epoch too.
 */
export class TrainingState implements Stateful {
  readonly parts: TrainingParts;

  constructor(parts: TrainingParts) {
    const { model, optimizer, schedule, callbacks = [] } = knownOptions("TrainingState", PARTS, parts);
    if (!((model as unknown) instanceof Module)) {
      throw new TslipError("INVALID_ARGUMENT", `model must be a Module; given ${describe(model)}`);
    }
    if (optimizer !== undefined && !((optimizer as unknown) instanceof Optimizer)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `optimizer must be one such as new Adam(); given ${describe(optimizer)}`,
      );
    }
    checkCallbacks(callbacks);
    // All states are there before the first step, as after it.
    if (schedule?.at(0).momentum !== undefined) optimizer?.momentumState;
    optimizer?.track(model.parameters());
    for (const callback of callbacks) callback.track?.(model);
    this.parts = { ...parts };
  }

  /**
   * Keys begin with `model.`, `optimizer.`, `loss.`, `position.`, `callbacks.` or `random.`. What an optimizer keeps of a parameter has the
   * parameter's key in the model, whatever else was done with the model or its parts. Where steps draw by `rand()` and `randn()`
   * is under `random.`.
   */
  namedStates(prefix = ""): [string, State][] {
    const { model, optimizer, loss, position, callbacks = [] } = this.parts;
    return [
      ...model.namedStates(`${prefix}model.`),
      ...(optimizer?.namedStates(prefix + OF_OPTIMIZER, model.namedParameters()) ?? []),
      ...(isStateful(loss) ? loss.namedStates(`${prefix}loss.`) : []),
      ...(position?.namedStates(`${prefix}position.`) ?? []),
      ...callbacks.flatMap((one, i) => (isStateful(one) ? one.namedStates(`${prefix}callbacks.${i}.`) : [])),
      ...Generator.shared.namedStates(`${prefix}random.`),
    ];
  }

  /**
   * Values of all states, of one moment between two steps; `position.figures` is among them in the middle of an epoch alone. Rejects where
   * two states have one key.
   */
  async snapshot(): Promise<Record<string, Value>> {
    const { [KEPT]: figures, ...values } = await readStates(Object.fromEntries(byKey(this.namedStates())));
    const empty = figures === undefined || figures.held().every((value) => value === 0);
    return empty ? values : { ...values, [KEPT]: figures };
  }

  /** Puts values back. Throws one error that names keys, shapes and types that do not fit, of many the first ones; nothing is changed then. */
  restore(snapshot: StateRecord): void {
    const { model, optimizer, position } = this.parts;
    const keys = isPlain(snapshot) ? Object.keys(snapshot).filter((key) => key.startsWith(OF_OPTIMIZER)) : [];
    const ofOptimizer = keys.map((key) => key.slice(OF_OPTIMIZER.length));
    const load = (): void => loadInto(this.namedStates(), [], snapshot);
    const begun = (): void => {
      if (optimizer === undefined) load();
      else optimizer.restoring(ofOptimizer, model.parameters(), load);
    };
    if (position === undefined || !isPlain(snapshot)) begun();
    else position.restoring(snapshot[KEPT], begun);
  }
}
