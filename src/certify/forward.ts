// The forward pass of a certificate: logits, the sizes of what enters each layer, and how each layer rounds.

import { currentDevice, type OpNames, roundingFactors } from "../device.js";
import { composeLipschitzBounds } from "../native.js";
import { type Module, refuseOverridden, scaledImages } from "../nn/module.js";
import { naming, stepsOf } from "../nn/sequential.js";
import { compile, stack, type Tensor, type Value } from "../tensor/index.js";

/** A layer as the bounds of rounding take it; see `RoundedLayer` in crates/certify. */
export type RoundedLayer = {
  readonly lipschitz: number;
  readonly roundings: number;
  readonly offset: number;
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

/**
 * Runs an exported model on x, on the device that is current and stays so. Bounds are computed once.
 * @throws TslipError `NOT_LIPSCHITZ` or `UNSUPPORTED`, naming the layer that has no bound or does not say how it rounds.
 */
export async function forward(model: Module, x: Tensor): Promise<Forward> {
  const factorOf = roundingFactors(currentDevice());
  const ofQuotients = factorOf(NONE);
  const steps = stepsOf(model);
  const bounds = steps.map(({ layer, position }) =>
    naming(layer, position, () => {
      refuseOverridden(layer, "lipschitzBound");
      return layer.lipschitzBound();
    }),
  );
  const sizes: number[] = [];
  const ops: OpNames[] = [];
  const run = compile((images: Tensor) => {
    let value = scaledImages(images);
    sizes.length = 0;
    ops.length = 0;
    const squares = [squareOf(value, sizes)];
    for (const { layer } of steps) {
      const entering = value;
      value = layer.forward(entering);
      ops.push(opsBetween(entering, value));
      squares.push(squareOf(value, sizes));
    }
    return { logits: value, squares: stack(squares, 1) };
  });
  const { logits, squares } = await model.evaluating(() => run(x));
  const layers = steps.map(({ layer, position }, i) => {
    const [inputs = 1, results = 1] = sizes.slice(i, i + 2);
    const { roundings, offset } = naming(layer, position, () => {
      refuseOverridden(layer, "rounding");
      return layer.rounding(results);
    });
    const counted = roundings * factorOf(ops[i] ?? NONE);
    return { lipschitz: bounds[i] ?? Number.NaN, roundings: counted, offset, inputs, results };
  });
  return {
    logits,
    lipschitz: composeLipschitzBounds(bounds),
    layers,
    squares: Float64Array.from(squares.held()),
    pixelRoundings: x.dtype === "u8" ? QUOTIENT_ROUNDINGS * ofQuotients : 0,
  };
}

const NONE: OpNames = new Set();

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

/** The sum of squares of each sample, `[n]`; how many values a sample has goes to `sizes`. */
function squareOf(x: Tensor, sizes: number[]): Tensor {
  const samples = x.shape[0] ?? 1;
  sizes.push(samples === 0 ? 0 : x.size / samples);
  return x.square().reshape([samples, -1]).sum(1);
}
