// Attacks that ask alone: rounds of questions, of a model in native loops or of a black box in calls of its function.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { nextTurn } from "../node/index.js";
import { type Option, optional, type Schema, whole } from "../options.js";
import { Draws, symbolic } from "../tensor/generator.js";
import {
  assign,
  type Compiled,
  compile,
  Program,
  type Seed,
  type State,
  scalar,
  seedOf,
  state,
  type Tensor,
  tensor,
  type Value,
  zeros,
} from "../tensor/index.js";
import { sameShape, showShape, wholeNumber } from "../tensor/shape.js";
import { currentTrace } from "../tensor/trace.js";
import { repeat } from "../train/loop.js";
import { Attack, type Search } from "./attack.js";
import { BlackBox } from "./black-box.js";
import { type Answering, rowsOf, spread } from "./space.js";

/** Options of attacks that ask alone. */
export interface QueryOptions {
  /** How often a model is asked for an image at most, the original and what is clipped to an epsilon among it; by default without end. */
  maxQueries?: number;
  /** Of what is drawn at random; by default the next of the sequence that `manualSeed` restarts. */
  seed?: number;
}

/** Schema of {@link QueryOptions}. */
export const QUERY_OPTIONS = {
  maxQueries: optional(whole(1)),
  seed: optional(whole(0)),
} satisfies Schema<keyof QueryOptions>;

type ReadQueryOptions = { readonly maxQueries?: number | undefined; readonly seed?: number | undefined };

/** What is asked in a round, as it is recorded. */
export interface Question {
  /** One for each of the images that are attacked, `[n, ...]`. */
  readonly images: Tensor;
  /** For which of them, `[n]`; by default for all. */
  readonly of?: Tensor;
}

/** What is known of a question once it is answered. Rows that were not asked say nothing. */
export interface Reply {
  readonly images: Tensor;
  readonly logits: Tensor;
  readonly asked: Tensor;
  /** Which were asked and are adversarial. */
  readonly hit: Tensor;
}

/**
 * Rounds of one kind, which are recorded once: a question, which follows from states, and what states learn of the reply. What a
 * reply says is offered to the frame before that. A state that a question assigns has changed when its reply comes; where questions run
 * `ahead`, it is as the last of them left it.
 */
export interface Rounds {
  /** All images share what is drawn, so that each has the same ones alone; the rounds of a kind are numbered on from run to run. */
  ask(draws: Draws): Question;
  learn?(reply: Reply): void;
  /** 0-d f32 states that are set before each round. */
  readonly settings?: readonly State[];
  /**
   * How many rounds in a row, from the first of a run, have questions that depend on no replies among them, Infinity for all of a run: a black
   * box is asked several of them at once. By default 1.
   */
  readonly ahead?: number;
  /** Whether it goes by logits, which classes alone are none of. */
  readonly scores?: boolean;
  /** Whether others may follow a round in which nobody is asked; else it is the last of a run. */
  readonly pauses?: boolean;
}

/** A part of the work, from and to a share of it. */
export type Share = readonly [from: number, to: number];

/** Part of a part. */
const inside = ([from, to]: Share, [start, end]: Share): Share => [
  from + (to - from) * start,
  from + (to - from) * end,
];

/** The questions of a search, whose count is kept for each image, and ends at most. */
export class Queries {
  readonly search: Search<Answering>;
  readonly #seed: Seed;
  readonly #limit: number;
  readonly #share: Share;
  /** Images that are not what is wanted before anything is done. */
  readonly #open: State;
  /** Kinds of draws so far: each has numbers of its own. */
  readonly #kinds: { count: number };

  constructor(search: Search<Answering>, options: ReadQueryOptions, outer?: { queries: Queries; share: Share }) {
    const { task, criterion, reserved } = search;
    const limit = options.maxQueries === undefined ? Number.POSITIVE_INFINITY : options.maxQueries - reserved;
    const within = outer?.queries;
    this.search = search;
    this.#limit = Math.min(limit, within === undefined ? limit : within.#limit);
    this.#seed = within === undefined || options.seed !== undefined ? seedOf(options.seed) : within.#seed;
    this.#share = outer === undefined ? [0, 1] : inside(outer.queries.#share, outer.share);
    this.#kinds = within === undefined ? { count: 0 } : within.#kinds;
    this.#open = state(criterion.met(task.logits).not(), { batched: true, name: "images to attack" });
  }

