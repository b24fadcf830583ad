// Between the numbers of a file and tensors, and values with gradients in one call.
import { compile, grad, type Tensor, tensor, zeros } from "tslip";
import type { Named, Numbers } from "./case.js";

/** f32 tensor of these numbers. */
export function floats(numbers: Numbers): Tensor {
  return tensor(Float32Array.from(numbers.data), numbers.shape);
}

/** i32 tensor of these numbers. */
export function integers(numbers: Numbers): Tensor {
  return tensor(Int32Array.from(numbers.data), numbers.shape);
}

/** The values of a tensor that has been computed. */
export async function numbersOf(t: Tensor): Promise<Numbers> {
  return { shape: t.shape, data: Float64Array.from(await t.data()) };
}

/** A single number. */
export function one(value: number): Numbers {
  return { shape: [], data: Float64Array.of(value) };
}

/**
 * Outputs of `fn` and the gradients of `<cotangent, y>` (of the sum without one) with respect to its leaves, `y` being the
 * output that `of` names.
 */
export async function withGradients(
  leaves: Named,
  fn: (leaves: Record<string, Tensor>) => Record<string, Tensor>,
  of: string,
  cotangent?: Numbers,
): Promise<{ outputs: Named; grads: Named }> {
  const names = Object.keys(leaves);
  const run = compile((...given: Tensor[]) => {
    const byName = Object.fromEntries(names.map((name, i) => [name, given[i] ?? zeros([])]));
    const outputs = fn(byName);
    const y = outputs[of] ?? zeros([]);
    const weight = given[names.length];
    const total = weight === undefined ? y.sum() : y.mul(weight).sum();
    return {
      outputs,
      grads: grad(
        total,
        names.map((_, i) => given[i] ?? zeros([])),
      ),
    };
  });
  const given = [...Object.values(leaves), ...(cotangent === undefined ? [] : [cotangent])];
  const { outputs, grads } = await run(...given.map(floats));
  const read = async (entries: [string, Tensor][]): Promise<Named> =>
    Object.fromEntries(await Promise.all(entries.map(async ([key, t]) => [key, await numbersOf(t)] as const)));
  return {
    outputs: await read(Object.entries(outputs)),
    grads: await read(names.map((name, i) => [name, grads[i] as Tensor])),
  };
}
