// State: named storage of the engine that graphs read and assign. Parameter: the state that training changes.

import { describe } from "../describe.js";
import { currentDevice } from "../device.js";
import { refuseFields, TslipError } from "../errors.js";
import { engine } from "../native.js";
import { knownOptions, type Names } from "../options.js";
import { quiet } from "../promise.js";
import { bytesOf } from "./dtype.js";
import { freeState, jobOf, runOnce, runOnceInTurn, stepOf } from "./evaluate.js";
import { type Graph, graphOf, topological } from "./graph.js";
import { showShape } from "./shape.js";
import { asTensor, Tensor, Value } from "./tensor.js";
import { currentTrace, latest, observed } from "./trace.js";

const freed = new FinalizationRegistry<number>(freeState);

/** How a state is named, and whether its axis 0 runs over samples (a hint for speed). */
export interface StateOptions {
  name?: string;
  batched?: boolean;
}

const OPTIONS: Names<StateOptions> = { name: true, batched: true };
/** States made so far. */
let made = 0;

/** Storage in the engine, filled from `init` when first needed. As a tensor it reads as its current value. */
export class State extends Tensor {
  /** Shown in errors; a module gives its parameters their path. */
  name: string;
  /** Whether axis 0 runs over the samples of a batch. */
  readonly batched: boolean;
  /** Tells states apart where objects are compared field by field. */
  readonly serial = ++made;
  #id: number | undefined;
  #init: Tensor | undefined;

  constructor(init: Tensor, options: StateOptions = {}) {
    asTensor("a state", init);
    const { name = "state", batched = false } = knownOptions("a state", OPTIONS, options);
    if (init.trace !== undefined) {
      throw new TslipError(
        "TRACE",
        "a state was made from a symbolic tensor inside a compiled function; make it outside and assign to it inside",
      );
    }
    super("state", {}, [], init.shape, init.dtype, undefined);
    this.#init = init;
    this.name = name;
    this.batched = batched;
  }

  /** Identity in the engine; asking for it fills the state if that has not happened yet. */
  get id(): number {
    if (!this.filled) State.fill([this]);
    return this.#id ?? 0;
  }

  /**
   * Gives the state a new value: inside a compiled function at the end of the step (later reads of the same trace see
   * it), outside at once. Shape and element type stay. Throws `SHAPE_MISMATCH` or `DTYPE_MISMATCH`.
   */
  assign(value: Tensor): void {
    assignAll([[this, value]]);
  }

  protected override get heading(): string {
    return `${this.constructor.name} ${JSON.stringify(this.name)} ${this.dtype} ${showShape(this.shape)}`;
  }