  /** Rounds of a kind, to be run as often as need be. */
  rounds(rounds: Rounds): Runs {
    const seed = this.#nextSeed();
    const allowed = (): Tensor => this.#open.and(this.search.asked.less(this.#limit));
    return new Runs(this.search, rounds, seed, allowed, this.#share);
  }

  /** What is drawn between rounds, for each number of a draw. */
  draws(): (at: number) => Draws {
    const seed = this.#nextSeed();
    return (at) => new Draws(seed, scalar(at, "i32"));
  }

  #nextSeed(): Seed {
    const [low, high] = this.#seed;
    return [(low ^ Math.imul(this.#kinds.count++, 0x85ebca6b)) >>> 0, high];
  }
}

/** Rounds of one kind. */
export class Runs {
  readonly #search: Search<Answering>;
  readonly #rounds: Rounds;
  readonly #seed: Seed;
  readonly #allowed: () => Tensor;
  readonly #share: Share;
  readonly #round = state(scalar(0, "i32"), { name: "round" });
  readonly #over = state(zeros([], { dtype: "bool" }), { name: "nobody is asked" });
  #native: Program<{ found: Tensor }> | undefined;
  #ask: Compiled<Tensor[], { images: Tensor; asked: Tensor }> | undefined;
  #learn: Compiled<[Tensor, Tensor, Tensor], { found: Tensor }> | undefined;

  constructor(search: Search<Answering>, rounds: Rounds, seed: Seed, allowed: () => Tensor, share: Share) {
    [this.#search, this.#rounds, this.#seed, this.#allowed, this.#share] = [search, rounds, seed, allowed, share];
  }

  /**
   * At most so many rounds, which are a `share` of the attack's work: the values of `settings` are those of each round. What was drawn in
   * the last of them depends on how many there were, so that rounds that draw are run again only after as many for every batch.
   */
  async run(count: number, settings: readonly ArrayLike<number>[], share: Share): Promise<void> {
    const { task, signal, progress } = this.#search;
    wholeNumber("the number of rounds", count, 1);
    const { settings: states = [] } = this.#rounds;
    if (settings.length !== states.length || settings.some(({ length }) => length !== count)) {
      throw new TslipError(
        "INVALID_ARGUMENT",
        `rounds take for each of their ${states.length} settings as many values as there are rounds, ${count}; given ${describe(settings)}`,
      );
    }
    const [from, to] = inside(this.#share, share);
    const told = (done: number, found: number): void => progress(from + ((to - from) * done) / count, found);
    const { model } = task;
    if (model instanceof BlackBox) return await this.#outside(model, count, settings, told);
    this.#native ??= model.evaluating(() => Program.record(() => this.#step((x) => model.forward(x)), []));
    const { values } = await repeat(this.#native, {
      steps: count,
      ...(this.#rounds.pauses ? {} : { until: this.#over }),
      tables: states.map((one, i) => ({ state: one, values: settings[i] ?? [] })),
      signal,
      onProgress: (done, _, [found = 0]) => told(done, found),
    });
    told(count, values.found.item());
  }

  /** A round whose reply is computed in it. */
  #step(forward: (images: Tensor) => Tensor): { found: Tensor } {
    const { images, asked } = this.#question();
    return this.#reply(images, forward(images), asked);
  }

  #question(): { images: Tensor; asked: Tensor } {
    const trace = currentTrace();
    const next = this.#round.add(1);
    const at = trace === undefined ? next : symbolic(next, trace);
    assign(this.#round, at);
    const { images, of } = this.#rounds.ask(new Draws(this.#seed, at));
    const asked = of === undefined ? this.#allowed() : of.and(this.#allowed());
    const { asked: count, task } = this.#search;
    if (!sameShape(images.shape, task.images.shape)) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `a question must be one image for each that is attacked, ${showShape(task.images.shape)}; given ${describe(images)}`,
      );
    }
    assign(count, count.add(asked.cast("f32")));
    return { images, asked };
  }

  #reply(images: Tensor, logits: Tensor, asked: Tensor): { found: Tensor } {
    const { best } = this.#search;
    const hit = best.offer(images, logits, asked);
    this.#rounds.learn?.({ images, logits, asked, hit });
    assign(this.#over, asked.any().not());
    return { found: best.count() };
  }

  /** The rounds of {@link run}, in each of which a function is called. */
  async #outside(
    box: BlackBox,
    count: number,
    settings: readonly ArrayLike<number>[],
    told: (done: number, found: number) => void,
  ): Promise<void> {
    const { settings: states = [], ahead = 1, pauses, scores } = this.#rounds;
    const { task, signal } = this.#search;
    this.#ask ??= compile((...values: Tensor[]) => {
      states.forEach((one, i) => assign(one, values[i] as Tensor));
      return this.#question();
    });
    this.#learn ??= compile((images: Tensor, logits: Tensor, asked: Tensor) => this.#reply(images, logits, asked));
    const most = Math.max(1, Math.floor(box.options.batchSize / task.count));
    const group = Math.min(ahead, count);
    for (let round = 0; round < count; ) {
      signal?.throwIfAborted();
      const questions: { images: Value; asked: Value }[] = [];
      const end = Math.min(round + most, round - (round % group) + group, count);
      while (round < end) {
        // Steps this short are done on the caller's time.
        await nextTurn();
        const values = settings.map((each) => scalar(each[round] ?? 0));
        questions.push(await this.#ask(...values));
        round += 1;
      }
      const { answers, scored } = await answersTo(box, questions, signal);
      if (scores && !scored) {
        throw new TslipError(
          "INVALID_ARGUMENT",
          "the function of the BlackBox answers with class indices, and this attack goes by logits; attack it by what goes by classes " +
            "alone, such as HopSkipJumpAttack",
        );
      }
      let found = 0;
      for (const [k, { images, asked }] of questions.entries()) {
        await nextTurn();
        found = (await this.#learn(images, answers[k] as Tensor, asked)).found.item();
      }
      told(round, found);
      const last = questions.at(-1)?.asked.held() ?? [];
      if (!pauses && !last.some(Boolean)) break;
    }
    told(count, await this.#search.best.successes().then((each) => each.filter(Boolean).length));
  }
}

/** What a black box says to questions, `[n, classes]` each: it is given the rows that are asked, of all questions together. */
async function answersTo(
  box: BlackBox,
  questions: readonly { images: Value; asked: Value }[],
  signal: AbortSignal | undefined,
): Promise<{ answers: Tensor[]; scored: boolean }> {
  const { classes } = box.options;
  const parts = questions.map(({ images, asked }) => {
    const flags = asked.held();
    const rows = Array.from(flags.keys()).filter((i) => flags[i]);
    const values = images.held() as Float32Array;
    return { rows, count: flags.length, values: rowsOf(values, rows, values.length / flags.length) };
  });
  const all = new Float32Array(parts.reduce((sum, { values }) => sum + values.length, 0));
  let at = 0;
  for (const { values } of parts) {
    all.set(values, at);
    at += values.length;
  }
  const { logits, scored } = await box.ask(all, signal);
  at = 0;
  const answers = parts.map(({ rows, count }) => {
    const own = logits.subarray(at, at + rows.length * classes);
    at += own.length;
    return tensor(spread(own, rows, count, classes), [count, classes]);
  });
  return { answers, scored };
}

/**
 * An attack that asks a model, or a {@link BlackBox}, and needs no gradient: results say how often. What is found for an image does not
 * depend on the others of the batch; all share what is drawn.
 */
export abstract class QueryAttack extends Attack<Answering> {
  override readonly blackBox = true;
  /** Those given, with the defaults of others. */
  abstract readonly options: ReadQueryOptions;

  protected override async search(search: Search<Answering>): Promise<void> {
    await this.query(new Queries(search, this.options));
  }

  /** Asks; what is adversarial of it is kept by the frame. */
  protected abstract query(queries: Queries): Promise<void>;

  /** Has another attack ask before, within a share of the work: its queries count with all others. */
  protected async begin(attack: QueryAttack, queries: Queries, share: Share): Promise<void> {
    await attack.query(new Queries(queries.search, attack.options, { queries, share }));
  }
}

/** An attack that asks alone, from whose results another one starts. */
export const queryAttack: Option<QueryAttack | undefined> = optional({
  read(name, given) {
    if (given instanceof QueryAttack) return given;
    throw new TslipError(
      "INVALID_ARGUMENT",
      `${name} must be an attack that asks alone, such as new DatasetAttack(); given ${describe(given)}`,
    );
  },
});
