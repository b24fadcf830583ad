// State: named storage of the engine that graphs read and assign. Parameter: the state that training changes.

import { onDevice } from "../device.js";
import { TslipError } from "../errors.js";
import { engine } from "../native.js";
import { bytesOf } from "./dtype.js";
import { freeState, runOnce, runOnceInTurn, stepOf } from "./evaluate.js";
import { type Graph, graphOf, topological } from "./graph.js";
import { showShape } from "./shape.js";
import { Tensor, Value } from "./tensor.js";
import { currentTrace, latest } from "./trace.js";

const freed = new FinalizationRegistry<number>(freeState);

/** How a state is named, and whether its axis 0 runs over samples (a hint for speed). */
export interface StateOptions {
  name?: string;
  batched?: boolean;
}

/** Storage in the engine, filled from `init` when first needed. As a tensor it reads as its current value. */
export class State extends Tensor {
  /** Shown in errors; a module gives its parameters their path. */
  name: string;
  /** Whether axis 0 runs over the samples of a batch. */
  readonly batched: boolean;
  #id: number | undefined;
  #init: Tensor | undefined;

  constructor(init: Tensor, options: StateOptions = {}) {
    if (init.trace !== undefined) {
      throw new TslipError(
        "TRACE",
        "a state was made from a symbolic tensor inside a compiled function; make it outside and assign to it inside",
      );
    }
    super("state", {}, [], init.shape, init.dtype, undefined);
    this.#init = init;
    this.name = options.name ?? "state";
    this.batched = options.batched ?? false;
  }

