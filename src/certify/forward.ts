// The forward pass of a certificate: logits, the sizes of what enters each layer, and how each layer rounds.

import { currentDevice, type Ops, roundingFactors } from "../device.js";
import { TslipError } from "../errors.js";
import {
  type Attributes,
  engine,
  type Json,
  type NetworkBounds,
  type NetworkPieces,
  type NetworkStep,
  networkBounds,
  networkLipschitzUpperBound,
} from "../native.js";
import { forwarded, runThrough, TENSORS } from "../nn/flow.js";
import { keepsNorm } from "../nn/keeps-norm.js";
import type { Layer } from "../nn/layer.js";
import { evaluatingThroughout, scaledImages } from "../nn/module.js";
import { naming } from "../nn/naming.js";
import { following, isPromise, quiet } from "../promise.js";
import { Batching } from "../tensor/batching.js";
import { type InputSpec, Program, type Values } from "../tensor/compile.js";
import { bytesOf, type TypedArray } from "../tensor/dtype.js";
import { valuesOf } from "../tensor/evaluate.js";
import { topological } from "../tensor/graph.js";
import { State, type Tensor } from "../tensor/index.js";
import { type Shape, showShape, sizeOf } from "../tensor/shape.js";
import { statesBehind } from "../tensor/state.js";
import { changedMeanwhile, Facts, type Known, type Placed, Watch } from "./facts.js";
import { Sameness } from "./same.js";

/** What a forward pass gives. */
export interface Pass {
  readonly logits: TypedArray;
  /** Shape of the logits. */
  readonly shape: Shape;
  /** The sums of squares of the images and of the value of each step, `[n, steps + 1]`. */
  readonly squares: Float64Array;
}

/** All that bounds the logits of a network and their differences, for every batch. */
export interface Bounds extends NetworkBounds {
  /** Proved upper bound of the Lipschitz constant of the whole. */
  readonly lipschitz: number;
}

/** A forward pass with its bounds, and what more batches can be passed through. */
export interface Forward {
  readonly pass: Pass;
  readonly bounds: Bounds;
  /** Nothing where a class of a user's own has answered: it is asked anew each time. */
  readonly network: Network | undefined;
}

/** A size of batch other than that at hand: a prime, which divides the sizes of few layers. */
function otherBatch(samples: number): number {
  return samples === 97 ? 101 : 97;
}

/** Of a quotient, and of taking its size for that of the exact one. */
const QUOTIENT_ROUNDINGS = 2;

/** A layer that the images pass through, with its result. */
type Passed = Placed & { readonly from: number; readonly ops: Ops };

/** A value of the network while it is recorded: a layer with its result, or where branches meet. */
type Recorded = Passed | { readonly from: readonly number[]; readonly kind: "sum" | "concat" };

/** What a recorded pass gives: sums of squares of the images and of each value, `[n]` each, and what else is to be read with them. */
interface Recording {
  squares: Tensor[];
  logits: Tensor;
  premises: Tensor[];
}

/**
 * Runs an exported model on images, on the device that is current and stays so; `parts` are what it was exported from and its own; bounds serve
 * certificates that are `local` where these are asked for.
 * What `forward` computes is recorded, the pass is handed to the engine, and the model is asked what it says of itself, before this returns its promise. Proofs are of values that are read in
 * the step that computes the logits.
 * @throws TslipError `NOT_LIPSCHITZ` or `UNSUPPORTED`, naming the layer that has no bound, does not say how it rounds, mixes the
 * samples of a batch, reads more than its input or computes something else each time; `INVALID_ARGUMENT` where weights change
 * meanwhile of which a class of its own speaks.
 */
