// The forward pass of a certificate: logits, the sizes of what enters each layer, and how each layer rounds.

import { currentDevice, roundingFactor } from "../device.js";
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
}

/**
 * Runs an exported model on x, on the device that is current and stays so. Bounds are computed once.
 * @throws TslipError `NOT_LIPSCHITZ` or `UNSUPPORTED`, naming the layer that has no bound or does not say how it rounds.
 */
export async function forward(model: Module, x: Tensor): Promise<Forward> {
  const factor = roundingFactor(currentDevice());
  const steps = stepsOf(model);
  const bounds = steps.map(({ layer, position }) =>
    naming(layer, position, () => {
      refuseOverridden(layer, "lipschitzBound");
      return layer.lipschitzBound();
    }),
  );
  const sizes: number[] = [];
  const run = compile((images: Tensor) => {
    let value = scaledImages(images);
    sizes.length = 0;
    const squares = [squareOf(value, sizes)];
    for (const { layer } of steps) {
      value = layer.forward(value);
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
    return { lipschitz: bounds[i] ?? Number.NaN, roundings: factor * roundings, offset, inputs, results };
  });
  return { logits, lipschitz: composeLipschitzBounds(bounds), layers, squares: Float64Array.from(squares.held()) };
}

/** The sum of squares of each sample, `[n]`; how many values a sample has goes to `sizes`. */
function squareOf(x: Tensor, sizes: number[]): Tensor {
  const samples = x.shape[0] ?? 1;
  sizes.push(samples === 0 ? 0 : x.size / samples);
  return x.square().reshape([samples, -1]).sum(1);
}
