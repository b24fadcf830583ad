// What `compile` records while it runs a user's function once: assigns, and what the recording depended on.
import { TslipError } from "../errors.js";
import type { TypedArray } from "./dtype.js";
import type { State } from "./state.js";
import type { Tensor } from "./tensor.js";

/** Throws where values are not what a function of tensors takes. */
export type ValueCheck = (values: TypedArray) => void;

/** One recording of a function. Tensors that depend on its inputs belong to it and to no other. */
export class Trace {
  /** Latest value of each state assigned so far; all commit together at the end of the step. */
  readonly assigns = new Map<State, Tensor>();
  readonly #followers = new Map<State, Set<State>>();
  readonly #dependencies: { read: () => unknown; value: unknown }[] = [];
  readonly #demands = new Map<number, ValueCheck[]>();

  /** Runs `fn` with this trace as the current one. Traces do not nest. */
  record<R>(fn: () => R): R {
    if (current !== undefined) {
      throw new TslipError(
        "TRACE",
        "a compiled function was called, or a tensor computed, while another function was being traced; " +
          "call the plain function inside and compile only the outermost one",
      );
    }
    current = this;
    try {
      return fn();
    } finally {
      current = undefined;
    }
  }

  /** Gives a state, and what follows it, their value at the end of the step. */
  assign(target: State, value: Tensor): void {
    for (const state of [target, ...(this.#followers.get(target) ?? [])]) this.assigns.set(state, value);
  }

  /** Has `follower` assigned whatever `followed` is assigned from here on. */
  follow(follower: State, followed: State): void {
    this.#followers.set(followed, new Set(this.#followers.get(followed)).add(follower));
  }

  /** Notes that the recording holds only as long as `read()` answers the same. */
  dependOn<T>(read: () => T): T {
    const value = read();
    this.#dependencies.push({ read, value });
    return value;
  }

  /** Notes that the recording takes such values alone as its argument of this number. */
  demand(argument: number, check: ValueCheck): void {
    this.#demands.set(argument, [...this.demandsOf(argument), check]);
  }

  /** What the recording demands of an argument. */
  demandsOf(argument: number): readonly ValueCheck[] {
    return this.#demands.get(argument) ?? [];
  }

  /** Whether everything the recording depended on still is as it was. */
  holds(): boolean {
    return this.#dependencies.every(({ read, value }) => Object.is(read(), value));
  }
}

let current: Trace | undefined;

/** The trace that is being recorded, if any. */
export function currentTrace(): Trace | undefined {
  return current;
}

/** Calls `fn` as if nothing were being recorded. */
export function outsideTrace<T>(fn: () => T): T {
  const recording = current;
  current = undefined;
  try {
    return fn();
  } finally {
    current = recording;
  }
}

/** Reads a setting (train or eval mode, a coefficient) in such a way that a trace that used it is redone when it changes. */
export function observed<T>(read: () => T): T {
  return current === undefined ? read() : current.dependOn(read);
}

/** The operand as the trace sees it: a state that was assigned reads as its new value. */
export function latest(operand: Tensor): Tensor {
  if (current === undefined || operand.op !== "state") return operand;
  // Only State makes nodes of op "state".
  return current.assigns.get(operand as State) ?? operand;
}

/** The trace that a node of these operands belongs to; refuses operands of a trace that is over. */
export function traceOf(op: string, operands: readonly Tensor[]): Trace | undefined {
  if (operands.every((t) => t.trace === undefined)) return undefined;
  if (operands.some((t) => t.trace !== undefined && t.trace !== current)) {
    throw new TslipError(
      "TRACE",
      `${op} was given a tensor of another trace: a tensor made inside a compiled function means nothing outside that ` +
        "call (and an async function leaves its trace at the first await); return it as a result instead",
      { op, shapes: operands.map((t) => t.shape) },
    );
  }
  return current;
}
