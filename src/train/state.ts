// The state of a training: all that changes in it, to be taken at one moment and put back.

import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import type { Loss } from "../losses/index.js";
import { Module } from "../nn/index.js";
import { byKey, loadInto, type StateRecord } from "../nn/state-dict.js";
import { Optimizer, type Schedule } from "../optim/index.js";
import { knownOptions, type Names } from "../options.js";
import { Generator, readStates, State, scalar, type Value } from "../tensor/index.js";
import { isStateful, type Stateful } from "../tensor/stateful.js";
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

/** A place in a training: the steps that have been made. It follows which epoch that is, and which batch of it. */
export class TrainingPosition implements Stateful {
  /** i32 `[]`. */
  readonly steps: State = new StepCount(scalar(0, "i32"), { name: "position.steps" });

  namedStates(prefix = ""): [string, State][] {
    return [[`${prefix}steps`, this.steps]];
  }
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
      ...(optimizer?.namedStates(`${prefix}optimizer.`, model.namedParameters()) ?? []),
      ...(isStateful(loss) ? loss.namedStates(`${prefix}loss.`) : []),
      ...(position?.namedStates(`${prefix}position.`) ?? []),
      ...callbacks.flatMap((one, i) => (isStateful(one) ? one.namedStates(`${prefix}callbacks.${i}.`) : [])),
      ...Generator.shared.namedStates(`${prefix}random.`),
    ];
  }

  /** Values of all states, of one moment between two steps. Rejects where two states have one key. */
  async snapshot(): Promise<Record<string, Value>> {
    return await readStates(Object.fromEntries(byKey(this.namedStates())));
  }

  /** Puts values back. Throws one error that names keys, shapes and types that do not fit, of many the first ones; nothing is changed then. */
  restore(snapshot: StateRecord): void {
    loadInto(this.namedStates(), [], snapshot);
  }
}
