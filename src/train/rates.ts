// Learning rate and momentum of each step of a training, as its schedule gives them.
import { TslipError } from "../errors.js";
import type { Optimizer, Schedule } from "../optim/index.js";
import type { State } from "../tensor/index.js";

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
export function cycledMomentum(
  schedule: Schedule,
  first: number,
  end: number,
  optimizer: Optimizer,
): State | undefined {
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
export function tablesOf(schedule: Schedule, first: number, steps: number, rate: State, momentum: State | undefined) {
  const scheduled = Array.from({ length: steps }, (_, step) => ratesAt(schedule, first + step, momentum !== undefined));
  const tables = [{ state: rate, values: Float32Array.from(scheduled, ({ lr }) => lr) }];
  if (momentum !== undefined) {
    tables.push({ state: momentum, values: Float32Array.from(scheduled, (rates) => rates.momentum ?? 0) });
  }
  return tables;
}
