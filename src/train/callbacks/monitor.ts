// What callbacks that follow a figure from epoch to epoch share: which one, what is better, how long nothing was.
import { TslipError } from "../../errors.js";
import { choice, type Option } from "../../options.js";
import { type State, type Stateful, scalar, state } from "../../tensor/index.js";
import { assignInTurn } from "../../tensor/state.js";

/** Whether smaller or larger figures are better. */
export type MonitorMode = "min" | "max";

/** The name of a figure of the record of an epoch. */
export const figureName: Option<string> = {
  read(name, given = "val_loss") {
    if (typeof given === "string" && given !== "") return given;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be the name of a figure, such as "val_loss"; given ${String(given)}`,
    );
  },
};

export const modeOption = choice<MonitorMode | "auto">(["auto", "min", "max"], "auto");

/** The mode for a figure; what is not called a loss has to be given one. Throws `INVALID_ARGUMENT`. */
export function modeFor(owner: string, monitor: string, mode: MonitorMode | "auto"): MonitorMode {
  if (mode !== "auto") return mode;
  if (monitor === "loss" || monitor === "val_loss") return "min";
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} cannot know whether a larger ${monitor} is better; say mode: "max" (an accuracy, KR) or mode: "min" (an error)`,
  );
}

/** Refuses a figure that records will not have. Throws `INVALID_ARGUMENT`. */
export function checkFigure(owner: string, monitor: string, figures: readonly string[]): void {
  if (figures.includes(monitor)) return;
  const validated = figures.some((name) => name.startsWith("val_"));
  const why =
    monitor.startsWith("val_") && !validated
      ? "give fit a validation set"
      : "monitor one of them, or give fit such a metric; figures are called as they are in metrics";
  throw new TslipError(
    "INVALID_ARGUMENT",
    `${owner} monitors ${monitor}, which records do not have (${figures.join(", ")}); ${why}`,
  );
}

/** A figure of a record. Throws `INVALID_ARGUMENT` where it has none of that name. */
export function figureOf(owner: string, monitor: string, record: Readonly<Record<string, number | undefined>>): number {
  const value = record[monitor];
  if (value === undefined) checkFigure(owner, monitor, Object.keys(record));
  return value ?? Number.NaN;
}

/** The best figure so far, and for how many epochs none was better. */
export class Patience implements Stateful {
  readonly #mode: MonitorMode;
  readonly #best: State;
  readonly #waited: State = state(scalar(0, "i32"), { name: "epochs without a better figure" });

  constructor(mode: MonitorMode) {
    this.#mode = mode;
    const worst = mode === "min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    this.#best = state(scalar(worst), { name: "best figure" });
  }

  /** Epochs without a better figure, now that there is another one; 0 where it is better. NaN never is. */
  async observe(figure: number, isBetter: (figure: number, best: number) => boolean): Promise<number> {
    const [[best = Number.NaN], [waited = 0]] = await Promise.all([this.#best.data(), this.#waited.data()]);
    // In the precision of the state, so that a training that goes on decides as one that was not stopped.
    const rounded = Math.fround(figure);
    const better = isBetter(rounded, best);
    await assignInTurn([
      ...(better ? [[this.#best, scalar(rounded)] as const] : []),
      [this.#waited, scalar(better ? 0 : waited + 1, "i32")],
    ]);
    return better ? 0 : waited + 1;
  }

  /** Epochs without a better figure so far. */
  async waited(): Promise<number> {
    const [waited = 0] = await this.#waited.data();
    return waited;
  }

  /** Whether a figure is better than the best by more than some amount. */
  beats(figure: number, best: number, by = 0): boolean {
    return this.#mode === "min" ? figure < best - by : figure > best + by;
  }

  /** Begins to wait anew. */
  async restart(): Promise<void> {
    await assignInTurn([[this.#waited, scalar(0, "i32")]]);
  }

  namedStates(prefix = ""): [string, State][] {
    return [
      [`${prefix}best`, this.#best],
      [`${prefix}waited`, this.#waited],
    ];
  }
}