export async function forward(
  model: Layer,
  images: InputSpec,
  pixels: TypedArray,
  listed: readonly State[],
  parts: readonly Layer[],
  local = false,
): Promise<Forward> {
  let [filled, mixed] = [Promise.resolve(), false];
  const watches: { own?: Watch; all?: Watch } = {};
  const { program, values: first } = record(model, images, (read) => {
    const behind = statesBehind([...read, ...listed]);
    const open = behind.filter((state) => !state.filled);
    // Before anything that may follow from them is computed or asked for.
    watches.own = new Watch([...new Set([...read, ...listed])]);
    watches.all = new Watch(behind);
    mixed = open.length > 0 && read.some((state) => state.filled);
    // All in one step, in the order of jobs: nobody waits, and no two of them are of different moments.
    filled = quiet(State.fillInTurn(open));
    return filled;
  });
  const facts = new Facts<Passed>(local);
  const { program: whole, values } = record(model, images, undefined, facts);
  const running = quiet(run(whole, pixels));
  checkRepeatable(model, program, whole, first);
  checkSeparate(whole, values);
  // One sample alone is mixed with none, and a batch that is written into a layer fits no other.
  const [samples = 0, ...sample] = images.shape;
  const other = record(model, { dtype: images.dtype, shape: [otherBatch(samples), ...sample] });
  checkSeparate(other.program, values);
  checkSameOps(program, other.program);
  const passed = values.flatMap((value) => ("layer" in value ? [value.layer] : []));
  const same = new Sameness([...new Set([...parts, ...passed])]);
  // What is computed of weights that are not there means nothing.
  await filled;
  const { logits, squares: columns, premises } = await running;
  const given = new Map(facts.premises.map((tensor, i) => [tensor, premises[i]?.held() ?? NOTHING]));
  const known = await facts.known(given);
  const last = values.at(-1);
  const distances = last !== undefined && "layer" in last ? await facts.distances(last, given) : undefined;
  const { answers } = facts;
  // Proofs are of the step that computes the logits. What a class answers, and weights that were exported before that step beside others
  // that live on, are of the same moment only where nothing was written.
  if (mixed && watches.all?.written !== false) throw changedMeanwhile();
  if (answers.length > 0 && watches.own?.written !== false) throw changedMeanwhile();
  // A promise may have been kept after fields had changed that it speaks of.
  const promised = answers.some((answer) => isPromise(answer));
  if (promised && !program.same(record(model, images).program)) throw changedMeanwhile();
  const factorOf = await roundingFactors(currentDevice());
  factorOf(OF_NORMS);
  const steps = values.map((value): NetworkStep => {
    if (!("layer" in value)) return { kind: value.kind, from: value.from };
    const { from, results, ops } = value;
    const { lipschitz, rounding } = known.get(value) as Known;
    const roundings = rounding.roundings * factorOf(ops);
    return { kind: "layer", from, layer: { ...rounding, lipschitz, roundings, results } };
  });
  const lipschitz = networkLipschitzUpperBound(steps);
  const inputs = samples === 0 ? 0 : sizeOf(sample);
  const pixelRoundings = images.dtype === "u8" ? QUOTIENT_ROUNDINGS * factorOf(QUOTIENT) : 0;
  const piecewise = local ? piecesOf(values, inputs, facts, given) : undefined;
  const bounds = { lipschitz, ...networkBounds({ lipschitz, steps, inputs, pixelRoundings }, distances, piecewise) };
  const network =
    answers.length === 0 && watches.all !== undefined
      ? new Network(model, images, { program, same, watch: watches.all })
      : undefined;
  const pass = {
    logits: logits.held(),
    shape: logits.shape,
    squares: rowsOf(
      columns.map((column) => column.held()),
      samples,
    ),
  };
  return { pass, bounds, network };
}

/** What the layers of a network compute, with the values of the premises. */
function piecesOf(
  values: readonly Recorded[],
  inputs: number,
  facts: Facts<Passed>,
  premises: ReadonlyMap<Tensor, TypedArray>,
): NetworkPieces {
  const [numbers, places, sizes]: [Uint8Array[], Map<Tensor, number>, number[]] = [[], new Map(), [inputs]];
  const placeOf = (tensor: Tensor): number => {
    const known = places.get(tensor) ?? numbers.push(bytesOf(premises.get(tensor) ?? NOTHING)) - 1;
    places.set(tensor, known);
    return known;
  };
  const pieces = values.map((value) => {
    if (!("layer" in value)) {
      const [first = 0, ...rest] = value.from.map((from) => sizes[from] ?? 0);
      sizes.push(value.kind === "sum" ? first : rest.reduce((all, size) => all + size, first));
      return null;
    }
    sizes.push(value.results);
    const { from = [], parts } = facts.pieces(value) ?? {};
    return parts === undefined ? null : parts.map((part) => referring(part, from.map(placeOf)));
  });
  return { pieces, sizes, numbers };
}

/** A part of a layer, with what it refers to by their places in the list of all values. */
function referring(part: Attributes, places: readonly number[]): Attributes {
  const refers = (name: string, value: Json): boolean => REFERENCES.includes(name) && typeof value === "number";
  return Object.fromEntries(
    Object.entries(part).map(([name, value]) => [
      name,
      refers(name, value) ? (places[value as number] ?? null) : value,
    ]),
  );
}

const REFERENCES: readonly string[] = ["weight", "bias", "factor"];

/** What was recorded, and what tells whether it is still so. */
interface Moment {
  readonly program: Program<Recording>;
  readonly same: Sameness;
  readonly watch: Watch;
}

/** A recorded network of which bounds are proved, for as long as nobody writes to its weights. */
export class Network {
  readonly #model: Layer;
  readonly #images: InputSpec;
  readonly #same: Sameness;
  readonly #watch: Watch;
  readonly #first: Program<Recording>;
  readonly #batching = new Batching<Recording>();
  /** By the number of samples, the one used last at the end. */
  readonly #programs = new Map<number, Program<Recording>>();

