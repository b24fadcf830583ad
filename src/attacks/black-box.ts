// BlackBox: a function that answers images, such as a remote service, in the place of a model.
import { describe } from "../describe.js";
import { TslipError } from "../errors.js";
import { nextTurn } from "../node/index.js";
import { checkNumbers, type Option, type Options, readOptions, type Schema, whole } from "../options.js";
import { unlessAborted } from "../promise.js";
import { type Shape, showShape } from "../tensor/shape.js";
import { Tensor } from "../tensor/tensor.js";

/** Logits, `n * classes` of them, or rows of them; or class indices, `n`. */
export type Answers = ArrayLike<number> | readonly ArrayLike<number>[];

/**
 * Answers `n` images, whose values it is given row-major with their shape `[n, ...]`. The signal is that of the attack: once it is aborted
 * nobody waits for the answer, and nothing else ends the wait for one that never comes (`AbortSignal.timeout` does).
 */
export type Predict = (
  images: Float32Array,
  shape: readonly number[],
  signal: AbortSignal | undefined,
) => Answers | Promise<Answers>;

/** Options of a {@link BlackBox}. */
export interface BlackBoxOptions {
  /** Of one image, as `[1, 28, 28]`. */
  shape: Shape;
  classes: number;
  /** Images that one call is given at most, by default 128. */
  batchSize?: number;
}

const shapeOfImage: Option<Shape> = {
  read(name, given) {
    const fits = Array.isArray(given) && given.every((extent) => Number.isSafeInteger(extent) && extent > 0);
    if (fits) return Object.freeze([...(given as Shape)]);
    throw invalid(`${name} must be that of one image, such as [1, 28, 28]; given ${describe(given)}`);
  },
};

const OPTIONS = {
  shape: shapeOfImage,
  classes: whole(2),
  batchSize: whole(1, 128),
} satisfies Schema<keyof BlackBoxOptions>;

/** What a black box said of images. */
export interface Said {
  /** `[n, classes]`, row-major; where it names classes alone, 1 for them and 0 for others. */
  readonly logits: Float32Array;
  /** Whether it gave logits. */
  readonly scored: boolean;
}

/**
 * A model of which nothing is known but what it answers: attacks that need no gradients take it in the place of a Module. Its function
 * gives logits, or classes alone, which decision-based attacks make do with. What it throws ends an attack as it is.
 *
 * ```ts
 * const remote = new BlackBox(async (images, shape, signal) => {
 *   const body = JSON.stringify({ images: Array.from(images), shape });
 *   const response = await fetch(url, { method: "POST", body, signal: signal ?? null });
 *   return (await response.json()).logits;
 * }, { shape: [1, 28, 28], classes: 10 });
 * const { distances, queries } = await new HopSkipJumpAttack({ maxQueries: 5000 }).run(remote, images, labels);
 * ```
 */
export class BlackBox {
  readonly #predict: Predict;
  /** Those given, with the defaults of others. */
  readonly options: Options<typeof OPTIONS>;

  /** @throws TslipError `INVALID_ARGUMENT` for anything but a function, and options that do not fit. */
  constructor(predict: Predict, options: BlackBoxOptions) {
    if (typeof predict !== "function") {
      throw invalid(`a BlackBox takes a function (images, shape, signal) => logits; given ${describe(predict)}`);
    }
    this.#predict = predict;
    this.options = readOptions("BlackBox", OPTIONS, options);
  }

  /** Throws `SHAPE_MISMATCH` unless images are `[n, ...shape]`. */
  checkImages(shape: Shape): void {
    const [, ...own] = shape;
    const wanted = this.options.shape;
    if (own.length === wanted.length && own.every((extent, i) => extent === wanted[i])) return;
    throw new TslipError(
      "SHAPE_MISMATCH",
      `the BlackBox takes images [n, ${wanted.join(", ")}]; given ${showShape(shape)}`,
      { shapes: [shape] },
    );
  }

  /**
   * What it says of images, asked for `batchSize` at a time, one call after the other. Rejects with what its function throws, with the
   * signal's reason once it is aborted, and with a TslipError for answers that are not those of so many images.
   */
  async ask(images: Float32Array, signal: AbortSignal | undefined): Promise<Said> {
    const { shape, classes, batchSize } = this.options;
    const size = shape.reduce((product, extent) => product * extent, 1);
    const count = images.length / size;
    const logits = new Float32Array(count * classes);
    let scored = true;
    for (let from = 0; from < count; from += batchSize) {
      signal?.throwIfAborted();
      // An answer that is there at once would hold up everybody else.
      await nextTurn();
      const to = Math.min(from + batchSize, count);
      const part = images.slice(from * size, to * size);
      const answer = this.#predict(part, [to - from, ...shape], signal);
      const said = this.#read(await unlessAborted(answer, signal), to - from);
      logits.set(said.logits, from * classes);
      scored &&= said.scored;
    }
    return { logits, scored };
  }

  #read(answer: unknown, count: number): Said {
    const { classes } = this.options;
    const values = flat(answer, classes);
    if (values?.length === count * classes) {
      checkNumbers("logits of a BlackBox", values);
      return { logits: Float32Array.from(values as ArrayLike<number>), scored: true };
    }
    if (values?.length !== count) {
      throw new TslipError(
        "SHAPE_MISMATCH",
        `the function of a BlackBox must answer ${count} images with ${count} * ${classes} logits or ${count} class indices; it gave ` +
          describe(answer) +
          (answer instanceof Tensor ? ": give what its data() resolves to, await logits.data()" : ""),
      );
    }
    const logits = new Float32Array(count * classes);
    for (let i = 0; i < count; i++) {
      const told = values[i];
      if (!Number.isInteger(told) || (told as number) < 0 || (told as number) >= classes) {
        throw new TslipError(
          "LABEL_OUT_OF_RANGE",
          `the function of a BlackBox told image ${i} of ${count} as class ${describe(told)}; expected an integer from 0 to ${classes - 1}`,
        );
      }
      logits[i * classes + (told as number)] = 1;
    }
    return { logits, scored: false };
  }
}

/** An answer as one list: of rows, where all are of so many classes, what they hold. */
function flat(answer: unknown, classes: number): ArrayLike<unknown> | undefined {
  if (!isList(answer)) return undefined;
  const rows = Array.isArray(answer) ? (answer as unknown[]) : [];
  if (!isList(rows[0])) return answer;
  if (!rows.every((row) => isList(row) && row.length === classes)) return undefined;
  return rows.flatMap((row) => Array.from(row as ArrayLike<unknown>));
}

/** Whether a value is an array or a typed one. */
export function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function invalid(message: string): TslipError {
  return new TslipError("INVALID_ARGUMENT", message);
}
