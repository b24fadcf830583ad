// The forward pass of a certificate: logits, the sizes of what enters each layer, and how each layer rounds.

import { currentDevice, type OpNames, roundingFactors } from "../device.js";
import { TslipError } from "../errors.js";
import { composeLipschitzBounds, engine } from "../native.js";
import { type Module, refuseOverridden, scaledImages } from "../nn/module.js";
import { checkedRounding } from "../nn/rounding.js";
import { naming, stepsOf } from "../nn/sequential.js";
import { type InputSpec, Program } from "../tensor/compile.js";
import { bytesOf } from "../tensor/dtype.js";
import { Tensor, type Value } from "../tensor/index.js";
import { showShape } from "../tensor/shape.js";

/** A layer as the bounds of rounding take it; see `RoundedLayer` in crates/certify. */
export type RoundedLayer = {
  readonly lipschitz: number;
  readonly roundings: number;
  readonly offset: number;
  readonly peak: number;
  readonly copies: number;
  readonly inputs: number;
  readonly results: number;
};

/** Logits of a batch with all that bounds their differences. */
export interface Forward {
  readonly logits: Value;
  /** Proved upper bound of the Lipschitz constant of the whole. */
  readonly lipschitz: number;
  readonly layers: readonly RoundedLayer[];
  /** Sums of squares of what went into each layer, and of the logits: `[n, layers + 1]`. */
  readonly squares: Float64Array;
  /** Roundings of u8 pixels divided by 255. */
  readonly pixelRoundings: number;
}

/** Of a quotient, and of taking its size for that of the exact one. */
const QUOTIENT_ROUNDINGS = 2;

/** A layer of the model, and where it stands. */
type Step = ReturnType<typeof stepsOf>[number];

/** What a layer gave while the pass was recorded. */
interface Recorded {
  readonly ops: OpNames;
  /** Numbers that go in, and that come out, for one sample. */
  readonly inputs: number;
  readonly results: number;
}

/**
 * Runs an exported model on x, on the device that is current and stays so. All that the model says of itself - bounds,
 * roundings, what `forward` computes - is read before this returns its promise; the weights are for the caller to hold.
 * @throws TslipError `NOT_LIPSCHITZ` or `UNSUPPORTED`, naming the layer that has no bound, does not say how it rounds, mixes the
 * samples of a batch or computes something else each time.
 */
export async function forward(model: Module, x: Value): Promise<Forward> {
  const factorOf = roundingFactors(currentDevice());
  const steps = stepsOf(model);
  const bounds = steps.map(({ layer, position }) => naming(layer, position, () => boundOf(layer)));
  const { program, recorded } = record(model, steps, x);
  checkSeparate(program, steps);
  // One sample alone is mixed with none: that shows in two.
  if (x.shape[0] === 1)
    checkSeparate(record(model, steps, { dtype: x.dtype, shape: [2, ...x.shape.slice(1)] }).program, steps);
  checkRepeatable(program, record(model, steps, x).program, steps);
  const layers = steps.map(({ layer, position }, i) => {
    const { ops, inputs, results } = recorded[i] ?? { ops: NONE, inputs: 1, results: 1 };
    const { roundings, offset, peak, copies } = naming(layer, position, () => {
      refuseOverridden(layer, "rounding");
      return checkedRounding(layer.constructor.name, layer.rounding(results));
    });
    const counted = roundings * factorOf(ops);
    return { lipschitz: bounds[i] ?? Number.NaN, roundings: counted, offset, peak, copies, inputs, results };
  });
  const lipschitz = composeLipschitzBounds(bounds);
  const pixelRoundings = x.dtype === "u8" ? QUOTIENT_ROUNDINGS * factorOf(NONE) : 0;
  const { outputs } = await engine().run(program.job([bytesOf(x.held())]));
  const { logits, squares: columns } = program.results(outputs);
  const held = columns.map((column) => column.held());
  const squares = Float64Array.from(
    { length: held.length * (x.shape[0] ?? 0) },
    (_, at) => held[at % held.length]?.[Math.floor(at / held.length)] ?? Number.NaN,
  );
  return { logits, lipschitz, layers, squares, pixelRoundings };
}