  /** Whether the engine holds a value of it, or is about to. */
  get filled(): boolean {
    return this.#id !== undefined && this.#init === undefined;
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

  /** Fills those of `states` that are not filled yet, and those that they start from, from values of one moment between two steps. */
  static fill(states: readonly State[]): void {
    const { graphs, undo } = State.#opened(states);
    try {
      graphs.forEach(runOnce);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /**
   * {@link fill} in the order of jobs: those queued after the call find the states filled. Where this rejects they have no value: jobs
   * that read them by then are errors, and whoever asks next has them filled again.
   */
  static async fillInTurn(states: readonly State[]): Promise<void> {
    const { graphs, undo } = State.#opened(states);
    const outcomes = await Promise.allSettled(graphs.map(runOnceInTurn));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed === undefined) return;
    undo();
    throw failed.reason;
  }

  /** {@link fill} for those who know states by their type alone. */
  fillWith(states: readonly State[]): void {
    State.fill(states);
  }

  /** {@link fillInTurn} for those who know states by their type alone. */
  fillInTurnWith(states: readonly State[]): Promise<void> | undefined {
    return states.every(({ filled }) => filled) ? undefined : State.fillInTurn(states);
  }

  /** Storage for states that have none, what computes the values that are not known, and what notes that this has failed. */
  static #opened(states: readonly State[]): { graphs: Graph[]; undo: () => void } {
    const open = new Map(unfilled(states).map((state) => [state, state.#initialValue()]));
    const made = [...open.keys()].filter((state) => state.#id === undefined);
    // What is known is given to the engine with the storage.
    const computed = new Map(open);
    for (const state of made) {
      const init = open.get(state);
      if (init instanceof Value || (init !== undefined && isZero(init))) computed.delete(state);
    }
    const restore = (entries: Iterable<[State, Tensor]>): void => {
      for (const [state, init] of entries) state.#init = init;
    };
    try {
      for (const state of made) {
        const init = open.get(state);
        const value = init instanceof Value ? bytesOf(init.held()) : undefined;
        state.#id = engine().createState(state, value, computed.has(state));
        freed.register(state, state.#id, state);
      }
      for (const state of open.keys()) state.#init = undefined;
      // Values that follow from no state are the same at any moment, and on any device. The others are computed where they are to stay, in
      // one step: they do not pass through JavaScript.
      const [first, rest] = [new Map<State, Tensor>(), new Map<State, Tensor>()];
      for (const [state, init] of computed) (followsFromNone([init]) ? first : rest).set(state, init);
      const graphs = [first, rest].filter(({ size }) => size > 0).map((part) => assigning(part, part));
      // What has been assigned meanwhile is a value.
      const undo = (): void => restore([...computed].filter(([state]) => engine().versions([state.#id ?? 0])[0] === 0));
      return { graphs, undo };
    } catch (error) {
      restore(open);
      for (const state of made) state.#close();
      throw error;
    }
  }

  #initialValue(): Tensor {
    if (this.#init !== undefined) return this.#init;
    throw new TslipError("INTERNAL", `the state ${this.name} lost its initial value`);
  }

  /** Gives storage back. */
  #close(): void {
    freed.unregister(this);
    if (this.#id !== undefined) freeState(this.#id);
    this.#id = undefined;
  }
}

function isZero({ op, attributes }: Tensor): boolean {
  return op === "full" && attributes["value"] === 0;
}

/** A state that optimizers change; `Module.parameters()` lists it. */
export class Parameter extends State {
  /** Whether some module's `parameters()` has listed it. */
  listed = false;
  #trainable = true;

  constructor(init: Tensor, options: StateOptions = {}) {
    super(init, options);
    this.name = options.name ?? "parameter";
  }

  /**
   * Whether optimizers change it, by default true; one that is not is frozen: neither gradient nor weight decay moves it, and no step
   * makes slots for it. May be set between steps: compiled functions follow at their next call, `fit` in its next epoch. It is no
   * part of state dictionaries and files.
   */
  get trainable(): boolean {
    return observed(() => this.#trainable);
  }

  set trainable(value: boolean) {
    if (typeof value !== "boolean") {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `trainable must be true or false; given ${describe(value)} for ${this.name}`,
      );
    }
    this.#trainable = value;
  }
}

refuseFields(Parameter.prototype, { requiresGrad: "set trainable", requires_grad: "set trainable" });

/** A state that is no parameter: optimizer slots, statistics, variables of an attack. */
export function state(init: Tensor, options: StateOptions = {}): State {
  return new State(init, options);
}

/** {@link State.assign} as a function. */
export function assign(target: State, value: Tensor): void {
  assignAll([[target, value]]);
}

/** Assigns several states together: all of them or, on an error, none. */
export function assignAll(assigns: readonly (readonly [State, Tensor])[]): void {
  const pairs: unknown = assigns;
  if (!Array.isArray(pairs) || !pairs.every((pair) => Array.isArray(pair))) {
    throw new TslipError(
      "INVALID_ARGUMENT",
      `assignAll takes an array of pairs [state, value]; given ${describe(pairs)}`,
    );
  }
  for (const [target, value] of assigns) checkAssign(target, value);
  const trace = currentTrace();
  if (trace !== undefined) {
    // Read before any is written: states may exchange their values.
    const values = assigns.map(([, value]) => latest(value));
    assigns.forEach(([target, value], i) => trace.assign(target, values[i] ?? value));
    return;
  }
  const { starts, steps } = startsAndSteps(assigns);
  if (steps.size > 0) engine().step(stepOf(assigning(steps)));
  for (const [target, value] of starts) target.restart(value);
}

/** {@link assignAll} outside of traces in the order of jobs: those queued after the call find the states assigned. */
export async function assignInTurn(assigns: readonly (readonly [State, Tensor])[]): Promise<void> {
  for (const [target, value] of assigns) checkAssign(target, value);
  const { starts, steps } = startsAndSteps(assigns);
  for (const [target, value] of starts) target.restart(value);
  if (steps.size === 0) return;
  const filled = quiet(State.fillInTurn(unfilled([...steps.keys(), ...steps.values()])));
  const running = quiet(engine().run(jobOf(assigning(steps))));
  await filled;
  await running;
}

/** A state that is not filled can start from a value that is known; what is computed needs a step. */
function startsAndSteps(assigns: readonly (readonly [State, Tensor])[]) {
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
  return { starts, steps };
}

/** What a tensor depends on directly, a state that is not filled on what it starts from. */
const startsOf = (t: Tensor): readonly Tensor[] =>
  t instanceof State && t.initial !== undefined ? [t.initial] : t.inputs;

/** The states that tensors read, and those that such states start from; each after those that it starts from. */
export function statesBehind(tensors: readonly Tensor[]): State[] {
  return topological(tensors, startsOf).filter((t): t is State => t instanceof State);
}

function unfilled(tensors: readonly Tensor[]): State[] {
  return statesBehind(tensors).filter(({ filled }) => !filled);
}

/**
 * What gives states their values at once; those that are `starting` read as what they start from. Values that depend on no state are
 * computed on the CPU: they are the same whatever the device, and none has to be opened for them.
 */
function assigning(assigns: ReadonlyMap<State, Tensor>, starting: ReadonlyMap<Tensor, Tensor> = new Map()): Graph {
  const device = followsFromNone([...assigns.values()]) ? "cpu" : currentDevice();
  return graphOf([], { assigns, starting, device });
}

/** Whether tensors depend on no state. */
function followsFromNone(tensors: readonly Tensor[]): boolean {
  return topological(tensors).every(({ op }) => op !== "state");
}

function checkAssign(target: State, value: Tensor): void {
  asTensor("assign", value);
  if (!((target as unknown) instanceof State)) {
    throw new TslipError("INVALID_ARGUMENT", `assign takes a state, then its value; given ${describe(target)}`);
  }
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
