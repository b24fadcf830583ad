// The option of layers that names how their weight is initialized.
import { choice, type Option, optional } from "../options.js";
import type { Shape } from "../tensor/shape.js";
import type { Tensor } from "../tensor/tensor.js";
import { kaimingNormal, kaimingUniform, orthogonal, spectral, xavierNormal, xavierUniform } from "./init.js";

const INITIALIZERS = { orthogonal, spectral, kaimingNormal, kaimingUniform, xavierNormal, xavierUniform };

/** A function of `init`, with its defaults. */
export type Initializer = keyof typeof INITIALIZERS;

/** What layers take whose parameter has the shape of the weight; left out, the parametrization says what the weight starts from. */
export const INITIALIZER: { readonly initializer: Option<Initializer | undefined> } = {
  initializer: optional(choice(Object.keys(INITIALIZERS) as Initializer[])),
};

/** An initial weight. */
export function initialWeight(name: Initializer, shape: Shape): Tensor {
  return INITIALIZERS[name](shape);
}
