// Functions of tensors in float64, by the plain definitions of the ops, with their derivatives.
import { grad, type Module, State, type Tensor, tensor } from "tslip";
import { Program } from "../../src/tensor/compile.js";
import { bytesOf } from "../../src/tensor/dtype.js";

type Compute = (...inputs: Tensor[]) => Tensor;

/** The values of a function in float64. */
export function exactly(compute: Compute, inputs: readonly Tensor[]): Float64Array {
  const specs = inputs.map(({ shape, dtype }, i) => ({ shape, dtype, batched: i === 0 }));
  // What is not computed in a job has to find its states filled.
  const fill = (states: readonly State[]): undefined => State.fill(states) as undefined;
  const program = Program.record((...given: Tensor[]) => compute(...given), specs, fill);
  return program.exact(inputs.map((input) => bytesOf(input.dataSync())))[0] ?? new Float64Array();
}

/** What a layer computes in evaluation mode. */
export function exactOf(layer: Module, x: Tensor): Float64Array {
  return layer.evaluating(() => exactly((input) => layer.forward(input), [x]));
}

/** The derivative of each result by each number of x, row by row. */
export function jacobian(layer: Module, x: Tensor): { rows: number; matrix: Float64Array } {
  return layer.evaluating(() => {
    const rows = layer.forward(x).size;
    const each = Array.from({ length: rows }, (_, i) =>
      exactly(
        (input) =>
          grad(
            layer
              .forward(input)
              .flatten()
              .slice([i], [i + 1])
              .sum(),
            [input],
          )[0],
        [x],
      ),
    );
    return { rows, matrix: Float64Array.from(each.flatMap((row) => Array.from(row))) };
  });
}

/** Steps whose sums with float32 values of about 1 are exact, once these are multiples of it. */
const STEP = 2 ** -9;

/** x on a grid on which steps are exact. */
export function onGrid(x: Tensor): Tensor {
  return tensor(
    Float32Array.from(x.dataSync(), (value) => Math.round(value / STEP) * STEP),
    x.shape,
  );
}

/** How far the gradient of `loss` by its inputs is from central differences, and the gradient of a random product with it from its own. */
export function gapOfDerivatives(loss: Compute, inputs: readonly Tensor[]): { first: number; second: number } {
  const directions = inputs.map(({ shape, size }, k) =>
    tensor(
      Float32Array.from({ length: size }, (_, i) => Math.cos(3 * i + k)),
      shape,
    ),
  );
  const slope: Compute = (...given) =>
    grad(loss(...given), given)
      .map((g, i) => g.mul(directions[i] ?? 0).sum())
      .reduce((a, b) => a.add(b));
  return { first: gap(loss, inputs), second: gap(slope, inputs) };
}

function gap(scalar: Compute, inputs: readonly Tensor[]): number {
  let worst = 0;
  inputs.forEach((input, k) => {
    const analytic = exactly((...given) => grad(scalar(...given), given)[k] as Tensor, inputs);
    const values = input.dataSync();
    values.forEach((value, i) => {
      const moved = (step: number): number => {
        const at = Float32Array.from(values);
        at[i] = value + step;
        return exactly(scalar, inputs.with(k, tensor(at, input.shape)))[0] ?? Number.NaN;
      };
      const difference = (moved(STEP) - moved(-STEP)) / (2 * STEP);
      worst = Math.max(worst, Math.abs(difference - (analytic[i] ?? Number.NaN)));
    });
  });
  return worst;
}
