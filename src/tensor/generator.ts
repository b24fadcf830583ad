// Generator: random numbers inside compiled functions and native loops, others at each step, the same when a step is repeated.
import { knownOptions, type Names } from "../options.js";
import { currentSequence, type Seed, type Sequence, seedAt, seedOf } from "./random.js";
import { checkShape, type Shape } from "./shape.js";
import { assign, type State, state } from "./state.js";
import type { Stateful } from "./stateful.js";
import { scalar, Tensor } from "./tensor.js";
import { currentTrace, observed, type Trace } from "./trace.js";

const OPTIONS: Names<{ seed?: number }> = { seed: true };

/** Random numbers of the step that a counter names, i32 `[]`: each draw has numbers of its own, a step done again the same ones. */
export class Draws {
  readonly #seed: Seed;
  readonly #at: Tensor;
  #count = 0;

  constructor(seed: Seed, at: Tensor) {
    this.#seed = seed;
    this.#at = at;
  }

  /** Uniform numbers in [0, 1), f32 of `shape`. */
  uniform(shape: Shape): Tensor {
    return this.#draw(shape, "uniform");
  }

  /** Normal numbers of mean 0 and variance 1, f32 of `shape`. */
  normal(shape: Shape): Tensor {
    return this.#draw(shape, "normal");
  }

  #draw(shape: Shape, distribution: "uniform" | "normal"): Tensor {
    checkShape(shape);
    this.#count += 1;
    // Draws of one step have seeds of their own.
    const seed = [(this.#seed[0] ^ Math.imul(this.#count, 0x9e3779b1)) >>> 0, this.#seed[1]];
    return Tensor.make("random_step", { shape: [...shape], distribution, seed }, [this.#at]);
  }
}

/**
 * A source of random numbers whose place is a state: each step of a compiled function or of a native loop draws numbers of its
 * own, and a step that starts from the same states draws the same ones. What is drawn there is symbolic, as all that is computed
 * from a function's arguments. `rand()` and `randn()` draw so too, but from one generator that all functions share; with one of its own
 * a function draws the same numbers whatever others draw.
 */
export class Generator implements Stateful {
  readonly #seed: Seed;
  /** Where the last step drew, i32 `[]`: as many steps have, from where it began. */
  readonly steps: State = state(scalar(0, "i32"), { name: "steps of a generator" });
  readonly #drawn = new WeakMap<Trace, Draws>();

  /** Without a seed the next of the sequence that `manualSeed` restarts. */
  constructor(options: { seed?: number } = {}) {
    this.#seed = seedOf(knownOptions("Generator", OPTIONS, options).seed);
  }

  /**
   * That of `rand()` and `randn()` in functions that are being recorded, which are recorded anew after `manualSeed`. All seeds draw
   * from one sequence, each from a place of its own, so that the state alone says what comes next.
   */
  static get shared(): Generator {
    return observed(() => {
      const sequence = currentSequence();
      if (shared?.sequence !== sequence) {
        const generator = new Generator({ seed: SEED_OF_SHARED });
        generator.steps.restart(scalar(placeOf(sequence), "i32"));
        shared = { sequence, generator };
      }
      return shared.generator;
    });
  }

  /** Uniform numbers in [0, 1), f32 of `shape`. */
  uniform(shape: Shape): Tensor {
    return this.#step(shape).uniform(shape);
  }

  /** Normal numbers of mean 0 and variance 1, f32 of `shape`. */
  normal(shape: Shape): Tensor {
    return this.#step(shape).normal(shape);
  }

  namedStates(prefix = ""): [string, State][] {
    return [[`${prefix}steps`, this.steps]];
  }

  /** The step under way, for a draw of `shape`; outside of a trace each draw is a step. */
  #step(shape: Shape): Draws {
    checkShape(shape);
    const trace = currentTrace();
    const known = trace === undefined ? undefined : this.#drawn.get(trace);
    if (known !== undefined) return known;
    const at = trace === undefined ? scalar(this.steps.item() + 1, "i32") : symbolic(this.steps.add(1), trace);
    assign(this.steps, at);
    const drawn = new Draws(this.#seed, at);
    if (trace !== undefined) this.#drawn.set(trace, drawn);
    return drawn;
  }
}

let shared: { readonly sequence: Sequence; readonly generator: Generator } | undefined;

const SEED_OF_SHARED = 0x1b873593cc9e2;

/** Where a sequence begins to draw: below 0, with room for 2^31 steps. */
function placeOf(sequence: Sequence): number {
  const [place] = seedAt(sequence, 0);
  return (place >>> 1) - 2 ** 31;
}

/** A tensor as one of the trace, though it depends on states alone: it means the step that is recorded. */
export function symbolic({ op, attributes, inputs, shape, dtype }: Tensor, trace: Trace): Tensor {
  return new Tensor(op, attributes, inputs, shape, dtype, trace);
}