  constructor(model: Layer, images: InputSpec, { program, same, watch }: Moment) {
    this.#model = model;
    this.#images = images;
    this.#same = same;
    this.#watch = watch;
    this.#first = program;
    this.#programs.set(images.shape[0] ?? 0, program);
  }

  /**
   * Whether its bounds hold for images like these, as things stand: for its weights, when all jobs before are done, for its settings, and
   * for the device that is current.
   */
  serves({ shape, dtype }: InputSpec): boolean {
    const { shape: first } = this.#images;
    const same = dtype === this.#images.dtype && shape.length === first.length && shape.every(isSameBehind(first));
    return same && this.#same.holds && this.#first.current && this.#watch.stands;
  }

  /**
   * Passes a batch through, which is handed to the engine before this returns; nothing where weights had been written by its turn, its own
   * or those that it was exported from.
   */
  run(images: InputSpec, pixels: TypedArray): Pass | undefined | Promise<Pass | undefined> {
    const samples = images.shape[0] ?? 0;
    const program = this.#programFor(images, samples);
    const larger = (spec: InputSpec) =>
      evaluatingThroughout(() => (this.serves(spec) ? this.#programFor(spec, spec.shape[0] ?? 0) : undefined));
    const asks = { versionsOf: this.#watch.ids };
    const outcome = this.#batching.run({ program, bytes: bytesOf(pixels), asks, larger });
    return following(outcome, ({ outputs, versions }) => {
      if (!this.#watch.knows(versions)) return undefined;
      // In the order of a Recording, which has no premises here.
      const values = valuesOf(program.outputs, outputs);
      const logits = values.pop() ?? NOTHING;
      return { logits, shape: program.outputs.at(-1)?.shape ?? [], squares: rowsOf(values, samples) };
    });
  }

  #programFor(images: InputSpec, samples: number): Program<Recording> {
    const known = this.#programs.get(samples);
    this.#programs.delete(samples);
    const program = known ?? this.#recorded(images);
    this.#programs.set(samples, program);
    const [oldest] = this.#programs.keys();
    if (this.#programs.size > KEPT_PROGRAMS && oldest !== undefined) this.#programs.delete(oldest);
    return program;
  }

  /** The same network for another number of samples. */
  #recorded(images: InputSpec): Program<Recording> {
    const { program, values } = record(this.#model, images);
    checkSeparate(program, values);
    checkSameOps(this.#first, program);
    return program;
  }
}

/** Whether an extent is that of a shape, but for the number of samples. */
const isSameBehind =
  (shape: Shape) =>
  (extent: number, axis: number): boolean =>
    axis === 0 || extent === shape[axis];

const KEPT_PROGRAMS = 16;

/** Columns as the rows of a matrix. */
function rowsOf(columns: readonly TypedArray[], samples: number): Float64Array {
  const width = columns.length;
  const rows = new Float64Array(width * samples);
  columns.forEach((column, at) => {
    for (let i = 0; i < samples; i++) rows[i * width + at] = column[i] ?? Number.NaN;
  });
  return rows;
}

const NOTHING = new Float32Array();

/** Runs the recorded pass, which is handed over before this returns its promise. */
async function run(program: Program<Recording>, pixels: TypedArray): Promise<Values<Recording>> {
  const { outputs } = await engine().run(program.job([bytesOf(pixels)]));
  return program.results(outputs);
}

/** Of pixels that were bytes. */
const QUOTIENT: Ops = [{ op: "div", attributes: {} }];

/** By which norms and sums of values are computed, of whatever layers they are. */
const OF_NORMS: Ops = ["square", "add"].map((op) => ({ op, attributes: {} }));

/**
 * Records the forward pass, and how each value of it is computed. `fill` gives states that it reads their first values; `facts` takes what each layer says of itself, and what that follows from is read with the rest.
 */
function record(
  model: Layer,
  x: InputSpec,
  fill?: (states: readonly State[]) => Promise<void>,
  facts?: Facts<Passed>,
): { program: Program<Recording>; values: Recorded[] } {
  const samples = x.shape[0] ?? 1;
  const values: Recorded[] = [];
  const pass = (images: Tensor): Recording => {
    const squares: Tensor[] = [];
    /** Gives a value its number; the sum of its squares may be known. */
    const numbered = (tensor: Tensor, square = squareOf(tensor)): { tensor: Tensor; number: number } => ({
      tensor,
      number: squares.push(square) - 1,
    });
    const meeting =
      (kind: "sum" | "concat") =>
      (parts: readonly ReturnType<typeof numbered>[]): ReturnType<typeof numbered> => {
        values.push({ kind, from: parts.map(({ number }) => number) });
        return numbered(TENSORS[kind](parts.map(({ tensor }) => tensor)));
      };
    const result = runThrough(model, numbered(scaledImages(images)), {
      through: (layer, { tensor, number: from }, position) => {
        const result = naming(layer, position, () => resultOf(layer, tensor, samples));
        const results = samples === 0 ? 0 : result.size / samples;
        const ops = naming(layer, position, () => opsBetween(layer, tensor, result));
        const value = { from, layer, position, ops, results, sample: tensor.shape.slice(1) };
        values.push(value);
        facts?.take(value);
        return numbered(result, keepsNorm(layer) ? squares[from] : undefined);
      },
      sum: meeting("sum"),
      concat: meeting("concat"),
    });
    // The last value gives the logits, also where a container computes more than it returns.
    const { tensor: logits } = result.number === squares.length - 1 ? result : meeting("sum")([result]);
    return { squares, logits, premises: facts?.premises ?? [] };
  };
  const { shape, dtype } = x;
  return { program: Program.record(pass, [{ shape, dtype, batched: true }], fill), values };
}

function resultOf(layer: Layer, x: Tensor, samples: number): Tensor {
  const result = forwarded(layer, x);
  const { name } = layer.constructor;
  if (result.shape[0] !== samples) {
    throw new TslipError(
      "SHAPE_MISMATCH",
      `forward() of ${name} gave ${showShape(result.shape)} for ${samples} samples; axis 0 must run over them`,
      { shapes: [x.shape, result.shape] },
    );
  }
  return result;
}

/** Refuses a layer of which it does not show that it treats each sample by itself: a certificate speaks of one image. */
function checkSeparate(program: Program<Recording>, values: readonly Recorded[]): void {
  // The images come first, the logits last; where values of branches meet, samples do not.
  const at = program.separate.slice(0, values.length + 1).indexOf(false);
  const value = values[at - 1];
  if (value === undefined || !("layer" in value)) return;
  const { layer, position } = value;
  naming(layer, position, () => {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      `${layer.constructor.name} mixes the samples of a batch, or treats them by their place in it, as far as its ops show: ` +
        "what it computes of an image is no function of that image; compute on the other axes alone",
    );
  });
}

/** Refuses a layer whose `forward` gives another function each time it is called. */
function checkRepeatable(
  model: Layer,
  program: Program<Recording>,
  again: Program<Recording>,
  values: readonly Recorded[],
): void {
  /** Whether steps draw random numbers for some of the first `count` outputs. */
  const draws = (count: number): boolean =>
    topological(program.outputs.slice(0, count)).some(({ op }) => op === "random_step");
  const drawing = draws(program.outputs.length);
  if (program.assigns && !drawing) {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      "the model assigns states in its forward pass in evaluation mode, so what it computes changes from call to call; assign " +
        "in training mode alone",
    );
  }
  if (!drawing && program.same(again)) return;
  // The images come first.
  const changed = values.find((_, i) => draws(i + 2) || !program.same(again, i + 2));
  const { layer, position } = changed !== undefined && "layer" in changed ? changed : { layer: model, position: "" };
  naming(layer, position, () => {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      `forward() of ${layer.constructor.name} computes something else each time it is called, with other numbers or other ops; ` +
        "draw random numbers and read what changes outside of it",
    );
  });
}

/** Refuses a model that computes by other ops, or with other numbers, where the batch is larger. */
function checkSameOps(program: Program<Recording>, other: Program<Recording>): void {
  if (program.sameButForBatch(other)) return;
  throw new TslipError(
    "NOT_LIPSCHITZ",
    "the model computes something else for another number of samples: what it computes of an image must not depend on the batch " +
      "that the image is in",
  );
}

/** The ops by which a layer computed a value from the one that it was given, and from nothing else that depends on the images. */
function opsBetween(layer: Layer, given: Tensor, value: Tensor): Ops {
  const [seen, open] = [new Set([given]), [value]];
  for (const tensor of open) {
    if (seen.has(tensor)) continue;
    if (tensor.op === "input") {
      throw new TslipError(
        "NOT_LIPSCHITZ",
        `forward() of ${layer.constructor.name} reads more of the images than it is given, so its bound says nothing of what it ` +
          "computes; let a container's flow() bring values together",
      );
    }
    seen.add(tensor);
    open.push(...tensor.inputs);
  }
  return [...seen].slice(1);
}

/** The sum of squares of each sample, `[n]`. */
function squareOf(x: Tensor): Tensor {
  const squares = x.square();
  return x.rank < 2 ? squares.reshape([x.shape[0] ?? 1]) : squares.sum(x.shape.map((_, axis) => axis).slice(1));
}
