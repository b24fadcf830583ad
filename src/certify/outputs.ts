// Claims about outputs by themselves: the sign of one logit, the labels of several, the interval that a regression stays in.

import { TslipError } from "../errors.js";
import type { ModelInput, Module } from "../nn/index.js";
import { nextTurn } from "../node/index.js";
import type { NoOptions } from "../options.js";
import { notNegative, readOptions, type Schema } from "../options.js";
import { type Shape, showShape, sizeOf } from "../tensor/shape.js";
import type { Bounds, Pass } from "./forward.js";
import { boundedPass } from "./index.js";

/**
 * A claim about one image and a model of one logit: no perturbation of L2 norm below `radius` changes the side of 0 on which the exported
 * network, in evaluation mode, computes that logit in float32 by this engine. It belongs to what a `Certificate` belongs to.
 */
export interface BinaryCertificate {
  /** 1 where the logit is above 0; 0 where it is not, as for `binaryAccuracy()`. */
  predicted: 0 | 1;
  logit: number;
  /** |logit| / lipschitz, less what float32 may have rounded away here and in the ball around, rounded down; 0 where the logit is 0. */
  radius: number;
  /** Proved upper bound of the L2 Lipschitz constant of the logit. */
  lipschitz: number;
}

/** The same of each of several logits, a label each: no perturbation of L2 norm below a label's radius changes that label. */
export interface LabelsCertificate {
  /** Of each label 1 where its logit is above 0, else 0. */
  predicted: (0 | 1)[];
  logits: number[];
  /** Of each label |logit| / lipschitz, as {@link BinaryCertificate.radius}. */
  radii: number[];
  /** The least of them: within it no label changes. */
  radius: number;
  /** Proved upper bounds of the L2 Lipschitz constants of the logits, each by itself. */
  lipschitz: readonly number[];
}

/**
 * Between which numbers each output stays: at every perturbation of L2 norm at most the radius that was asked for, `lower <= output <= upper`, of what the
 * exported network computes in float32 by this engine, and of what it is in exact arithmetic. Outputs of a sample are in row-major order.
 */
export interface OutputInterval {
  /** As computed at the sample. */
  outputs: number[];
  /**
   * output - lipschitz radius, less what float32 may round here and in the ball around, rounded down; -Infinity where the radius is so large that sums
   * could overflow.
   */
  lower: number[];
  /** The same above the output. */
  upper: number[];
  /** Proved upper bounds of the L2 Lipschitz constants of the outputs, each by itself. */
  lipschitz: readonly number[];
}

/** Options of {@link outputBounds}. */
export interface OutputBoundsOptions {
  /** L2 norm of perturbations at most, in units of what enters the first layer: for u8 images those are pixels divided by 255. */
  radius: number;
}

const OPTIONS = { radius: notNegative() } satisfies Schema<keyof OutputBoundsOptions>;

/**
 * A certificate for each image, of a model that tells two classes by the sign of one logit, `[n]` or `[n, 1]`: the logit is lipschitz-Lipschitz,
 * so that it does not pass 0 below |logit| / lipschitz. Of a linear last layer the constant is that of what enters it times the norm of its row.
 * @throws TslipError as `certify` does; `SHAPE_MISMATCH` for other outputs, `INVALID_ARGUMENT` for options, of which there are none
 */
export async function certifyBinary(
  model: Module,
  images: ModelInput,
  options?: NoOptions,
): Promise<BinaryCertificate[]> {
  readOptions("certifyBinary", {}, options);
  const of = await BoundedOutputs.of("certifyBinary", model, images);
  of.check(isOne, "one logit a sample, [n] or [n, 1]; certify() is for classes, certifyLabels() for several labels");
  const [lipschitz = 0] = of.lipschitz;
  return await of.signs(([logit = 0], [radius = 0]) => ({ predicted: sideOf(logit), logit, radius, lipschitz }));
}

/**
 * A certificate for each image, of a model that tells labels, any number of which apply, by the signs of as many logits `[n, labels]`.
 * @throws TslipError as `certify` does; `SHAPE_MISMATCH` for other outputs, `INVALID_ARGUMENT` for options, of which there are none
 */
export async function certifyLabels(
  model: Module,
  images: ModelInput,
  options?: NoOptions,
): Promise<LabelsCertificate[]> {
  readOptions("certifyLabels", {}, options);
  const of = await BoundedOutputs.of("certifyLabels", model, images);
  of.check((shape) => shape.length === 2 && shape[1] !== 0, "a logit for each label, [n, labels]");
  const { lipschitz } = of;
  return await of.signs((logits, radii) => ({
    predicted: logits.map(sideOf),
    logits,
    radii,
    radius: radii.reduce((least, radius) => Math.min(least, radius)),
    lipschitz,
  }));
}

/**
 * For each sample the interval of each output, `[n, ...]`, at perturbations up to a radius: the band f(x) ± L radius of a regression, less and more
 * what float32 may round. Outputs behind a linear last layer have their own constants, by the norms of its rows.
 * @throws TslipError as `certify` does; `INVALID_ARGUMENT` for a radius that is negative or not finite
 */
export async function outputBounds(
  model: Module,
  inputs: ModelInput,
  options: OutputBoundsOptions,
): Promise<OutputInterval[]> {
  const { radius } = readOptions("outputBounds", OPTIONS, options);
  const of = await BoundedOutputs.of("outputBounds", model, inputs);
  const { lipschitz } = of;
  return await of.intervals([radius], (outputs, [ends]) => ({ outputs, ...(ends as Ends), lipschitz }));
}

