// No parametrization: the weight is the parameter, initialized as in PyTorch.
import { rand } from "../../tensor/create.js";
import type { Shape } from "../../tensor/shape.js";
import type { Tensor } from "../../tensor/tensor.js";
import type { Parametrization } from "./parametrization.js";

export const ordinary: Parametrization = {
  constrained: false,
  key: "weight",
  initialWeight: ({ weightShape, fanIn }) => uniform(weightShape, fanIn),
  initialBias: ({ outputs, fanIn }) => uniform([outputs], fanIn),
  effective: (parameter) => parameter,
  exchanged: () => [],
};

/** Uniform in +-1/sqrt(fan in), as PyTorch initializes. */
function uniform(shape: Shape, fanIn: number): Tensor {
  const bound = 1 / Math.sqrt(Math.max(1, fanIn));
  return rand(shape)
    .mul(2 * bound)
    .sub(bound);
}