const NONE: OpNames = new Set();

function boundOf(layer: Module): number {
  refuseOverridden(layer, "lipschitzBound");
  const bound: unknown = layer.lipschitzBound();
  if (typeof bound === "number" && bound >= 0 && Number.isFinite(bound)) return bound;
  throw new TslipError(
    typeof bound === "number" && !(bound < 0) ? "NON_FINITE" : "INVALID_ARGUMENT",
    `lipschitzBound() of ${layer.constructor.name} gave ${String(bound)}; it must return a finite number, 0 or more`,
  );
}

/** What a pass gives: sums of squares of what enters each layer and of the logits, `[n]` each. */
interface Pass {
  squares: Tensor[];
  logits: Tensor;
}

/** Records the forward pass, and what each layer did in it. */
function record(model: Module, steps: readonly Step[], x: InputSpec): { program: Program<Pass>; recorded: Recorded[] } {
  const samples = x.shape[0] ?? 1;
  const sizeOf = (value: Tensor): number => (samples === 0 ? 0 : value.size / samples);
  const recorded: Recorded[] = [];
  const pass = (images: Tensor): Pass => {
    let value = scaledImages(images);
    const squares = [squareOf(value)];
    for (const { layer, position } of steps) {
      const entering = value;
      value = naming(layer, position, () => resultOf(layer, entering, samples));
      recorded.push({ ops: opsBetween(entering, value), inputs: sizeOf(entering), results: sizeOf(value) });
      squares.push(squareOf(value));
    }
    return { squares, logits: value };
  };
  const { shape, dtype } = x;
  return { program: model.evaluating(() => Program.record(pass, [{ shape, dtype, batched: true }])), recorded };
}

function resultOf(layer: Module, x: Tensor, samples: number): Tensor {
  const result: unknown = layer.forward(x);
  const { name } = layer.constructor;
  if (!(result instanceof Tensor)) {
    throw new TslipError("INVALID_ARGUMENT", `forward() of ${name} must return a tensor; it returned ${typeof result}`);
  }
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
function checkSeparate(program: Program<Pass>, steps: readonly Step[]): void {
  // The images come first.
  const step = steps[program.separate.indexOf(false) - 1];
  if (step === undefined) return;
  naming(step.layer, step.position, () => {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      `${step.layer.constructor.name} mixes the samples of a batch, or treats them by their place in it, as far as its ops show: ` +
        "what it computes of an image is no function of that image; compute on the other axes alone",
    );
  });
}

/** Refuses a layer whose `forward` gives another function each time it is called. */
function checkRepeatable(program: Program<Pass>, again: Program<Pass>, steps: readonly Step[]): void {
  if (program.assigns) {
    throw new TslipError(
      "NOT_LIPSCHITZ",
      "the model assigns states in its forward pass in evaluation mode, so what it computes changes from call to call; assign " +
        "in training mode alone",
    );
  }
  if (program.same(again)) return;
  // The images come first.
  const step = steps.find((_, i) => !program.same(again, i + 2)) ?? steps.at(-1);
  const name = step === undefined ? "the model" : step.layer.constructor.name;
  throw new TslipError(
    "NOT_LIPSCHITZ",
    `layer ${step?.position ?? 0} (${name}): forward() computes something else each time it is called, with other numbers or ` +
      "other ops; draw random numbers and read what changes outside of it",
  );
}

/** The ops by which a value was computed, as far as those before it go. */
function opsBetween(before: Tensor, value: Tensor): OpNames {
  const [ops, seen, open] = [new Set<string>(), new Set([before]), [value]];
  for (const tensor of open) {
    if (seen.has(tensor)) continue;
    seen.add(tensor);
    ops.add(tensor.op);
    open.push(...tensor.inputs);
  }
  return ops;
}

/** The sum of squares of each sample, `[n]`. */
function squareOf(x: Tensor): Tensor {
  return x
    .square()
    .reshape([x.shape[0] ?? 1, -1])
    .sum(1);
}