  /** Identity in the engine; asking for it fills the state if that has not happened yet. */
  get id(): number {
    if (this.#id === undefined) State.fill([this]);
    return this.#id ?? 0;
  }

  /**
   * Gives the state a new value: inside a compiled function at the end of the step (later reads of the same trace see
   * it), outside at once. Shape and element type stay. Throws `SHAPE_MISMATCH` or `DTYPE_MISMATCH`.
   */
  assign(value: Tensor): void {
    assignAll([[this, value]]);
  }

  /** Whether the engine holds it already. */
  get filled(): boolean {
    return this.#id !== undefined;
  }

  /** What a state that is not filled yet will start from. */
  get initial(): Tensor | undefined {
    return this.#init;
  }

  /** Replaces the value that a state will start from. Throws `INTERNAL` when it is filled: the value would be lost. */
  restart(init: Tensor): void {
    if (this.filled) throw new TslipError("INTERNAL", `the state ${this.name} has started already; assign to it`);
    this.#init = init;
  }

  /** Fills those of `states` that are not filled yet, from values of one moment between two steps. */
  static fill(states: readonly State[]): void {
    const { graph, undo } = State.#opened(states);
    try {
      if (graph !== undefined) runOnce(graph);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /**
   * {@link fill} in the order of jobs: those queued after the call find the states filled, unless `done` rejects. `versions` are those
   * that the states have then, until something else is written.
   */
  static fillInTurn(states: readonly State[]): { done: Promise<void>; versions: ReadonlyMap<State, number> } {
    const { graph, undo, versions } = State.#opened(states);
    const done = graph === undefined ? Promise.resolve() : runOnceInTurn(graph);
    const undone = (error: unknown): never => {
      undo();
      throw error;
    };
    return { done: done.catch(undone), versions };
  }

  /** Storage for states that have none, what computes the values that are not known, and what takes it all back. */
  static #opened(states: readonly State[]): {
    graph: Graph | undefined;
    undo: () => void;
    versions: ReadonlyMap<State, number>;
  } {
    const waiting = [...new Set(states)].filter(({ filled }) => !filled);
    // Those that others start from come first, each after those that it starts from itself.
    for (const source of unfilled(waiting.map((state) => state.#initialValue()))) State.fill([source]);
    const open = waiting.filter(({ filled }) => !filled).map((state) => [state, state.#initialValue()] as const);
    const undo = (): void => {
      for (const [state, init] of open) state.#close(init);
    };
    try {
      for (const [state, init] of open) {
        state.#id = engine().createState(state, init instanceof Value ? bytesOf(init.held()) : undefined);
        freed.register(state, state.#id, state);
      }
      // Computed where they stay: they do not pass through JavaScript.
      const assigns = new Map(open.filter(([, init]) => !(init instanceof Value || isZero(init))));
      const graph = assigns.size > 0 ? assigning(assigns) : undefined;
      for (const [state] of open) state.#init = undefined;
      // A new state is of version 1, and each write makes another.
      const versions = new Map(open.map(([state]) => [state, assigns.has(state) ? 2 : 1]));
      return { graph, undo, versions };
    } catch (error) {
      undo();
      throw error;
    }
  }

  #initialValue(): Tensor {
    if (this.#init !== undefined) return this.#init;
    throw new TslipError("INTERNAL", `the state ${this.name} lost its initial value`);
  }

  /** Gives storage back. */
  #close(init: Tensor): void {
    freed.unregister(this);
    if (this.#id !== undefined) freeState(this.#id);
    this.#id = undefined;
    this.#init = init;
  }
}

function isZero({ op, attributes }: Tensor): boolean {
  return op === "full" && attributes["value"] === 0;
}

/** A state that optimizers change; `Module.parameters()` lists it. */
export class Parameter extends State {
  /** Whether some module's `parameters()` has listed it. */
  listed = false;

  constructor(init: Tensor, options: StateOptions = {}) {
    super(init, { name: "parameter", ...options });
  }
}

/** A state that is no parameter: optimizer slots, statistics, variables of an attack. */
export function state(init: Tensor, options: StateOptions = {}): State {
  return new State(init, options);
}

/** {@link State.assign} as a function. */
export function assign(target: State, value: Tensor): void {
  target.assign(value);
}

/** Assigns several states together: all of them or, on an error, none. */
export function assignAll(assigns: readonly (readonly [State, Tensor])[]): void {
  for (const [target, value] of assigns) checkAssign(target, value);
  const trace = currentTrace();
  if (trace !== undefined) {
    // Read before any is written: states may exchange their values.
    const values = assigns.map(([, value]) => latest(value));
    assigns.forEach(([target, value], i) => trace.assigns.set(target, values[i] ?? value));
    return;
  }
  // A state that is not filled can start from a value that is known; what is computed needs a step.
  const starts = new Map<State, Tensor>();
  const steps = new Map<State, Tensor>();
  for (const [target, value] of new Map(assigns)) {
    (value instanceof Value && !target.filled ? starts : steps).set(target, value);
  }
  // That step reads states as they were before, which fills them.
  for (const read of unfilled([...steps.keys(), ...steps.values()])) {
    const value = starts.get(read);
    if (value !== undefined) steps.set(read, value);
    starts.delete(read);
  }
  if (steps.size > 0) engine().step(stepOf(assigning(steps)));
  for (const [target, value] of starts) target.restart(value);
}

/** The states that are not filled and that tensors read, or such states start from; each after those that it starts from. */
function unfilled(tensors: readonly Tensor[]): State[] {
  const operandsOf = (t: Tensor): readonly Tensor[] =>
    t instanceof State && t.initial !== undefined ? [t.initial] : t.inputs;
  return topological(tensors, operandsOf).filter((t): t is State => t instanceof State && !t.filled);
}

/**
 * What gives states their values at once. Values that depend on no state are computed on the CPU: they are the same whatever the device,
 * and none has to be opened for them.
 */
function assigning(assigns: ReadonlyMap<State, Tensor>): Graph {
  const fresh = topological([...assigns.values()]).every(({ op }) => op !== "state");
  return onDevice(fresh ? "cpu" : undefined, () => graphOf([], { assigns }));
}

function checkAssign(target: State, value: Tensor): void {
  if (value.dtype !== target.dtype) {
    throw new TslipError(
      "DTYPE_MISMATCH",
      `${target.name} has element type ${target.dtype}; assigned ${value.dtype}; cast it first`,
    );
  }
  if (value.rank !== target.rank || value.shape.some((n, i) => n !== target.shape[i])) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `${target.name} has shape ${showShape(target.shape)}; assigned ${showShape(value.shape)}; a state keeps its shape`,
      { shapes: [target.shape, value.shape] },
    );
  }
  if (value.trace !== undefined && value.trace !== currentTrace()) {
    throw new TslipError(
      "TRACE",
      `${target.name} was assigned a tensor of another trace; assign inside the function that made it`,
    );
  }
}
