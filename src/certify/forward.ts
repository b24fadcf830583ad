// The forward pass of a certificate: logits, the sizes of what enters each layer, and how each layer rounds.

import { currentDevice, type Ops, roundingFactors } from "../device.js";
import { TslipError } from "../errors.js";
import { engine, type NetworkStep, networkLipschitzUpperBound } from "../native.js";
import { forwarded, runThrough, TENSORS } from "../nn/flow.js";
import type { Layer } from "../nn/layer.js";
import { scaledImages } from "../nn/module.js";
import { naming } from "../nn/naming.js";
import { quiet } from "../nn/proof.js";
import { type InputSpec, Program, type Values } from "../tensor/compile.js";
import { bytesOf, sameBytes, type TypedArray } from "../tensor/dtype.js";
import type { GraphNode } from "../tensor/graph.js";
import { State, type Tensor, type Value } from "../tensor/index.js";
import { showShape, sizeOf } from "../tensor/shape.js";
import { statesBehind } from "../tensor/state.js";
import { changedMeanwhile, Facts, type Known, type Placed, Watch } from "./facts.js";

/** Logits of a batch with all that bounds their differences. */
export interface Forward {
  readonly logits: Value;
  /** Proved upper bound of the Lipschitz constant of the whole. */
  readonly lipschitz: number;
  /** The network, a value a step. */
  readonly steps: readonly NetworkStep[];
  /** Numbers of a sample. */
  readonly inputs: number;
  /** Sums of squares of the images and of the value of each step: `[n, steps + 1]`. */
  readonly squares: Float64Array;
  /** Roundings of u8 pixels divided by 255. */
  readonly pixelRoundings: number;
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
 * Runs an exported model on images, on the device that is current and stays so. What `forward` computes is recorded, the pass is handed
 * to the engine, and the model is asked what it says of itself, before this returns its promise. Proofs are of values that are read in
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
  });
  const facts = new Facts<Passed>();
  const { program: whole, values } = record(model, images, undefined, facts);
  const running = quiet(run(whole, pixels));
  checkRepeatable(model, program, whole, first);
  checkSeparate(whole, values);
  // One sample alone is mixed with none, and a batch that is written into a layer fits no other.
  const [samples = 0, ...sample] = images.shape;
  const other = record(model, { dtype: images.dtype, shape: [otherBatch(samples), ...sample] });
  checkSeparate(other.program, values);
  checkSameOps(program, other.program);
  // What is computed of weights that are not there means nothing.
  await filled;
  const { logits, squares: columns, premises } = await running;
  const given = new Map(facts.premises.map((tensor, i) => [tensor, premises[i]?.held() ?? NOTHING]));
  const known = await facts.known(given);
  const { answers } = facts;
  // Proofs are of the step that computes the logits. What a class answers, and weights that were exported before that step beside others
  // that live on, are of the same moment only where nothing was written.
  if (mixed && watches.all?.written !== false) throw changedMeanwhile();
  if (answers.length > 0 && watches.own?.written !== false) throw changedMeanwhile();
  // A promise may have been kept after fields had changed that it speaks of.
  const promised = answers.some((answer) => answer instanceof Promise);
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
  const held = columns.map((column) => column.held());
  const squares = Float64Array.from(
    { length: held.length * samples },
    (_, at) => held[at % held.length]?.[Math.floor(at / held.length)] ?? Number.NaN,
  );
  const inputs = samples === 0 ? 0 : sizeOf(sample);
  const pixelRoundings = images.dtype === "u8" ? QUOTIENT_ROUNDINGS * factorOf(QUOTIENT) : 0;
  return { logits, lipschitz, steps, inputs, squares, pixelRoundings };
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
 * Records the forward pass, and how each value of it is computed. `found` is told of the states that it reads before those that are not
 * filled are; `facts` takes what each layer says of itself, and what that follows from is read with the rest.
 */
function record(
  model: Layer,
  x: InputSpec,
  found?: (states: readonly State[]) => void,
  facts?: Facts<Passed>,
): { program: Program<Recording>; values: Recorded[] } {
  const samples = x.shape[0] ?? 1;
  const values: Recorded[] = [];
  const pass = (images: Tensor): Recording => {
    const squares: Tensor[] = [];
    /** Gives a value its number. */
    const numbered = (tensor: Tensor): { tensor: Tensor; number: number } => ({
      tensor,
      number: squares.push(squareOf(tensor)) - 1,
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
        const value = { from, layer, position, ops, results };
        values.push(value);
        facts?.take(value);
        return numbered(result);
      },
      sum: meeting("sum"),
      concat: meeting("concat"),
    });
    // The last value gives the logits, also where a container computes more than it returns.
    const { tensor: logits } = result.number === squares.length - 1 ? result : meeting("sum")([result]);
    return { squares, logits, premises: facts?.premises ?? [] };
  };
  const { shape, dtype } = x;
  return { program: Program.record(pass, [{ shape, dtype, batched: true }], found), values };
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
  if (program.assigns) {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      "the model assigns states in its forward pass in evaluation mode, so what it computes changes from call to call; assign " +
        "in training mode alone",
    );
  }
  if (program.same(again)) return;
  // The images come first.
  const changed = values.find((_, i) => !program.same(again, i + 2));
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
  const [one, two] = [program.recorded, other.recorded];
  const alike =
    one.nodes.length === two.nodes.length &&
    one.outputs.join() === two.outputs.join() &&
    one.nodes.every((node, i) => sameButForBatch(node, two.nodes[i] as GraphNode));
  if (alike) return;
  throw new TslipError(
    "NOT_LIPSCHITZ",
    "the model computes something else for another number of samples: what it computes of an image must not depend on the batch " +
      "that the image is in",
  );
}

/** Attributes that say how long axis 0 is, in their first entry. */
const LENGTHS: Readonly<Record<string, string>> = {
  reshape: "shape",
  broadcast_to: "shape",
  full: "shape",
  slice: "stops",
};

/** Whether two nodes compute the same of each sample, in batches of different lengths. */
function sameButForBatch(one: GraphNode, two: GraphNode): boolean {
  const textOf = ({ op, attributes, inputs, dtype, shape, argument, state }: GraphNode): string => {
    const lengths = LENGTHS[op] ?? "";
    const { [lengths]: length, ...rest } = attributes;
    const others = Array.isArray(length) ? [length.length, ...length.slice(1)] : null;
    return JSON.stringify([op, rest, others, inputs, dtype, shape.length, shape.slice(1), argument, state?.id]);
  };
  if (textOf(one) !== textOf(two)) return false;
  if (one.constant === undefined || two.constant === undefined) return one.constant === two.constant;
  return sameBytes(bytesOf(one.constant.held()), bytesOf(two.constant.held()));
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
  return x
    .square()
    .reshape([x.shape[0] ?? 1, -1])
    .sum(1);
}
