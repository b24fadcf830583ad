// compile: records a function once per shapes and modes, then runs it in the engine with one call.

import { describe } from "../describe.js";
import { currentDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { engine, type Job, type RunResult } from "../native.js";
import { isPlain } from "../options.js";
import { following, isPromise, quiet } from "../promise.js";
import { bytesOf, type DType, sameBytes, type TypedArray } from "./dtype.js";
import { inputsOf, jobOf, planOf, stepOf, valuesOf } from "./evaluate.js";
import {
  type Fill,
  fillAll,
  fillAllInTurn,
  type Graph,
  graphOf,
  nodesOf,
  type RecordedGraph,
  sameButForBatch,
} from "./graph.js";
import type { Shape } from "./shape.js";
import type { State } from "./state.js";
import { Tensor, Value } from "./tensor.js";
import { latest, Trace } from "./trace.js";

/** The results of a traced function with every tensor replaced by its values. */
export type Values<R> = R extends Tensor ? Value : R extends object ? { -readonly [K in keyof R]: Values<R[K]> } : R;

/** What is known of an input while tracing. */
export interface InputSpec {
  readonly shape: Shape;
  readonly dtype: DType;
  /** Whether axis 0 runs over the samples of the batch. */
  readonly batched?: boolean;
}

/** A function recorded for given input specs: its graph, and how its results are laid out. */
export class Program<R> {
  readonly #specs: readonly InputSpec[];
  readonly #graph: Graph;
  readonly #layout: unknown;
  readonly #trace: Trace;
  readonly #device = currentDevice();
  #filled: Promise<void> | undefined;

  private constructor(specs: readonly InputSpec[], graph: Graph, layout: R, trace: Trace) {
    this.#specs = specs;
    this.#graph = graph;
    this.#layout = layout;
    this.#trace = trace;
  }

  /**
   * Records `fn`. Throws `TRACE` when it is async or returns something that is neither a tensor nor made of tensors. States that it reads
   * or assigns get their first values by `fill`, by default in the order of jobs, for which nobody waits: see {@link filled}.
   */
  static record<A extends readonly Tensor[], R>(
    fn: (...args: A) => R,
    specs: readonly InputSpec[],
    fill: Fill = fillAllInTurn,
  ): Program<R> {
    const trace = new Trace();
    const inputs = specs.map(
      ({ shape, dtype, batched = false }, index) => new Tensor("input", { index, batched }, [], shape, dtype, trace),
    );
    const outputs: Tensor[] = [];
    const result = trace.record(() => {
      const returned = fn(...(inputs as readonly Tensor[] as A));
      mapTensors(returned, (t) => {
        const output = latest(t);
        if (output.trace !== undefined && output.trace !== trace)
          throw new TslipError("TRACE", "a result belongs to another trace");
        outputs.push(output);
        return output;
      });
      return returned;
    });
    const graph = graphOf(outputs, { inputs: specs.length, assigns: trace.assigns, fill });
    const program = new Program(specs, graph, result, trace);
    if (graph.filling !== undefined) program.#await(quiet(graph.filling));
    return program;
  }

  async #await(filled: Promise<void>): Promise<void> {
    this.#filled = filled;
    await filled.catch(() => undefined);
    this.#filled = undefined;
  }

  /** What a job of it gives: where first values cannot be computed, the reason for that comes first. */
  afterFilling<T>(running: T | Promise<T>): T | Promise<T> {
    const filled = this.#filled;
    return filled === undefined ? running : whenFilled(filled, quiet(running));
  }

  /** Whether it was recorded for arguments of these shapes and element types. */
  takes(args: readonly InputSpec[]): boolean {
    const same = ({ shape, dtype }: InputSpec, t: InputSpec | undefined): boolean =>
      dtype === t?.dtype && shape.length === t.shape.length && shape.every((extent, i) => extent === t.shape[i]);
    return args.length === this.#specs.length && this.#specs.every((spec, i) => same(spec, args[i]));
  }

  /** What its arguments are. */
  get specs(): readonly InputSpec[] {
    return this.#specs;
  }

  /** Throws where the recording demands other values of its argument of this number. */
  check(argument: number, values: TypedArray): void {
    for (const check of this.#trace.demandsOf(argument)) check(values);
  }

  /** Whether modes and coefficients that the recording used are still the same, and the device. */
  get current(): boolean {
    return this.#device === currentDevice() && this.#trace.holds();
  }

  /** The engine's plan. It is kept while among the last used: ask for it each time a job is made. */
  get plan(): number {
    return planOf(this.#graph);
  }

  /** The states that it reads or sets. */
  get states(): readonly State[] {
    return this.#graph.states as readonly State[];
  }

  /** For each output whether its rows are shown to depend on their own sample of the batch alone. */
  get separate(): readonly boolean[] {
    return engine().separate(this.#graph.json);
  }

  /** Whether running it sets states. */
  get assigns(): boolean {
    return this.#trace.assigns.size > 0;
  }

  /** Whether the first `count` outputs are computed by the same ops from the same numbers as those of another recording. */
  same(other: Program<R>, count = this.outputs.length): boolean {
    const upTo = ({ outputs }: Program<R>): Graph => graphOf(outputs.slice(0, count), { inputs: this.#specs.length });
    const [one, two] = [upTo(this), upTo(other)];
    const bytes = ({ constants }: Graph): Uint8Array[] => constants.map((c) => bytesOf(c.held()));
    const theirs = bytes(two);
    return one.json === two.json && bytes(one).every((mine, i) => sameBytes(mine, theirs[i] ?? new Uint8Array()));
  }

  /** Whether another recording computes the same of each sample by the same ops and numbers, for a batch of another length. */
  sameButForBatch(other: Program<R>): boolean {
    return sameButForBatch(this.recorded, other.recorded);
  }

  /** Result tensors in the order of the plan's outputs. */
  get outputs(): readonly Tensor[] {
    return this.#graph.outputs;
  }

  /** Bytes of a job's inputs: the declared ones as given, then the constants of the recording. */
  inputs(declared: readonly Uint8Array[]): Uint8Array[] {
    return inputsOf(this.#graph, declared);
  }

  /** A job of one step. */
  job(declared: readonly Uint8Array[]): Job {
    return jobOf(this.#graph, declared);
  }

  /** Runs one step on the caller's time. */
  step(declared: readonly Uint8Array[]): Values<R> {
    return this.results(engine().step(stepOf(this.#graph, declared)));
  }

  /** Outputs in float64, row-major, by the plain definitions of the ops, on the caller's time: slow, for checks. */
  exact(declared: readonly Uint8Array[]): Float64Array[] {
    return engine().exact(this.#graph.json, this.inputs(declared));
  }

  /** Puts the bytes of the outputs where the function returned the tensors. */
  results(bytes: readonly Uint8Array[]): Values<R> {
    const values = valuesOf(this.outputs, bytes);
    let next = 0;
    const filled = mapTensors(this.#layout, (t) => {
      const held = values[next++];
      if (held === undefined) throw new TslipError("INTERNAL", "the engine returned fewer outputs than the plan has");
      return new Value(held, t.shape, t.dtype);
    });
    return filled as Values<R>;
  }

  /** The plan in words. */
  explain(): string {
    return engine().explain(this.plan);
  }

  /** What was recorded, node by node. */
  get recorded(): RecordedGraph {
    return nodesOf(this.outputs, this.#trace.assigns);
  }
}

/** The values of parameter-only tensors, all of one moment between two steps. */
export async function readStates<const R>(tensors: R): Promise<Values<R>> {
  const program = Program.record(() => tensors, []);
  const { outputs } = await program.afterFilling(engine().run(program.job([])));
  return program.results(outputs);
}

/** A compiled function: call it with tensors, await its results. */
export interface Compiled<A extends readonly Tensor[], R> {
  /** Runs one step. Calls made without awaiting run in order; inputs are copied at once; results are snapshots. */
  (...args: A): Promise<Values<R>>;
  /** The same on the caller's time. */
  sync(...args: A): Values<R>;
  /** The plan of the last call in words. Throws `TRACE` before the first call. */
  explain(): string;
  /** What the last call recorded, node by node, before it is differentiated and planned. Throws `TRACE` before the first call. */
  graph(): RecordedGraph;
  /** A call like any other that resolves to its plan in words, with the milliseconds that each node took. */
  profile(...args: A): Promise<string>;
}

const KEPT_PROGRAMS = 32;

/** A function's recordings, for the arguments and modes that it was last called with. */
export class Programs<A extends readonly Tensor[], R> {
  readonly #fn: (...args: A) => R;
  /** The one used last at the end. */
  readonly #programs: Program<R>[] = [];

  constructor(fn: (...args: A) => R) {
    this.#fn = fn;
  }

  /** The recording for such arguments, which is made if need be. */
  for(args: readonly InputSpec[], fill?: Fill): Program<R> {
    const programs = this.#programs;
    const at = programs.findLastIndex((program) => program.takes(args) && program.current);
    const known = programs[at];
    if (known !== undefined && at === programs.length - 1) return known;
    const program = known ?? Program.record(this.#fn, specsOf(args), fill);
    if (known !== undefined) programs.splice(at, 1);
    programs.push(program);
    if (programs.length > KEPT_PROGRAMS) programs.shift();
    return program;
  }

  /** The recording for tensors, and their bytes. */
  prepared(args: A, fill?: Fill): [Program<R>, Uint8Array[]] {
    const values = args.map(valuesOfArgument);
    const program = this.for(args, fill);
    values.forEach((given, argument) => program.check(argument, given));
    return [program, values.map(bytesOf)];
  }

  /** The one used last; `what` would describe it. */
  last(what: string): Program<R> {
    const last = this.#programs.at(-1);
    if (last !== undefined) return last;
    throw new TslipError("TRACE", `${what} describes the last call; call the compiled function first`);
  }

  /** One step on the caller's time. */
  step(args: A): Values<R> {
    const [program, declared] = this.prepared(args, fillAll);
    return program.step(declared);
  }

  /** What `run` makes of the recording for tensors and their bytes. */
  run<T>(args: A, run: (program: Program<R>, declared: Uint8Array[]) => T | Promise<T>): T | Promise<T> {
    const [program, declared] = this.prepared(args);
    return program.afterFilling(run(program, declared));
  }
}

async function whenFilled<T>(filled: Promise<void>, running: T | Promise<T>): Promise<T> {
  await filled;
  return await running;
}

/**
 * Compiles a function of tensors. It runs once for each combination of input shapes, element types and modes (`train`,
 * `eval`), with symbolic tensors; what it returns (a tensor, or records and arrays of them to any depth) and what it
 * assigns to states becomes one native call. A number of JavaScript in it, that of `Math.random()` too, is the same at
 * every call; `rand()` is not. Results are typed as the function's own, tuples included; a state that is returned gives
 * the value that it ends the step with.
 */
export function compile<A extends readonly Tensor[], const R>(fn: (...args: A) => R): Compiled<A, R> {
  if (typeof fn !== "function") {
    throw new TslipError("INVALID_ARGUMENT", `compile takes a function of tensors; given ${describe(fn)}`);
  }
  const programs = new Programs(fn);
  const run = async <T>(args: A, more: Partial<Job>, of: (program: Program<R>, result: RunResult) => T): Promise<T> =>
    await programs.run(args, (program, declared) =>
      following(engine().run({ ...program.job(declared), ...more }), (result) => of(program, result)),
    );
  const call = (...args: A): Promise<Values<R>> => run(args, {}, (program, { outputs }) => program.results(outputs));
  return Object.assign(call, {
    sync: (...args: A): Values<R> => programs.step(args),
    profile: (...args: A): Promise<string> => run(args, { profile: true }, (_, { profile }) => profile),
    explain: (): string => programs.last("explain()").explain(),
    graph: (): RecordedGraph => programs.last("graph()").recorded,
  });
}

/** Inputs whose axis 0 is as long as the first one's count as batched: a hint for speed that changes no result. */
function specsOf(args: readonly InputSpec[]): InputSpec[] {
  const batch = args.find(({ shape }) => shape.length > 0)?.shape[0];
  return args.map(({ shape, dtype }) => ({ shape, dtype, batched: batch !== undefined && shape[0] === batch }));
}

function valuesOfArgument(argument: unknown, position: number): TypedArray {
  if (!(argument instanceof Tensor)) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `argument ${position} of a compiled function must be a tensor; given ${describe(argument)}; wrap data with tensor(data, shape)`,
    );
  }
  return argument instanceof Value ? argument.held() : argument.dataSync();
}

/** Copies records and arrays, replacing every tensor by `replace(tensor)`. */
function mapTensors(result: unknown, replace: (t: Tensor) => Tensor): unknown {
  if (result instanceof Tensor) return replace(result);
  if (result === undefined || result === null) return result;
  if (Array.isArray(result)) return result.map((item) => mapTensors(item, replace));
  if (typeof result === "object" && isPromise(result)) {
    result.then(undefined, () => undefined);
    throw new TslipError(
      "TRACE",
      "a compiled function must not be async: it runs once, with symbolic tensors; remove async and await",
    );
  }
  if (typeof result === "object" && isPlain(result)) {
    return Object.fromEntries(Object.entries(result).map(([key, item]) => [key, mapTensors(item, replace)]));
  }
  throw new TslipError(
    "TRACE",
    `a compiled function returns tensors, or records and arrays of them; it returned ${describe(result)}, which would be ` +
      "the same on every call",
  );
}
