// Calls of a function on few samples each, which share a batch where many come at once.

import { engine, type Job, type RunResult } from "../native.js";
import { isPromise, quiet } from "../promise.js";
import type { InputSpec, Program } from "./compile.js";
import { outsideTrace } from "./trace.js";

/** A call of a function of one argument, whose rows are samples. */
export interface Call<R> {
  readonly program: Program<R>;
  readonly bytes: Uint8Array;
  /** What its job is to tell beside the outputs. */
  readonly asks?: Partial<Job>;
  /** The recording of the same function for more samples, if the one of the call still stands. */
  larger(spec: InputSpec): Program<R> | undefined;
}

/** What a call gives. */
export type Outputs = Pick<RunResult, "outputs" | "versions">;

interface Waiting<R> extends Call<R> {
  resolve(outputs: Outputs | Promise<Outputs>): void;
}

/** A call of more samples goes alone. */
const MOST_OF_A_CALL = 16;
/** A power of two. */
const MOST_OF_A_BATCH = 64;

/**
 * Runs calls of one function. The first goes its way at once; those that come while it is under way share batches with the others of
 * the same turn of the event loop. What a sample gives is the same in any batch: of which the ops do not show that, goes alone.
 */
export class Batching<R> {
  #underWay = 0;
  #waiting: Waiting<R>[] = [];

  /** What a call gives, at once where nothing else is under way and there is little to do. */
  run(call: Call<R>): Outputs | Promise<Outputs> {
    if (this.#underWay === 0 || samplesOf(call.program) > MOST_OF_A_CALL) return this.#alone(call);
    return new Promise((resolve) => {
      // The caller may write to its memory before the batch is handed over.
      this.#waiting.push({ ...call, bytes: call.bytes.slice(), resolve });
      if (this.#waiting.length === 1) engine().defer(() => this.#runWaiting());
    });
  }

  #alone({ program, bytes, asks }: Call<R>): Outputs | Promise<Outputs> {
    const job = program.job([bytes]);
    const running = engine().run(asks === undefined ? job : { ...job, ...asks });
    this.#underWay += 1;
    const over = (): void => {
      this.#underWay -= 1;
    };
    if (isPromise(running)) running.then(over, over);
    // Others may come until whoever called goes on.
    else queueMicrotask(over);
    return running;
  }

  /** {@link #alone} with whatever goes wrong as a rejection. */
  async #promised(call: Call<R>): Promise<Outputs> {
    return await this.#alone(call);
  }

  #runWaiting(): void {
    const calls = this.#waiting;
    this.#waiting = [];
    // Whose job brings this about may be recording, in another mode: that is nothing to these calls.
    outsideTrace(() => {
      for (const program of new Set(calls.map((call) => call.program))) {
        this.#together(calls.filter((call) => call.program === program));
      }
    });
  }

  /** Runs calls of one recording, in batches of powers of two: of those there are few. */
  #together(calls: readonly Waiting<R>[]): void {
    const [first] = calls;
    if (first === undefined) return;
    const samples = samplesOf(first.program);
    let count = 1;
    while (2 * count <= calls.length && 2 * count * samples <= MOST_OF_A_BATCH) count *= 2;
    const batch = count > 1 ? batchOf(first, count) : undefined;
    if (batch === undefined) for (const call of calls) call.resolve(quiet(this.#promised(call)));
    else {
      this.#shared(batch, calls.slice(0, count));
      this.#together(calls.slice(count));
    }
  }

  #shared(program: Program<R>, calls: readonly Waiting<R>[]): void {
    const [{ bytes: { length } = new Uint8Array(), asks } = {}] = calls;
    const bytes = new Uint8Array(calls.length * length);
    calls.forEach((call, i) => bytes.set(call.bytes, i * length));
    const whole = quiet(this.#promised({ program, bytes, larger: () => undefined, ...(asks && { asks }) }));
    calls.forEach((call, i) => call.resolve(quiet(this.#part(whole, call, i, calls.length))));
  }

  /** The rows of one call; where the batch fails, as what is too large for a device does, what the call gives by itself. */
  async #part(whole: Promise<Outputs>, call: Call<R>, at: number, calls: number): Promise<Outputs> {
    try {
      return partOf(await whole, at, calls);
    } catch {
      alone(call.program, calls);
      return await this.#alone(call);
    }
  }
}

/** The rows of one of so many calls. */
function partOf({ outputs, versions }: Outputs, at: number, calls: number): Outputs {
  const rows = (bytes: Uint8Array): Uint8Array => {
    const size = bytes.length / calls;
    return bytes.slice(at * size, (at + 1) * size);
  };
  return { outputs: outputs.map(rows), versions };
}

/** By recordings, those of several calls at once that share what they compute; nothing for numbers of calls that cannot. */
const shared = new WeakMap<object, Map<number, object | undefined>>();

/** Has as many calls of a recording as that go by themselves from now on. */
function alone(program: object, calls: number): void {
  shared.get(program)?.set(calls, undefined);
}

/** The recording for as many calls as that at once, if what a call gives does not depend on the others. */
function batchOf<R>({ program, larger }: Waiting<R>, calls: number): Program<R> | undefined {
  const known = (shared.get(program) ?? new Map()) as Map<number, Program<R> | undefined>;
  shared.set(program, known);
  if (known.has(calls) && known.get(calls) === undefined) return undefined;
  const [
    {
      shape: [samples = 0, ...sample],
      ...spec
    } = NO_ARGUMENT,
  ] = program.specs;
  let batch: Program<R> | undefined;
  try {
    batch = larger({ ...spec, shape: [calls * samples, ...sample] });
    if (batch === undefined || batch === known.get(calls)) return batch;
    if (!show(program, batch)) batch = undefined;
  } catch {
    // The function takes no such batch; by itself each call is what its caller asked for.
  }
  known.set(calls, batch);
  return batch;
}

const NO_ARGUMENT: InputSpec = { shape: [], dtype: "f32" };

/** Whether the ops show that rows are those of the samples, each by itself. */
function show<R>(program: Program<R>, batch: Program<R>): boolean {
  const ofSamples = (one: Program<R>): boolean => one.outputs.every(({ shape }) => shape[0] === samplesOf(one));
  return (
    !batch.assigns &&
    ofSamples(program) &&
    ofSamples(batch) &&
    batch.separate.every(Boolean) &&
    program.sameButForBatch(batch)
  );
}

function samplesOf<R>(program: Program<R>): number {
  return program.specs[0]?.shape[0] ?? 0;
}
