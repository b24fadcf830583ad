// Between the numbers of a file and tensors, and values with gradients in one call.
import { compile, grad, type Module, type Tensor, tensor } from "tslip";
import type { Case, Named, Numbers } from "./case.js";
import type { Computed } from "./compare.js";

/** f32 tensor of these numbers. */
export function floats(numbers: Numbers): Tensor {
  return tensor(Float32Array.from(numbers.data), numbers.shape);
}

/** i32 tensor of these numbers. */
export function integers(numbers: Numbers): Tensor {
  return tensor(Int32Array.from(numbers.data), numbers.shape);
}

/** The values of a tensor. */
export async function numbersOf(t: Tensor): Promise<Numbers> {
  return { shape: t.shape, data: Float64Array.from(await t.data()) };
}

/** A list of numbers. */
export function list(values: Iterable<number>): Numbers {
  const data = Float64Array.from(values);
  return { shape: [data.length], data };
}

/** A single number. */
export function one(value: number): Numbers {
  return { shape: [], data: Float64Array.of(value) };
}

/** An input that the kind of case needs. Throws where the file does not have it. */
export function input(c: Case, key: string): Numbers {
  const found = c.inputs[key];
  if (found === undefined) throw new Error(`the case has no input ${key}`);
  return found;
}

/**
 * `fn` of the leaves as the output `name`, and the gradients of `<cotangent, y>` (of the sum without one) with respect to
 * each leaf.
 */
export async function withGradients(
  name: string,
  leaves: Named,
  cotangent: Numbers | undefined,
  fn: (leaf: (name: string) => Tensor) => Tensor,
): Promise<Computed> {
  return await together(leaves, (leaf) => {
    const y = fn(leaf);
    return { outputs: { [name]: y }, of: cotangent === undefined ? y : y.mul(floats(cotangent)) };
  });
}

/** Outputs made of leaves, and the gradients of the sum of a tensor with respect to each leaf, in one call. */
export async function together(
  leaves: Named,
  fn: (leaf: (name: string) => Tensor) => { outputs: Record<string, Tensor>; of: Tensor },
): Promise<Computed> {
  const names = Object.keys(leaves);
  const run = compile((...tensors: Tensor[]) => {
    const { outputs, of } = fn((leaf) => {
      const found = tensors[names.indexOf(leaf)];
      if (found === undefined) throw new Error(`the case has no input ${leaf}`);
      return found;
    });
    return { outputs, grads: grad(of.sum(), tensors) };
  });
  const { outputs, grads } = await run(...Object.values(leaves).map(floats));
  return {
    outputs: await namedNumbers(Object.keys(outputs), Object.values(outputs)),
    grads: await namedNumbers(names, grads),
  };
}

/** A module's output y for the case's x, and the gradients of `<cotangent, y>` with respect to x and all its states. */
export async function throughModule(c: Case, module: Module): Promise<Computed> {
  const states = module.namedStates();
  const run = compile((x: Tensor, weight: Tensor) => {
    const y = module.forward(x);
    return { y, grads: grad(y.mul(weight).sum(), [x, ...states.map(([, state]) => state)]) };
  });
  const { y, grads } = await run(floats(input(c, "x")), floats(input(c, "cotangent")));
  const names = ["x", ...states.map(([name]) => name)];
  return { outputs: { y: await numbersOf(y) }, grads: await namedNumbers(names, grads) };
}

/** The values of tensors under their names. */
export async function namedNumbers(names: readonly string[], tensors: readonly Tensor[]): Promise<Named> {
  const numbers = await Promise.all(tensors.map(numbersOf));
  return Object.fromEntries(numbers.map((value, i) => [names[i] ?? i, value]));
}