/** The class that the sign of a logit tells. */
const sideOf = (logit: number): 0 | 1 => (logit > 0 ? 1 : 0);

/** Whether outputs are one a sample. */
export const isOne = (shape: Shape): boolean => shape.length === 1 || (shape.length === 2 && shape[1] === 1);

/** Work of one turn of the event loop, in numbers that a bound is computed of: some milliseconds. */
const PER_TURN = 2 ** 15;
/** A step of the network in such numbers, for each sample. */
const OF_STEP = 8;

/** The outputs of a batch and what bounds each of them by itself. */
export class BoundedOutputs {
  readonly samples: number;
  /** `[samples, ...]`. */
  readonly shape: Shape;
  /** Outputs of a sample. */
  readonly width: number;
  /** Bounds of their Lipschitz constants. */
  readonly lipschitz: readonly number[];
  readonly #who: string;
  readonly #values: Float64Array;
  readonly #squares: Float64Array;
  readonly #bounds: Bounds;

  private constructor(who: string, { logits, shape, squares }: Pass, bounds: Bounds) {
    const [samples = 0, ...sample] = shape;
    this.#who = who;
    this.shape = shape;
    this.samples = samples;
    this.width = sizeOf(sample);
    this.#values = new Float64Array(logits);
    this.#squares = squares;
    this.#bounds = bounds;
    checkFinite(this.#values, this.width);
    this.lipschitz = Object.freeze(Array.from(bounds.outputLipschitz(this.width)));
  }

  /** What a model gives, for `who` asks; throws as `certify`, but for the shape of outputs. */
  static async of(who: string, model: Module, images: ModelInput): Promise<BoundedOutputs> {
    const { pass, bounds } = await boundedPass(who, model, images);
    return new BoundedOutputs(who, pass, bounds);
  }

  /** Throws `SHAPE_MISMATCH` unless the shape of the outputs `fits`, as the words say. */
  check(fits: (shape: Shape) => boolean, expected: string): void {
    if (fits(this.shape)) return;
    throw new TslipError("SHAPE_MISMATCH", `${this.#who} needs ${expected}; the model gave ${showShape(this.shape)}`, {
      shapes: [this.shape],
    });
  }

  /** What `make` gives of each sample's outputs and the radii within which they keep their signs. */
  async signs<T>(make: (outputs: number[], radii: number[]) => T): Promise<T[]> {
    return await this.#rows(
      (outputs, squares) => [dense(this.#bounds.signRadii(outputs, this.width, squares))],
      (outputs, [radii = []]) => make(outputs, radii),
    );
  }

  /** What `make` gives of each sample's outputs and the ends of their intervals within each of the radii. */
  async intervals<T>(radii: readonly number[], make: (outputs: number[], within: Ends[]) => T): Promise<T[]> {
    return await this.#rows(
      (outputs, squares) =>
        radii.flatMap((radius) => {
          const values = this.#bounds.outputIntervals(outputs, this.width, squares, radius);
          return [0, 1].map((first) => ({ values, first, step: 2 }));
        }),
      (outputs, ends) =>
        make(
          outputs,
          radii.map((_, at) => ({ lower: ends[2 * at] ?? [], upper: ends[2 * at + 1] ?? [] })),
        ),
    );
  }

  /** What `make` gives of each sample's logits and, within each of the radii, at least how far each can be above the largest other one. */
  async leads<T>(radii: readonly number[], make: (logits: number[], within: number[][]) => T): Promise<T[]> {
    return await this.#rows(
      (logits, squares) => radii.map((radius) => dense(this.#bounds.leads(logits, this.width, squares, radius))),
      make,
    );
  }

  /** Asks for some samples at a time, so that what else waits has its turn between. */
  async #rows<T>(
    ask: (outputs: Float64Array, squares: Float64Array) => Column[],
    make: (outputs: number[], found: number[][]) => T,
  ): Promise<T[]> {
    const { samples, width } = this;
    const columns = this.#squares.length / samples;
    const perTurn = Math.max(1, Math.floor(PER_TURN / (width + OF_STEP * columns)));
    const rows: T[] = [];
    for (let start = 0; start < samples; start += perTurn) {
      if (start > 0) await nextTurn();
      const stop = Math.min(samples, start + perTurn);
      const outputs = this.#values.subarray(start * width, stop * width);
      const found = ask(outputs, this.#squares.subarray(start * columns, stop * columns));
      const own = dense(outputs);
      for (let i = 0; i < stop - start; i++) {
        const of = found.map((column) => rowOf(column, i, width));
        rows.push(make(rowOf(own, i, width), of));
      }
    }
    return rows;
  }
}

/** A number for each output of each sample, `step` apart. */
interface Column {
  readonly values: Float64Array;
  readonly first: number;
  readonly step: number;
}

const dense = (values: Float64Array): Column => ({ values, first: 0, step: 1 });

/** Those of one sample. */
function rowOf({ values, first, step }: Column, sample: number, width: number): number[] {
  const row = new Array<number>(width);
  for (let k = 0; k < width; k++) row[k] = values[first + (sample * width + k) * step] as number;
  return row;
}

/** The least and the largest number that each output of a sample can be. */
export interface Ends {
  readonly lower: number[];
  readonly upper: number[];
}

function checkFinite(values: Float64Array, width: number): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new TslipError(
    "NON_FINITE",
    `output ${at % width} of sample ${Math.floor(at / width)} is ${values[at]}, though the sample is finite; look for NaN, infinite or ` +
      "very large weights",
  );
}
