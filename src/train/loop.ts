// loop: a step again and again in one native call.
import { describe } from "../describe.js";
import { onCurrentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { type RunResult, runCancellable } from "../native.js";
import { abortSignal, callback, checkNumbers, knownOptions, type Names } from "../options.js";
import { Program, State, type Values } from "../tensor/index.js";
import { wholeNumber } from "../tensor/shape.js";

/** Options of {@link loop}. */
export interface LoopOptions {
  /** How often the step is run at most. */
  steps: number;
  /**
   * A 0-d boolean state that steps assign: the loop ends after the first step that leaves it true. Steps that a device has
   * begun by then change nothing.
   */
  until?: State;
  /** On a GPU `until` is looked at after every so many steps, by default 1; that is a matter of cost alone. */
  checkEvery?: number;
  /** 0-d f32 states with the values that they are set to before each step, one for each. */
  tables?: readonly { readonly state: State; readonly values: ArrayLike<number> }[];
  /** Aborting rejects with the signal's reason within one step; states keep the last whole step. */
  signal?: AbortSignal | undefined;
  /**
   * Called at most 20 times a second with the steps done, and the 0-d f32 results of the last one in their order; what it throws ends
   * the loop, and rejects, and so does a promise of it that rejects: the loop goes on meanwhile, and resolves once all of them have.
   */
  onProgress?: ((step: number, steps: number, scalars: Float64Array) => void) | undefined;
}

const OPTIONS: Names<LoopOptions> = {
  steps: true,
  until: true,
  checkEvery: true,
  tables: true,
  signal: true,
  onProgress: true,
};

/**
 * Runs `step` so many times in one native call. It is recorded once, as by `compile`; what changes from step to step are states,
 * which it assigns. Resolves to the number of steps that were run and what the last one returned.
 *
 * @throws TslipError `INVALID_ARGUMENT` for options out of range, before anything is run.
 */
export async function loop<const R>(
  step: () => R,
  options: LoopOptions,
): Promise<{ steps: number; values: Values<R> }> {
  if (typeof step !== "function") {
    throw new TslipError("INVALID_ARGUMENT", `loop takes a function, then its options; given ${describe(step)}`);
  }
  return await onCurrentDevice(async () => await repeat(Program.record(step, []), options));
}

/** A recorded step, and how often it is run before the next one is. */
export interface Part<R> {
  readonly program: Program<R>;
  readonly steps: number;
}

/**
 * {@link loop} of what has been recorded: of one step, or of parts one after another, which return the same and have as many steps in all as
 * the options say.
 */
export async function repeat<R>(
  recorded: Program<R> | readonly Part<R>[],
  options: LoopOptions,
): Promise<{ steps: number; values: Values<R> }> {
  const { until, tables = [], signal, onProgress } = knownOptions("loop", OPTIONS, options);
  abortSignal.read("signal", signal);
  callback.read("onProgress", onProgress);
  const steps = wholeNumber("steps", options.steps, 1);
  const checkEvery = wholeNumber("checkEvery", options.checkEvery ?? 1, 1);
  if (until !== undefined && !(until instanceof State)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `until must be a 0-d bool state, such as state(zeros([], { dtype: "bool" })); given ${describe(until)}`,
    );
  }
  if (!Array.isArray(tables) || !tables.every((table) => table?.state instanceof State)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `tables must be a list of { state, values }, of 0-d f32 states; given ${describe(tables)}`,
    );
  }
  for (const { state, values } of tables as NonNullable<LoopOptions["tables"]>) {
    if (values?.length === steps) {
      checkNumbers(`the values of the table of ${state.name}`, values);
      continue;
    }
    throw new TslipError(
      "INVALID_ARGUMENT",
      `the table of ${state.name} is ${describe(values)} for ${steps} steps; give one value for each`,
    );
  }
  const parts = recorded instanceof Program ? [{ program: recorded, steps }] : recorded;
  const job = {
    stretches: parts.map((part) => ({ plan: part.program.plan, steps: part.steps, inputs: part.program.inputs([]) })),
    tables: tables.map(({ state, values }) => ({ state: state.id, values: Float32Array.from(values) })),
    ...(until === undefined ? {} : { until: { state: until.id, checkEvery } }),
  };
  let running: RunResult | Promise<RunResult> = runCancellable(job, signal, onProgress);
  for (const { program } of parts) running = program.afterFilling(running);
  const result = await running;
  return { steps: result.steps, values: (parts[0] as Part<R>).program.results(result.outputs) };
}
